"""How busy sessions keep their GPUs, in the books: few writes, and never a number that is old."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, event

from quota.gpu_use import MINUTES_KEPT, SessionUse, fresh_for, is_news
from quota.idling import Idling
from quota.section_overview import section_overview
from quota.session_states import SessionState
from quota.shown import short_use_text, use_text
from quota.standings import lab_standing
from tests.quota.books import Desk

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LONG = timedelta(hours=1)


def use(percent: int | None, mib: int | None = 900, *, s: float = 0) -> SessionUse:
    return SessionUse(seen_at=NOON + timedelta(seconds=s), busy_percent=percent, held_mib=mib,
                      minutes=(percent,))  # fmt: skip


@pytest.mark.parametrize(
    ("kept", "seen", "writes"),
    [
        (None, use(40), True),
        (None, use(None, None), False),
        (None, use(None, 0), True),
        (use(40), use(44, 1155, s=15), False),
        (use(40), use(45, s=15), True),
        (use(40), use(40, 1156, s=15), True),
        (use(40), use(None, s=15), True),
        (use(40), use(None, None, s=15), True),
        (use(None, None), use(None, None, s=600), False),
        (use(40), use(40, s=59), False),
        (use(40), use(40, s=60), True),
    ],
)
def test_a_look_is_written_once_a_minute_and_when_much_has_changed(
    kept: SessionUse | None, seen: SessionUse, *, writes: bool
) -> None:
    assert is_news(kept, seen) is writes


def test_minutes_without_a_look_are_gaps_and_two_hours_are_kept() -> None:
    first = use(40)
    told = {"busy_percent": 50, "held_mib": 900, "mean": 50}
    later = first.at(NOON + timedelta(minutes=3), **told, between=None)
    assert later.minutes == (40, None, None, 50)
    assert first.at(NOON + timedelta(minutes=3), **told, between=50).minutes == (40, 50, 50, 50)
    assert later.begins_at == NOON
    assert later.at(NOON + timedelta(minutes=3, seconds=9), **told, between=None).minutes == (
        40, None, None, 50)  # fmt: skip
    far = first.at(NOON + timedelta(days=40), **told, between=None)
    assert far.minutes == (None,) * (MINUTES_KEPT - 1) + (50,)
    assert far.begins_at == NOON + timedelta(days=40) - timedelta(minutes=MINUTES_KEPT - 1)


def test_without_looks_nothing_is_known_of_now() -> None:
    one = use(40)
    soon = NOON + timedelta(minutes=3)
    assert one.as_of(soon, fresh_for=fresh_for(15)) is one
    late = one.as_of(soon + timedelta(seconds=1), fresh_for=fresh_for(15))
    assert not late.is_measured
    assert late.minutes == (40, None, None, None)
    assert fresh_for(300) == timedelta(minutes=20), "slow ticks are no gap"


@pytest.mark.parametrize(
    ("seen", "text", "short"),
    [
        (None, "not measured", "not measured"),
        (use(None, None), "not measured", "not measured"),
        (use(63, 3174), "63 % of the time, 3.1 of 4 GiB held", "63 %, 3.1 GiB"),
        (use(0, 0), "0 % of the time, 0.0 of 4 GiB held", "0 %, 0.0 GiB"),
        (use(None, 3174), "time not measured, 3.1 of 4 GiB held", "not measured, 3.1 GiB"),
        (use(63, None), "63 % of the time", "63 %"),
    ],
)
def test_what_is_not_measured_is_said(seen: SessionUse | None, text: str, short: str) -> None:
    assert (use_text(seen, 4096), short_use_text(seen)) == (text, short)


class Eyes:
    """A worker that looks every 15 seconds, and a count of what it writes."""

    def __init__(self, engine: Engine) -> None:
        self.desk = Desk(engine)
        self.idling = Idling(self.desk.books)
        self.uses: dict[UUID, SessionUse] = {}
        self.written: list[str] = []
        event.listen(engine, "before_cursor_execute", self._count)

    def start(self, who: str) -> UUID:
        lease_id, _ = self.desk.run(who, "quarter")
        return lease_id

    def look(self, percents: dict[UUID, int | None], *, s: int = 15) -> None:
        self.desk.clock.advance(timedelta(seconds=s))
        now = self.desk.clock.now()
        for lease_id, percent in percents.items():
            mib = None if percent is None else 900
            told = {"busy_percent": percent, "held_mib": mib}
            before = self.uses.get(lease_id)
            self.uses[lease_id] = (
                SessionUse(seen_at=now, minutes=(percent,), **told) if before is None
                else before.at(now, **told, mean=percent, between=None)
            )  # fmt: skip
        state = SessionState(state="active", since=NOON)
        self.idling.note(dict.fromkeys(percents, state), self.uses)

    def shown(self, who: str) -> SessionUse | None:
        state = self.desk.books.account(who).sessions[0].state
        assert state is not None
        return state.use

    def _count(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE session_states SET seen_at"):
            self.written.append(statement)


@pytest.fixture
def eyes(engine: Engine) -> Iterator[Eyes]:
    eyes = Eyes(engine)
    yield eyes
    event.remove(engine, "before_cursor_execute", eyes._count)
    eyes.desk.check()


def test_uses_are_read_back_as_they_were_written(eyes: Eyes) -> None:
    ada, blaise = eyes.start("ada"), eyes.start("blaise")
    for percents in ((0, 100), (50, None), (None, 7)):
        eyes.look(dict(zip((ada, blaise), percents, strict=True)), s=60)
    assert eyes.shown("ada") == eyes.uses[ada]
    assert eyes.shown("blaise") == eyes.uses[blaise]
    assert eyes.uses[ada].minutes == (0, 50, None)
    # The tables of TAs and organizers have the same.
    lines = {one.name: one for one in section_overview(eyes.desk.books, "utc", "tomas").scholars}
    state = lines["blaise"].sessions[0].state
    assert state is not None
    assert state.use == eyes.uses[blaise]
    people = {one.account: one for one in lab_standing(eyes.desk.books).people}
    state = people["blaise"].sessions[0].state
    assert state is not None
    assert state.use == eyes.uses[blaise]


def test_looks_write_once_a_minute_for_all_sessions_together(eyes: Eyes) -> None:
    some = [eyes.start(who) for who in ("ada", "blaise", "chen")]
    eyes.look(dict.fromkeys(some, 40))
    eyes.written.clear()
    for number in range(16):
        eyes.look(dict.fromkeys(some, 40 + number % 3))
    assert len(eyes.written) == 4, "four minutes, one statement for three sessions"


def test_what_cannot_be_measured_is_not_written(eyes: Eyes) -> None:
    ada = eyes.start("ada")
    for _ in range(8):
        eyes.look({ada: None}, s=60)
    assert eyes.written == []
    assert eyes.shown("ada") is None


def test_when_the_worker_is_away_no_old_number_is_shown(eyes: Eyes) -> None:
    ada = eyes.start("ada")
    eyes.look({ada: 63})
    assert eyes.shown("ada") == eyes.uses[ada]
    eyes.desk.clock.advance(timedelta(minutes=4))
    shown = eyes.shown("ada")
    assert shown is not None
    assert (shown.busy_percent, shown.held_mib) == (None, None)
    assert shown.minutes[0] == 63
    assert set(shown.minutes[1:]) == {None}
    kept = eyes.idling.keep(ada).use
    assert kept is not None
    assert not kept.is_measured


def test_an_answer_that_keeps_the_gpu_does_not_undo_what_was_measured(eyes: Eyes) -> None:
    ada = eyes.start("ada")
    eyes.look({ada: 63})
    kept = eyes.idling.keep(ada)
    assert (kept.use, eyes.shown("ada")) == (eyes.uses[ada], eyes.uses[ada])
    eyes.look({ada: 20})
    state = eyes.desk.books.account("ada").sessions[0].state
    assert state is not None
    assert state.kept_until == kept.kept_until
