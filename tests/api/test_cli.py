"""The command line: sentences, exit statuses, and no traceback for what can be expected."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from api.cli import main
from quota.store.engine import open_engine, transaction
from tests.api.processes import ROOT
from tests.quota.books import LAB_YAML


@dataclass
class Shell:
    """Runs commands in a lab's folder as the entry point does."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str) -> tuple[int, str]:
        """Return the exit status and all that was printed."""
        self.monkeypatch.setattr(sys, "argv", ["gpulab", *words])
        with pytest.raises(SystemExit) as end:
            main()
        printed = self.capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return int(end.value.code or 0), printed.out + printed.err


@pytest.fixture
def bare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    (tmp_path / ".state").mkdir(mode=0o700)
    (tmp_path / "lab.yaml").write_text(LAB_YAML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PORT", "HUB_PORT", "SERVICE_PORT", "SESSION_LISTENER_PORT", "PROXY_API_PORT"):
        monkeypatch.setenv(f"GPULAB_{name}", "0")  # whatever else runs on this machine
    return Shell(tmp_path, capsys, monkeypatch)


@pytest.fixture
def shell(bare: Shell) -> Shell:
    assert bare.run("migrate") == (0, "The books are at revision head.\n")
    return bare


def test_a_grant_is_given_once_by_its_id(shell: Shell) -> None:
    words = ("grant", "ada", "2.5", "--reason", "project", "--id", str(uuid4()))
    status, said = shell.run(*words)
    assert status == 0
    assert "ada has 2.50 GPU-hours more until" in said
    assert shell.run(*words)[1] == said
    status, said = shell.run(*words[:2], "3", *words[3:])
    assert (status, said) == (1, "This grant id was used before for another grant.\n")
    status, said = shell.run("account", "ada", "--json")
    body = json.loads(said)
    assert body["balance_hours"] == "12.50"
    assert "project" in [lot["reason"] for lot in body["lots"]]


def test_an_account_is_a_table(shell: Shell) -> None:
    status, said = shell.run("account", "emeka")
    assert status == 0
    assert "section berlin (Europe/Berlin)" in said
    heads, figures = said.splitlines()[2:4]
    assert dict(zip(heads.split(), figures.split(), strict=True)) == {
        "granted": "1.00", "charged": "0.00", "balance": "1.00", "held": "0.00",
        "available": "1.00", "debt": "0.00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("account", "stranger"), 1, "knows nobody"),
        (("grant", "stranger", "1", "--reason", "x"), 1, "knows nobody"),
        (("grant", "ada", "0", "--reason", "x"), 1, "more than 0"),
        (("grant", "ada", "1", "--reason", " "), 1, "needs a reason"),
        (("grant", "ada", "1"), 2, "--reason"),
        (("grant", "ada", "many", "--reason", "x"), 2, "no GPU time"),
        (("grant", "ada", "1", "--reason", "x", "--until", "soon"), 2, "no date and time"),
        (("grant", "ada", "1", "--reason", "x", "--until", "2030-01-01"), 2, "offset"),
        (("grant", "ada", "1", "--reason", "x", "--until", "2001-01-01T00:00Z"), 1, "future"),
        (("grant", "ada", "1", "--reason", "x", "--id", "7"), 2, "UUID"),
        (("lab-file", "none.yaml"), 1, "cannot be read"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said(
    shell: Shell, words: tuple[str, ...], status: int, says: str
) -> None:
    ended, said = shell.run(*words)
    assert ended == status
    assert says in said


def test_a_lab_file_is_checked_with_lines_and_remedies(shell: Shell) -> None:
    assert shell.run("lab-file")[0] == 0
    (shell.folder / "bad.yaml").write_text(LAB_YAML + "surprise: 1\n")
    for words in (("lab-file", "bad.yaml"), ("check", "--lab-file", "bad.yaml")):
        status, said = shell.run(*words)
        assert status == 1
        assert "bad.yaml:16: surprise" in said


def test_check_names_misspelled_variables(shell: Shell) -> None:
    assert shell.run("check") == (0, "Settings, lab.yaml and books are right.\n")
    shell.monkeypatch.setenv("GPULAB_DATABSE_URL", "x")
    status, said = shell.run("check")
    assert (status, said) == (1, "GPULAB_DATABSE_URL: no such setting\n")


def test_check_finds_a_law_that_is_broken(shell: Shell) -> None:
    shell.run("grant", "ada", "1", "--reason", "x")
    engine = open_engine(f"sqlite:///{shell.folder}/.state/books.sqlite")
    with transaction(engine) as tx:
        tx.execute(text("UPDATE accounts SET posted = posted + 1"))
    engine.dispose()
    status, said = shell.run("check")
    assert status == 1
    assert "account main/ada" in said


@pytest.mark.parametrize("words", [("account", "ada"), ("grant", "ada", "1", "--reason", "x"),
                                   ("check",)])  # fmt: skip
def test_no_books_are_made_by_looking(bare: Shell, words: tuple[str, ...]) -> None:
    status, said = bare.run(*words)
    assert status == 1
    assert "There are no books at" in said
    assert list((bare.folder / ".state").iterdir()) == []


def test_books_of_another_version_are_not_touched(bare: Shell) -> None:
    (bare.folder / ".state" / "books.sqlite").touch()
    status, said = bare.run("account", "ada")
    assert (status, "gpulab migrate" in said) == (1, True)


@pytest.mark.parametrize(
    ("url", "status"), [("nonsense", 1), ("postgresql+psycopg://x@127.0.0.1:1/books", 3)]
)
def test_an_address_without_a_database(bare: Shell, url: str, status: int) -> None:
    bare.monkeypatch.setenv("GPULAB_DATABASE_URL", url)
    ended, said = bare.run("migrate")
    assert ended == status
    assert said.strip()


def test_migrating_back_and_forth(shell: Shell) -> None:
    assert shell.run("migrate", "--to", "base", "--back")[0] == 0
    assert shell.run("account", "ada")[0] == 1
    assert shell.run("migrate")[0] == 0
    assert shell.run("account", "ada")[0] == 0


def test_the_doctor_says_what_to_mend(shell: Shell) -> None:
    secrets = shell.folder / ".state" / "secrets"
    secrets.mkdir()
    (secrets / "service_token").write_text("x")
    (secrets / "service_token").chmod(0o644)
    status, said = shell.run("doctor")
    assert status == 1
    assert f"chmod 600 {Path('.state/secrets/service_token')}" in said
    (secrets / "service_token").chmod(0o600)
    status, said = shell.run("doctor")
    assert status == 0, said
    assert "journal mode" in said
    assert "2 GPU(s): Virtual GPU" in said


def test_the_entry_point_is_a_process_with_an_exit_status(shell: Shell) -> None:
    ended = subprocess.run([sys.executable, "-m", "api.cli", "account", "stranger"], text=True,
                           capture_output=True, cwd=shell.folder, timeout=60, check=False,
                           env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "knows nobody" in ended.stderr
