"""The commands of organizers: what they print, what they refuse, and that repeating is safe."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from icalendar import Calendar
from sqlalchemy import text

from quota.passing import pass_lab
from quota.store.engine import open_engine, transaction
from tests.api.test_cli import Shell, bare, shell
from tests.quota.books import Desk

__all__ = ["bare", "shell"]

SPAN = ("--from", "2026-11-01T00:00Z", "--until", "2026-12-01T00:00Z")


@pytest.fixture
def used(shell: Shell) -> Iterator[Shell]:
    """A lab in which ada used an hour of a whole GPU, on a day before the real one."""
    engine = open_engine(f"sqlite:///{shell.folder}/.state/books.sqlite", pool_size=2)
    desk = Desk(engine)
    _, ref = desk.run("ada", "whole")
    desk.go(every_s=300, hours=1)
    desk.finish(ref)
    desk.tick()
    engine.dispose()
    yield shell
    assert shell.run("check")[0] == 0


def write(shell: Shell, name: str, content: str) -> str:
    (shell.folder / name).write_text(content)
    return name


def printed(shell: Shell, *words: str) -> object:
    status, said = shell.run(*words, "--json")
    assert status == 0, said
    return json.loads(said)


def test_a_roster_is_imported_whole_or_not_at_all(shell: Shell) -> None:
    bad = write(shell, "bad.csv", "name,section\nzoe,utc\nzoe,berlin\nZed,utc\nyan,nowhere\n")
    status, said = shell.run("import-roster", bad)
    assert status == 1
    assert "line 4" in said
    assert said.endswith("Nothing was changed.\n")
    good = write(shell, "good.csv", "section,name,mail\nutc,zoe,z@x\nberlin,ada,a@x\n")
    status, said = shell.run("import-roster", good, "--dry-run")
    assert (status, "dry run" in said) == (0, True)
    assert shell.run("account", "zoe") == (1, "The lab knows nobody of this name.\n")
    assert "1 added, 1 moved, 0 removed, 0 as before." in shell.run("import-roster", good)[1]
    assert "section utc" in shell.run("account", "zoe")[1]
    assert "section berlin" in shell.run("account", "ada")[1]
    again = printed(shell, "import-roster", good)
    assert again == {"dry_run": False, "same": 2, "added": [], "moved": [], "removed": []}
    shell.run("import-roster", good, "--remove-others")
    assert shell.run("account", "blaise")[0] == 1


def test_a_file_of_grants_is_tried_then_given(shell: Shell) -> None:
    name = write(shell, "g.csv", "account,hours,reason\nada,2,project\nemeka,30 min,project\n")
    tried = printed(shell, "grant", "--file", name)
    assert isinstance(tried, dict)
    words = ("grant", "--file", name, "--id", tried["id"])
    assert shell.run(*words, "--token", "0" * 32)[0] == 1
    assert "10.00" in shell.run("account", "ada")[1]
    for _ in range(2):
        status, said = shell.run(*words, "--token", tried["token"])
        assert (status, said) == (0, "2.50 GPU-hours were given to 2 scholar(s).\n")
    status, said = shell.run(*words[:3])
    assert f"gpulab grant --file {name} --id " in said
    bad = write(shell, "b.csv", "account,hours,reason\nada,NaN,x\nnobody,1,x\n")
    status, said = shell.run("grant", "--file", bad)
    assert status == 1
    assert said.splitlines()[0].startswith("line 2: ada: ")
    assert said.splitlines()[1].startswith("line 3: nobody: ")
    assert shell.run("grant", "ada", "2")[0] == 2
    assert shell.run("grant", "ada", "--file", name)[0] == 2


def test_why_there_are_so_many_hours(shell: Shell) -> None:
    shell.run("grant", "ada", "2.5", "--reason", "project")
    status, said = shell.run("account", "ada", "--why")
    assert status == 0
    lines = said.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["10.00", "2.50"]
    assert lines[-1] == "12.50 GPU-hours in all; available: 12.50."
    found = printed(shell, "account", "ada", "--why")
    assert isinstance(found, dict)
    total = sum(one["amount_mgpu_ms"] for one in found["lines"])
    assert total == found["balance_mgpu_ms"]


def test_an_outage_is_refunded_once(used: Shell) -> None:
    words = ("refund", "--incident", "storage", "--from", "2026-11-25T12:00Z", "--until",
             "2026-11-25T12:30Z", "--reason", "storage was away")  # fmt: skip
    assert "0.50 GPU-hours would be given back" in used.run(*words, "--dry-run")[1]
    assert "0.50 GPU-hours were given back to 1 scholar(s)." in used.run(*words)[1]
    assert "given before" in used.run(*words)[1]
    status, said = used.run(*words[:-1], "another reason")
    assert status == 1
    assert "another time or reason" in said
    assert used.run(*words, "--section", "nowhere")[0] == 1


def test_exports_are_whole_files(used: Shell) -> None:
    assert used.run("export", "usage", *SPAN, "--output", "u.csv")[0] == 0
    lines = (used.folder / "u.csv").read_text().splitlines()
    assert lines[0].startswith("account,section,flavor,lease_id")
    assert len(lines) == 1 + len(pq.read_table(_exported(used, "parquet"))["mgpu_ms"].to_pylist())
    body = json.loads(_exported(used, "json").read_text())
    assert sum(one["mgpu_ms"] for one in body["lines"]) == 3_600_000_000
    status, said = used.run("export", "calendar", "berlin", "--output", "c.ics")
    assert (status, said) == (0, "")
    events = Calendar.from_ical((used.folder / "c.ics").read_bytes()).walk("VEVENT")
    assert len(events) >= 8
    assert not list(used.folder.glob("*.part"))
    assert used.run("export", "calendar", "nowhere")[0] == 1
    assert used.run("export", "usage", *SPAN, "--output", "no/such/folder")[0] == 1
    assert used.run("export", "usage", *reversed(SPAN))[0] == 2


def test_a_report_is_a_table_or_csv_or_json(used: Shell) -> None:
    status, said = used.run("report", "--section", "utc")
    assert status == 0
    assert [line.split()[1] for line in said.splitlines()[1:]] == ["ada", "blaise", "chen", "dina"]
    rows = used.run("report", "--csv")[1].splitlines()
    assert rows[0] == "section,scholar,used,available,sessions"
    assert len(rows) == 6
    found = printed(used, "report", "--section", "berlin")
    assert isinstance(found, list)
    assert found[0]["scholar"] == "emeka"
    assert used.run("report", "--week", "3")[0] == 1


def test_labs_passed_are_written_by_scholar(used: Shell) -> None:
    engine = open_engine(f"sqlite:///{used.folder}/.state/books.sqlite", pool_size=2)
    desk = Desk(engine)
    for name in ("week-2", "week-1"):
        desk.clock.advance(timedelta(hours=1))
        pass_lab(desk.books, "ada", name)
    engine.dispose()
    status, said = used.run("export", "labs-passed")
    assert status == 0
    rows = [line.split(",")[:3] for line in said.splitlines()]
    assert rows == [["account", "section", "lab"], ["ada", "utc", "week-2"],
                    ["ada", "utc", "week-1"]]  # fmt: skip
    found = printed(used, "export", "labs-passed", "--section", "utc")
    assert isinstance(found, dict)
    assert [one["lab"] for one in found["labs_passed"]] == ["week-2", "week-1"]
    assert printed(used, "export", "labs-passed", "--section", "berlin") == {"labs_passed": []}


def test_p14_a_cut_or_edited_trail_is_named(shell: Shell) -> None:
    shell.run("grant", "ada", "1", "--reason", "one")
    shell.run("grant", "ada", "1", "--reason", "two")
    assert shell.run("export", "trail-head", "--output", "head.txt")[0] == 0
    check = ("check", "--audit", "--head", "head.txt")
    assert shell.run(*check) == (0, "The audit trail is whole.\n")
    _as_superuser(shell.folder, "UPDATE audit SET reason = 'none' WHERE seq = 1")
    status, said = shell.run(*check)
    assert (status, said) == (1, "line 1 of the audit trail was edited\n")
    assert shell.run("check")[0] == 1
    write(shell, "head.txt", "nonsense")
    assert shell.run(*check)[0] == 2


def _exported(shell: Shell, form: str) -> Path:
    path = shell.folder / f"u.{form}"
    words = ("export", "usage", *SPAN, "--format", form, "--output", str(path))
    assert shell.run(*words) == (0, "")
    return path


def _as_superuser(folder: Path, statement: str) -> None:
    engine = open_engine(f"sqlite:///{folder}/.state/books.sqlite")
    with transaction(engine) as tx:
        for name in tx.execute(text(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        )).scalars().all():  # fmt: skip
            tx.execute(text(f"DROP TRIGGER {name}"))
        tx.execute(text(statement))
    engine.dispose()


def test_a_gpu_is_drained_and_comes_back(used: Shell) -> None:
    status, said = used.run("drain", "GPU-9", "--reason", "new fan")
    assert (status, said) == (1, "The lab has no GPU of this uuid. See: gpulab gpus\n")
    for _ in range(2):
        found = printed(used, "drain", "GPU-0", "--reason", "new fan")
        assert isinstance(found, dict)
        states = {one["uuid"]: one["state"] for one in found["gpus"]}
        assert states == {"GPU-0": "drained: new fan", "GPU-1": "in service"}
    assert "drained: new fan" in used.run("gpus")[1]
    assert "drained" not in used.run("undrain", "GPU-0")[1]
    status, said = used.run("undrain", "GPU-0")
    assert status == 1, said
