"""P15: the report of a week says what an independent reckoning says, of every week and person."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from quota import listings
from quota.amount import GpuTime
from quota.clock import ManualClock
from quota.observed import Observed
from tests.faults.story import WEIGHTS
from tests.quota.books import Desk, make_lab

ZONES = {"ada": "UTC", "blaise": "UTC", "chen": "UTC", "dina": "UTC", "emeka": "Europe/Berlin"}
# The clocks in Berlin are set back in the second of these weeks.
WEEKS = (date(2026, 10, 12), date(2026, 10, 19), date(2026, 10, 26), date(2026, 11, 2))
MONDAYS = WEEKS[:3]
T = timedelta(seconds=30)


def week_of(who: str, monday: date) -> tuple[datetime, datetime]:
    """The instants of a week, by nothing but the zone's own clock."""
    zone = ZoneInfo(ZONES[who])
    first, last = (datetime.combine(day, time(), zone).astimezone(UTC)
                   for day in (monday, monday + timedelta(days=7)))  # fmt: skip
    return first, last


class Class:
    """Three weeks of sessions at any hour, many across midnight from Sunday to Monday."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.rng = random.Random(seed)
        start = datetime.combine(MONDAYS[0], time(6), UTC)
        self.desk = Desk(engine, make_lab(sessions_per_scholar=2), ManualClock(start))
        self.records: list[Observed] = []

    def live(self) -> None:
        desk = self.desk
        for day in range(21):
            evening = 18 if day % 7 == 6 else self.rng.randrange(6, 22)
            at = datetime.combine(MONDAYS[0], time(evening), UTC) + timedelta(days=day)
            desk.clock.set(max(desk.clock.now(), at))
            refs = list(self._arrivals())
            desk.tick()
            # On Sundays until after both zones' midnights.
            for _ in range(10 if day % 7 == 6 else 3):
                desk.clock.advance(timedelta(milliseconds=self.rng.randint(2_000_000, 2_700_000)))
                desk.tick()
            for ref in refs:
                desk.finish(ref)
                self.records.append(desk.containers[ref])
                desk.clock.advance(timedelta(milliseconds=self.rng.randint(1, 60_000)))
            desk.tick()
            desk.tick()
        assert desk.containers == {}

    def _arrivals(self) -> Iterator[str]:
        for who in ("emeka", *self.rng.sample(sorted(set(ZONES) - {"emeka"}), 3)):
            if self.desk.books.account(who).available > GpuTime.hours("0.5"):
                yield self.desk.start(self.desk.ask(who, "quarter"))
                self.desk.clock.advance(timedelta(milliseconds=self.rng.randint(1, 9_000)))

    def reckoned(self, monday: date) -> Counter[str]:
        """Sum what ran in a week from the runtime's own record, in thousandths x ms."""
        found = Counter[str]()
        for one in self.records:
            assert one.started_at is not None
            assert one.finished_at is not None
            starts_at, ends_at = week_of(one.account, monday)
            ran = min(one.finished_at, ends_at) - max(one.started_at, starts_at)
            found[one.account] += WEIGHTS[one.flavor] * max(0, ran // timedelta(milliseconds=1))
        return +found

    def reported(self, monday: date, *, late: timedelta = timedelta(0)) -> Counter[str]:
        found = Counter[str]()
        for who in ZONES:
            starts_at, ends_at = week_of(who, monday)
            used = listings.used(self.desk.books, [who], starts_at + late, ends_at + late)
            found[who] = used.get(who, GpuTime.ZERO).mgpu_ms
        return +found


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_p15_each_weeks_report_is_what_an_oracle_says(engine: Engine, seed: int) -> None:
    some = Class(engine, seed)
    some.live()
    for monday in WEEKS:
        assert some.reckoned(monday), "something was used then"
        assert some.reported(monday) == some.reckoned(monday), monday
    # All that ran is in a report, and the books are as new as two ticks ago.
    whole = sum((some.reported(monday) for monday in WEEKS), Counter[str]())
    load = some.desk.books.load()
    assert whole.total() == load.counters["charged_mgpu_ms", ""]
    assert load.unposted == GpuTime.ZERO
    assert load.oldest_tick_at is not None
    assert some.desk.clock.now() - load.oldest_tick_at <= 2 * T
    # The negative control: weeks of another zone.
    assert any(
        some.reported(monday, late=timedelta(hours=1)) != some.reckoned(monday)
        for monday in MONDAYS
    )
    some.desk.check()
