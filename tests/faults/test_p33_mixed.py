"""P33: workers of this version and of the one before keep the same books for a while."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from quota.amount import GpuTime
from quota.audit import By
from quota.clock import ms_between
from quota.store import migrate
from quota.store.engine import open_engine
from quota.store.migrate import downgrade, upgrade
from tests.faults.machine import written
from tests.quota.books import Desk, hours, make_lab

ROOT = Path(migrate.__file__).parents[2]
HEAD, *OLDER = [one.revision for one in
                ScriptDirectory.from_config(migrate._config()).walk_revisions()]  # fmt: skip
# What every version's lab.yaml has had.
PLAIN_YAML = """
name: Test lab
sections:
  utc: {time_zone: UTC, scholars: [ada, blaise, chen], hours_per_week: 10}
flavors:
  cpu: {title: CPU, weight_mgpu: 0}
  whole: {title: Whole GPU, weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {title: Base, docker: "gpulab/base:latest"}
gpus:
  mode: declared
  declared: [{name: Virtual GPU, memory_mib: 16384, count: 2}]
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/books.sqlite"
        return
    url: str = request.getfixturevalue("postgres_url")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE mixed"))
    yield url.replace("/books?", "/mixed?")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE mixed WITH (FORCE)"))
    admin.dispose()


# -- what a migration may do --------------------------------------------------------------------


def shape(url: str) -> dict[tuple[str, str], Any]:
    engine = create_engine(url)
    look = inspect(engine)
    found = {
        (table, column["name"]): column
        for table in look.get_table_names()
        for column in look.get_columns(table)
    }
    engine.dispose()
    return found


def what_breaks_older(before: dict[tuple[str, str], Any], after: dict[tuple[str, str], Any]) -> (
    list[str]
):  # fmt: skip
    """Tell what in a new shape a program that knows the old one would stumble over."""
    tables = {table for table, _ in before}
    gone = [
        f"{table}.{column} is gone" for table, column in before if (table, column) not in after
    ]
    other = [f"{table}.{name} is another type" for (table, name), column in before.items()
             if (table, name) in after
             and str(after[table, name]["type"]) != str(column["type"])]  # fmt: skip
    needed = [f"{table}.{name} has to be given" for (table, name), column in after.items()
              if table in tables and not column["nullable"] and column["default"] is None
              and (before.get((table, name)) or {"nullable": True})["nullable"]]  # fmt: skip
    return [*gone, *other, *needed]


def test_p33_each_migration_leaves_what_the_version_before_needs(bare_url: str) -> None:
    shapes = []
    for revision in reversed([HEAD, *OLDER]):
        engine = open_engine(bare_url)
        upgrade(engine, revision)
        engine.dispose()
        shapes.append(shape(bare_url))
    for before, after in pairwise(shapes):
        assert what_breaks_older(before, after) == []


@pytest.mark.parametrize(("change", "is_fine"), [
    ("ALTER TABLE counters ADD COLUMN more BIGINT NOT NULL DEFAULT 1", True),
    ("ALTER TABLE leases RENAME COLUMN image TO picture", False),
    ("DROP TABLE notices", False),
])  # fmt: skip
def test_p33_catches_a_migration_that_the_version_before_does_not_survive(
    bare_url: str, change: str, *, is_fine: bool
) -> None:
    engine = open_engine(bare_url)
    upgrade(engine)
    before = shape(bare_url)
    with engine.begin() as tx:
        tx.execute(text(change))
    engine.dispose()
    assert (what_breaks_older(before, shape(bare_url)) == []) == is_fine


# -- both at work -------------------------------------------------------------------------------


class OldWorker:
    """A process of an older version of the code."""

    def __init__(self, process: subprocess.Popen[str], desk: Desk) -> None:
        self._process = process
        self._desk = desk

    def ask(self, who: str) -> UUID:
        lease_id = uuid4()
        assert self._told(lease_id=str(lease_id), who=who) == ["held"]
        return lease_id

    def tick(self) -> list[str]:
        return self._told(observed=[written(one) for one in self._desk.containers.values()])

    def _told(self, **asked: Any) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"now": self._desk.clock.now().isoformat(), **asked})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the older version broke off"
        found: list[str] = json.loads(answer)
        return found


@contextmanager
def old_worker(url: str, code: Path, desk: Desk) -> Iterator[OldWorker]:
    script = Path(__file__).with_name("old_worker.py").read_text()
    command = [sys.executable, "-W", "ignore", "-c", script, url, PLAIN_YAML]
    with subprocess.Popen(command, cwd=code, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        try:
            yield OldWorker(process, desk)
        finally:
            process.kill()


def code_before(revision: str, folder: Path) -> Path:
    """Get the code as it was before a migration was written, from the repository's history."""
    files = f"quota/store/migrations/versions/{revision}_*"
    git = ("git", "-C", str(ROOT))
    # A merge may have brought it, so the line of main alone is followed.
    asked = ("log", "--first-parent", "-m", "--format=%H", "--diff-filter=A", "--", files)
    found = subprocess.run([*git, *asked], capture_output=True, text=True,
                           check=False).stdout.split()  # fmt: skip
    archive = subprocess.run([*git, "archive", f"{found[-1]}^" if found else "-", "quota"],
                             capture_output=True, check=False)  # fmt: skip
    if archive.returncode != 0:
        pytest.skip(f"the code before migration {revision} is not in the history that is here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


@pytest.mark.parametrize("back", [1, pytest.param(2, marks=pytest.mark.long)])
def test_p33_old_and_new_workers_take_turns(bare_url: str, tmp_path: Path, back: int) -> None:
    newest = [HEAD, *OLDER][back - 1]
    (tmp_path / "code").mkdir()
    code = code_before(newest, tmp_path / "code")
    engine = open_engine(bare_url)
    upgrade(engine)
    desk = Desk(engine, make_lab(PLAIN_YAML))
    downgrade(engine, [HEAD, *OLDER][back])
    with old_worker(bare_url, code, desk) as old:
        lease_id = old.ask("ada")
        upgrade(engine)
        ref = desk.start(desk.ask("ada", lease_id=lease_id, server="old"))
        old.tick()
        _new, new_ref = desk.run("blaise")
        for turn in range(40):
            desk.clock.advance(timedelta(seconds=61))
            stops = old.tick() if turn % 2 else [one.ref for one in desk.tick().stops]
            assert stops == []
            if turn == 20:
                desk.office.grant(uuid4(), "ada", hours("1"), by=By(actor="olga"), reason="x")
        ran = {}
        for one in (ref, new_ref):
            desk.clock.advance(timedelta(seconds=7))
            desk.finish(one)
            ran[desk.containers[one].account] = desk.containers[one]
            old.tick()
        desk.tick()
        for who, seen in ran.items():
            assert seen.started_at is not None
            assert seen.finished_at is not None
            charges = desk.books.account(who).charges
            used = GpuTime.of(1000, ms_between(seen.started_at, seen.finished_at))
            assert GpuTime.total(charge.amount for charge in charges) == used
        assert desk.books.account("ada").balance == hours("11") - GpuTime.total(
            charge.amount for charge in desk.books.account("ada").charges
        )
    desk.check()
    engine.dispose()
