"""The report of a week says what happened, reckoned another way here."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.daily import note_refused
from quota.errors import NoSuchThing, TooManySessions
from quota.idling import Idling
from quota.refunding import Incident
from quota.sending import Outbox
from quota.session_states import SessionState
from quota.week_report import (
    SectionWeekReport,
    WeekReport,
    gini,
    report_of,
    reported_weeks,
    shown_week,
)
from tests.quota.books import NOON, PROGRAM, Desk, hours, lab_with
from tests.quota.test_outbox import CHANNELS, chooses
from tests.quota.test_section_overview import TOMAS

HOUR = timedelta(hours=1)


def section(report: WeekReport, name: str = "utc") -> SectionWeekReport:
    return next(one for one in report.sections if one.name == name)


def live_a_day(desk: Desk) -> None:
    """Ada and blaise take both GPUs; chen waits half an hour, dina gives up after an hour."""
    _, ada = desk.run("ada", "whole")
    _, blaise = desk.run("blaise", "whole")
    chen = desk.ask("chen", "whole")
    # Of two who came at the same instant chance decides.
    desk.clock.advance(timedelta(seconds=1))
    dina = desk.ask("dina", "whole")
    assert chen.lease.state == dina.lease.state == "waiting"
    for minutes in range(30):
        desk.clock.advance(timedelta(minutes=1))
        desk.ask("chen", "whole", lease_id=chen.lease.id)
        desk.ask("dina", "whole", lease_id=dina.lease.id)
        if minutes % 5 == 0:
            desk.tick()
    desk.finish(ada)
    desk.tick()
    held = desk.ask("chen", "whole", lease_id=chen.lease.id)
    assert held.lease.state == "held"
    theirs = desk.start(held)
    desk.tick()
    for _ in range(30):
        desk.clock.advance(timedelta(minutes=1))
        desk.ask("dina", "whole", lease_id=dina.lease.id)
        desk.tick()
    desk.books.stop_lease(dina.lease.id, "left_line")
    desk.finish(blaise)
    desk.finish(theirs)
    desk.tick()


def test_hours_waits_and_ends_are_those_of_the_day(desk: Desk) -> None:
    live_a_day(desk)
    report = report_of(desk.books)
    one = section(report)
    assert (one.scholars, one.active, one.ran_out) == (4, 3, 0)
    assert one.owed == hours("40")
    second = GpuTime.of(1000, 1000)
    assert one.used == hours("2") + second + second
    assert (one.waits.asked, one.waits.at_once, one.waits.gave_up) == (4, 2, 1)
    # 0, 0, 30 and 60 minutes.
    assert one.waits.p50_s == pytest.approx(900, abs=1)
    assert one.waits.p95_s == pytest.approx(1800 + 0.85 * 1800, abs=1)
    # Of 10 hours each: 0.5, 1, 0.5 and none.
    assert one.gini == pytest.approx(pairwise([0.05, 0.1, 0.05, 0]), abs=1e-3)
    assert dict(report.ends) == {"server_gone": 3}
    assert report.gpus.gpus == 2
    assert report.gpus.taken == one.used
    # Berlin's week began an hour before: on Sunday at 23:00.
    since_sunday = desk.clock.now() - (NOON - timedelta(days=2, hours=13))
    assert report.gpus.possible == GpuTime(2 * 1000 * int(since_sunday.total_seconds()) * 1000)
    assert section(report, "berlin").gini is None or section(report, "berlin").used == hours("0")


def test_another_section_has_none_of_it(desk: Desk) -> None:
    live_a_day(desk)
    report = report_of(desk.books, section="berlin")
    assert [one.name for one in report.sections] == ["berlin"]
    assert (report.sections[0].active, report.sections[0].waits.asked) == (0, 0)
    assert report.ends == ()
    with pytest.raises(NoSuchThing, match="there is berlin, utc"):
        report_of(desk.books, section="Berlin")


def test_a_session_across_the_weeks_end_is_in_both(engine: Engine) -> None:
    desk = Desk(engine, lab_with(PROGRAM))
    desk.clock.set(NOON + timedelta(days=4, hours=11))  # Sunday, 23:00
    desk.run("ada", "whole")
    desk.go(every_s=300, hours=2)
    first, second = report_of(desk.books, 1), report_of(desk.books, 2)
    assert section(first).used == hours("1")
    assert (section(first).active, section(second).active) == (1, 1)
    assert (section(first).waits.asked, section(second).waits.asked) == (1, 0)
    # What is not posted yet of the second week's hour is less than a step of ten minutes.
    assert hours("0.8") <= section(second).used <= hours("1")
    assert (first.number, first.topic) == (1, "Basics")
    desk.check()


def test_refunds_and_refusals_stand_in_it(desk: Desk) -> None:
    desk.run("ada", "whole")
    desk.go(every_s=300, hours=1)
    with pytest.raises(TooManySessions):
        desk.ask("ada", "whole", server="more")
    note_refused(desk.books, {"too_many_sessions": 2, "gpus_closed": 1})
    desk.clock.advance(timedelta(days=1))
    note_refused(desk.books, {"too_many_sessions": 3})
    fault = Incident(id="power", starts_at=NOON, ends_at=NOON + HOUR / 2, reason="Power cut")
    desk.office.refund(fault, by=TOMAS)
    report = report_of(desk.books)
    assert report.refusals == (("too_many_sessions", 5), ("gpus_closed", 1))
    (refund,) = report.refunds
    assert (refund.scholars, refund.amount) == (1, hours("0.5"))
    assert "Power cut" in refund.reason
    desk.clock.advance(timedelta(days=7))
    assert report_of(desk.books).refusals == ()


def test_weeks_are_named_as_people_count_them(engine: Engine) -> None:
    lab = lab_with(PROGRAM)
    before, within = NOON - timedelta(days=30), NOON
    in_break, after = NOON + timedelta(days=25), NOON + timedelta(days=90)
    assert [shown_week(lab, at) for at in (before, within, in_break, after)] == [1, None, 3, 4]
    assert [week.number for _, week in reported_weeks(lab, None, section=None, now=NOON)] == [1, 1]
    for number, at, said in (
        (9, NOON, "number 9. The program has the weeks 1 to 4"),
        (None, in_break, "No week is running"),
    ):
        with pytest.raises(NoSuchThing, match=said):
            reported_weeks(lab, number, section="utc", now=at)
    with pytest.raises(NoSuchThing, match="weeks have no numbers"):
        report_of(Desk(engine).books, 1)


def pairwise(shares: list[float]) -> float:
    """Gini by its definition: half of the mean difference of all pairs, as a part of the mean."""
    differences = sum(abs(a - b) for a, b in product(shares, repeat=2))
    return differences / (2 * len(shares) * sum(shares))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_gini_is_what_its_definition_says(shares: list[float]) -> None:
    found = gini(shares)
    if sum(shares) == 0:
        assert found is None
        return
    assert found == pytest.approx(pairwise(shares), abs=1e-9)


def test_gini_of_known_shares() -> None:
    assert gini([]) is None
    assert gini([0.5, 0.5, 0.5]) == pytest.approx(0)
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)


def test_organizers_who_want_it_are_told_of_a_week_that_is_over(engine: Engine) -> None:
    desk = Desk(engine, lab_with(CHANNELS))
    chooses(desk, "olga", week_report="room")
    desk.use("ada", "whole", hours=1)
    sender = Outbox(desk.books)
    # Sections' weeks end on Monday: in Berlin at 23:00 on Sunday, in UTC an hour later.
    desk.at("2026-11-29 23:30")
    assert sender.claim().letters == []
    desk.at("2026-11-30 00:00")
    (letter,) = sender.claim().letters
    assert (letter.kind, letter.channel) == ("week_report", "room")
    assert "1.00 of 41.00 GPU-hours were used (2 %); 1 of 5 scholars had a session" in letter.text
    assert sender.claim().letters == Outbox(desk.books).claim().letters == []
    desk.at("2026-12-03 00:00")
    assert Outbox(desk.books).claim().letters == []
    desk.check()


def test_what_stood_idle_is_counted_once_it_is_over(desk: Desk) -> None:
    idling, begun = Idling(desk.books), desk.clock.now()
    quarter, _ = desk.run("ada", "quarter")
    whole, ref = desk.run("blaise", "whole")

    def see(**states: str) -> None:
        ids = {"ada": quarter, "blaise": whole}
        idling.note({ids[who]: SessionState(state=state, since=desk.clock.now())  # type: ignore[arg-type]  # a word
                     for who, state in states.items()})  # fmt: skip

    see(ada="holding", blaise="empty")
    desk.go(every_s=60, minutes=10)
    assert report_of(desk.books).gpus.idle == GpuTime.ZERO
    see(ada="active")
    assert report_of(desk.books).gpus.idle == GpuTime.of(250, 600_000)
    desk.finish(ref)
    desk.tick()
    desk.go(every_s=60, minutes=5)
    see(ada="training")
    # Ada's ten minutes on a quarter, and blaise's ten on a whole one until it ended.
    assert report_of(desk.books).gpus.idle == GpuTime.of(250, 600_000) + GpuTime.of(1000, 600_000)
    see(ada="active")
    assert report_of(desk.books).gpus.idle == GpuTime.of(1250, 600_000)
    assert desk.clock.now() - begun == timedelta(minutes=15)
