"""P17, P18, P19: whatever is busy, stopped or dead, what is used up is gone in time.

Real labs with real containers. When each was gone is the word of a program of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from lab.trial.exhausting import TROUBLES, exhausting_text, load_of, start_all
from lab.trial.running import RunningLab
from lab.trial.waiting import wait_for
from quota.clock import to_ms
from quota.store.engine import open_engine, reading
from quota.store.tables import leases
from tests.engine import throwaway_engine
from tests.faults.witness import Ran, charged_spans, differences, recorder

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(900)]

# T + G: 30 s to act, 20 s of grace.
_MOST_S = 50.0
# With all else dead the watchdog acts at the deadline, 50 s after the last paid instant, within T.
_WATCHDOG_MOST_S = 50.0 + 30.0
_BUSY = 0.6


@dataclass(frozen=True)
class Case:
    """One trouble; `alarm` is what somebody has to be told."""

    trouble: str
    sessions: int
    most_s: float = _MOST_S
    alarm: str = ""
    program: str = "worker"


CASES = [
    Case("idle", 20),
    Case("busy-hub", 20),
    Case("proxy-dead", 5, alarm="hub_did_not_stop"),
    Case("hub-stopped", 5, alarm="hub_did_not_stop"),
    Case("service-dead", 5),
    Case("all-dead", 5, _WATCHDOG_MOST_S, "session_outlived_deadline", "watchdog"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.trouble)
def test_p17_p18_p19_what_is_used_up_is_gone_in_time(case: Case, tmp_path: Path) -> None:
    with (
        throwaway_engine() as engine,
        RunningLab(tmp_path / "lab", text=exhausting_text(case.sessions), spawner="docker",
                   hub_id=engine.hub_id) as lab,
        recorder("docker", engine.hub_id, tmp_path / "record.jsonl") as record,
    ):  # fmt: skip
        promised = start_all(lab, case.sessions)
        with TROUBLES[case.trouble](lab):
            if case.trouble == "busy-hub":
                load = load_of(lab.pid_of("hub"), for_s=5)
                print(f"the hub uses {load:.2f} of a core")
                assert load >= _BUSY, "two cores are shared with all that asks it"
            wait_for("the end of all", lambda: not lab.sessions(), within_s=400, every_s=0.5)
            assert (f'"{case.alarm}"' in lab.log_of(case.program)) == bool(case.alarm)
        wait_for("closed books", lambda: len(_paid_until(lab)) == case.sessions, within_s=120,
                 every_s=1)  # fmt: skip
        wait_for("the witness", lambda: len(record.read()) == case.sessions, within_s=20)
        paid_until = {key: at or promised[key] for key, at in _paid_until(lab).items()}
        lags_s = _lags_s(record.read(), paid_until)
        print(f"{case.trouble}: n {len(lags_s)}, median {lags_s[len(lags_s) // 2]:.1f} s, "
              f"most {lags_s[-1]:.1f} s")  # fmt: skip
        assert lags_s[0] >= 0
        assert lags_s[-1] <= case.most_s
        books = open_engine(f"sqlite:///{lab.state.root / 'books.sqlite'}")
        found = differences(record.read(), charged_spans(books))
        books.dispose()
        assert not found, found


def _paid_until(lab: RunningLab) -> dict[UUID, datetime | None]:
    """Return until when each session that is over was paid; None where no worker ended it."""
    books = open_engine(f"sqlite:///{lab.state.root / 'books.sqlite'}")
    try:
        with reading(books) as tx:
            query = select(leases.c.id, leases.c.paid_until).where(leases.c.state == "ended")
            return {row.id: row.paid_until for row in tx.execute(query)}
    finally:
        books.dispose()


def _lags_s(ran: dict[UUID, Ran], paid_until: dict[UUID, datetime]) -> list[float]:
    found = []
    for lease_id, one in ran.items():
        assert one.gone_ms is not None
        found.append((one.gone_ms - to_ms(paid_until[lease_id])) / 1000)
    return sorted(found)
