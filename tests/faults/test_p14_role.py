"""P14: the service's own role at PostgreSQL cannot change history, whatever it is granted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from api.cli import main
from quota.store.engine import open_engine, reading, transaction
from quota.store.roles import let_in
from tests.faults.crashes import in_a_process, postgres_copies
from tests.faults.story import Story
from tests.faults.test_p04_crashes import check_the_end

pytestmark = pytest.mark.postgres
ROLE = "gpulab_service"
TRIES = [
    f"{verb} {table}{rest}"
    for table in ("entries", "audit")
    for verb, rest in (("UPDATE", " SET reason = ''"), ("DELETE FROM", ""), ("TRUNCATE", ""))
]
# What would take the guards off.
WAYS_AROUND = (
    "ALTER TABLE entries DISABLE TRIGGER entries_only_grow",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "DROP TRIGGER entries_only_grow ON entries",
    "DROP FUNCTION gpulab_ledger_only_grows() CASCADE",
    """CREATE OR REPLACE FUNCTION gpulab_ledger_only_grows() RETURNS trigger
    LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'""",
    "SET session_replication_role = replica",
    "DROP TABLE entries",
)


@pytest.fixture
def owners_url(postgres_url: str) -> Iterator[str]:
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN"))
    try:
        with postgres_copies(postgres_url, "role") as make:
            yield make()
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP ROLE {ROLE}"))
        admin.dispose()


@pytest.fixture
def owner(owners_url: str) -> Iterator[Engine]:
    engine = open_engine(owners_url)
    yield engine
    engine.dispose()


@pytest.fixture
def service(owners_url: str, owner: Engine, tmp_path: Path) -> Iterator[Engine]:
    """The role, let in, after it kept the books for an afternoon."""
    let_in(owner, ROLE)
    url = owners_url.replace("gpulab@", f"{ROLE}@")
    assert url != owners_url

    def live() -> None:
        story = Story(url, tmp_path)
        story.live()
        check_the_end(story)

    assert in_a_process(live, tmp_path / "error") == 0, (tmp_path / "error").read_text()
    engine = open_engine(url)
    yield engine
    engine.dispose()


def refusals(engine: Engine, tries: tuple[str, ...]) -> list[str]:
    return [_refusal(engine, one) for one in tries]


def _refusal(engine: Engine, statement: str) -> str:
    with pytest.raises(DBAPIError) as refused, transaction(engine) as tx:
        tx.execute(text(statement))
    return str(refused.value.orig)


def test_p14_the_role_of_the_service_is_denied_by_its_rights_and_by_the_guards(
    service: Engine, owner: Engine
) -> None:
    assert all("permission denied" in one for one in refusals(service, (*TRIES,)))
    with transaction(owner) as tx:
        tx.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}"))
    assert all("only grow" in one for one in refusals(service, (*TRIES,)))
    denied = ("must be owner", "permission denied")
    for said in refusals(service, WAYS_AROUND):
        assert any(one in said for one in denied), said
    let_in(owner, ROLE)
    assert all("permission denied" in one for one in refusals(service, (*TRIES,)))


def test_p14_catches_a_ledger_without_its_guard(owners_url: str, owner: Engine) -> None:
    """The negative control: with the trigger gone, and all rights given, nobody is refused."""
    with transaction(owner) as tx:
        tx.execute(text("DROP TRIGGER entries_only_grow ON entries"))
        tx.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}"))
    engine = open_engine(owners_url.replace("gpulab@", f"{ROLE}@"))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refusals(engine, (*TRIES,))
    engine.dispose()


@pytest.mark.parametrize("name", ["", "x; DROP TABLE entries", 'a"b', "postgres'"])
def test_a_role_that_is_none_is_not_let_in(owner: Engine, name: str) -> None:
    with pytest.raises(ValueError, match="no role"):
        let_in(owner, name)


def test_the_role_is_let_in_by_command(
    owners_url: str, owner: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("GPULAB_STATE_DIR", str(tmp_path))
    for url, role, status in (
        (owners_url, ROLE, 0), (owners_url, "nobody", 2), (f"sqlite:///{tmp_path}/b", ROLE, 2),
    ):  # fmt: skip
        monkeypatch.setenv("GPULAB_DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["gpulab", "migrate", "--role", role])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == status
        assert "Traceback" not in capsys.readouterr().err
    with reading(owner) as tx:
        may = text("SELECT has_table_privilege(:role, :table, :right)")
        rights = {("entries", "INSERT"): True, ("entries", "UPDATE"): False,
                  ("accounts", "UPDATE"): True}  # fmt: skip
        for (table, right), is_given in rights.items():
            asked = {"role": ROLE, "table": table, "right": right}
            assert tx.execute(may, asked).scalar_one() == is_given
