"""A real Prometheus reads a real lab: every board and rule has data, and real faults are told."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.trial.waiting import wait_for
from monitoring.boards.every import FOLDER
from tests.compose.tools import PROJECT
from tests.monitoring.queries import panels, with_values
from tests.monitoring.watched import Waiter, Watched, watched

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

_RULES = sorted((PROJECT / "monitoring" / "rules").glob("*.yml"))
# A lab on one machine has no certificate; the rule for all alarms asks by a pattern.
_ELSEWHERE = {"gpulab_certificate_timestamp_seconds", "gpulab_"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched")) as seen:
        yield seen


def rules() -> list[dict[str, Any]]:
    return [rule for path in _RULES for group in yaml.safe_load(path.read_text())["groups"]
            for rule in group["rules"]]  # fmt: skip


def empty_panels(seen: Watched) -> list[str]:
    """Name the panels that would be empty."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        for one in panels(board):
            found += [f"{board['title']}: {one.title}: {query}" for query in one.queries
                      if not seen.query(with_values(query))]  # fmt: skip
    return found


def check_books(seen: Watched) -> int:
    """Run `gpulab check` as an operator does."""
    state, told = seen.lab.state, {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    told |= {
        "GPULAB_DATABASE_URL": f"sqlite:///{state.root}/books.sqlite",
        "GPULAB_LAB_FILE": str(seen.lab.lab_file), "GPULAB_SECRETS_DIR": str(state.secrets),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "api.cli", "check"], env=told, timeout=120,
                          capture_output=True, check=False)  # fmt: skip
    return done.returncode


def test_every_board_and_every_rule_has_data(seen: Watched) -> None:
    assert check_books(seen) == 0
    # A GPU falls off its bus, which is the alarm that some panels are for.
    seen.driver.world.cards[-1].is_lost = True
    seen.driver.change()
    wait_for("the alert about a lost GPU", lambda: "GpuLabGpuLost" in seen.firing(), within_s=60)
    seen.driver.world.cards[-1].is_lost = False
    seen.driver.change()
    wait_for("no empty panel", lambda: not empty_panels(seen), within_s=120, every_s=2)
    assert seen.down() == set()
    for rule in rules():
        if "record" in rule:
            assert seen.query(rule["record"]), rule["record"]
        for name in re.findall(r"\b(?:gpulab|jupyterhub)[\w:]+(?![(\w])", rule["expr"]):
            if name not in _ELSEWHERE:
                assert seen.query(f'count({{__name__="{name}"}})'), f"{rule}: {name}"


def test_an_empty_panel_would_be_found(seen: Watched) -> None:
    assert seen.query("gpulab_nothing_of_the_kind") == []


def test_books_that_do_not_balance_are_told_of(seen: Watched) -> None:
    books = sqlite3.connect(seen.lab.state.root / "books.sqlite", timeout=30)
    change = "UPDATE accounts SET debt = debt {} 5 WHERE name = 'africa-00'"
    with books:
        assert books.execute(change.format("+")).rowcount == 1
    try:
        assert check_books(seen) == 1
        wait_for("the alert about the books",
                 lambda: "GpuLabBooksDoNotBalance" in seen.firing(), within_s=60)  # fmt: skip
    finally:
        with books:
            books.execute(change.format("-"))
        books.close()
    assert check_books(seen) == 0
    wait_for("its end", lambda: "GpuLabBooksDoNotBalance" not in seen.firing(), within_s=60)


def test_a_driver_that_does_not_answer_leaves_a_scrape_that_does(seen: Watched) -> None:
    assert seen.query("gpulab_gpu_temperature_celsius")
    seen.driver.world.fails = {"nvmlDeviceGetUUID": 999}
    seen.driver.change()
    wait_for("a driver that is down", lambda: seen.query("gpulab_gpu_driver_up == 0"),
             within_s=60)  # fmt: skip
    assert seen.query("gpulab_gpu_temperature_celsius") == []
    assert seen.query('up{job="worker"} == 1')
    seen.driver.world.fails = {}
    seen.driver.change()
    wait_for("the driver again", lambda: seen.query("gpulab_gpu_driver_up == 1"), within_s=60)


def test_p31_without_prometheus_people_start_pay_and_stop(seen: Watched) -> None:
    seen.end_prometheus()
    account = "americas-10"
    (session,) = seen.lab.account(account)["sessions"]
    before = session["charged_mgpu_ms"]
    wait_for("its charge to grow", lambda: seen.lab.account(account)["sessions"][0][
        "charged_mgpu_ms"] > before, within_s=60)  # fmt: skip
    cpu = Waiter(seen.lab, "americas-20", "cpu")
    assert cpu.asks()["state"] == "held"
    assert cpu.leaves() == 200
    visitor = seen.lab.logged_in(account)
    visitor.stop(within_s=90)
    wait_for("the end in the books", lambda: not seen.lab.account(account)["sessions"],
             within_s=60)  # fmt: skip
