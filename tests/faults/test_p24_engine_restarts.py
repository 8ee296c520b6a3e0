"""P24: the Docker engine is restarted and killed, with live-restore and without."""

import signal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine as Database
from structlog.testing import capture_logs

from lab.trial.waiting import wait_for
from tests.faults.containers import ContainerLab, container_lab
from tests.faults.witness import Record, charged_spans, differences, recorder
from tests.private_engine import IMAGE, PrivateEngine, private_engine

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ENDS = {"restarted": signal.SIGTERM, "killed": signal.SIGKILL}
PEOPLE = ("ada", "blaise")
# The engine writes the end of what died while it was away down when it is back; the books follow
# the engine's record, by at most one look (15 s).
_END_WITHIN_MS = 15_000
# To the kernel a container begins when the engine forks for it: under load seconds before its own
# program runs, which is what the engine calls its start.
_START_WITHIN_MS = 5_000


def test_p24_sessions_outlive_an_engine_that_is_killed(database: Database, tmp_path: Path) -> None:
    with private_engine(live_restore=True) as engine:
        _play(engine, database, tmp_path, ["killed"])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "plain"])
def test_p24_ten_ends_of_the_engine_charge_what_really_ran(
    database: Database, tmp_path: Path, live_restore: bool
) -> None:
    with private_engine(live_restore=live_restore) as engine:
        _play(engine, database, tmp_path, ["restarted", "killed"] * 5)


def _play(engine: PrivateEngine, database: Database, folder: Path, ends: list[str]) -> None:
    hub_id = f"test-{uuid4().hex[:12]}"
    with (
        recorder("kernel", hub_id, folder / "record.jsonl") as record,
        container_lab(database, engine.client, hub_id, folder, url=engine.url,
                      image=IMAGE) as lab,
    ):  # fmt: skip
        for how in ends:
            _end_engine_once(engine, lab, ENDS[how])
        running = {one.lease_id for one in lab.runtime.observe() if one.is_running}
        for lease_id in running:
            assert lease_id is not None
            lab.books.stop_lease(lease_id, "person")
        lab.tick_until("empty books", lambda: not any(map(lab.books_sessions, PEOPLE)))
        _agree(record, lab)


def _end_engine_once(engine: PrivateEngine, lab: ContainerLab, number: int) -> None:
    """End the engine under two sessions, and start it again."""
    for who in PEOPLE:
        if not lab.books_sessions(who):
            lab.start(who)
    lab.tick()
    before = {one.lease_id: one.started_at for one in lab.runtime.observe() if one.is_running}
    assert len(before) == len(PEOPLE)
    engine.end(number)
    with capture_logs() as logs:
        lab.tick()
    assert "tick_failed" in [one["event"] for one in logs], "nothing is concluded from silence"
    states = [session.lease.state for who in PEOPLE for session in lab.books_sessions(who)]
    assert states == ["active"] * len(PEOPLE)
    engine.start()
    lab.client = engine.client
    lab.tick()
    after = {one.lease_id: one.started_at for one in lab.runtime.observe() if one.is_running}
    if engine.live_restore:
        assert after == before, "each goes on, on its lease, from its own start"
    else:
        assert not after
        assert not any(map(lab.books_sessions, PEOPLE)), "ended, and its hold is given back"


def _agree(record: Record, lab: ContainerLab) -> None:
    charged = charged_spans(lab.books_engine)
    wait_for("the witness' word", lambda: record.read().keys() >= charged.keys(), within_s=20)
    found = differences(record.read(), charged, within_ms=_START_WITHIN_MS,
                        end_within_ms=_END_WITHIN_MS)  # fmt: skip
    assert not found, found
