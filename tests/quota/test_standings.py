"""Tables of many people say of each the same as that person's own page."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.audit import By
from quota.outlook import gpu_outlook, section_outlooks
from quota.standings import lab_standing
from tests.quota.books import Desk, lab_with

MORE = """
due_dates:
  review: {title: Review, due: 2026-11-27 23:59, hours: 4, hours_from: 2026-11-24, sections: [utc]}
roll_over: {percent: 50}
"""


def test_everybody_stands_in_the_table_as_on_their_own_page(engine: Engine) -> None:
    desk = Desk(engine, lab_with(MORE))
    desk.run("emeka", "whole")  # with one hour a week it overspends: a debt is left
    desk.run("ada", "whole")  # the boost is used up and closed, the allowance begun
    desk.go(every_s=1000, hours=6)
    desk.run("blaise", "quarter")
    desk.ask("chen", "whole")
    desk.office.grant(uuid4(), "dina", GpuTime.hours(2), by=By(actor="olga"), reason="x")
    desk.clock.advance(timedelta(minutes=7))
    found = {one.account: one for one in lab_standing(desk.books).people}
    assert found["emeka"].debt > GpuTime.ZERO
    assert list(found) == ["ada", "blaise", "chen", "dina", "emeka"]
    for name, one in found.items():
        view = desk.books.account(name)
        for figure in ("granted", "charged", "held", "balance", "available", "debt"):
            assert getattr(one, figure) == getattr(view, figure), (name, figure)
        assert [(x.lease, x.charged, x.ends_at) for x in one.sessions] == [
            (x.lease, x.charged, x.ends_at) for x in view.sessions]  # fmt: skip
        assert one.week == view.week
    assert [one.account for one in lab_standing(desk.books, section="berlin").people] == ["emeka"]


def test_what_is_promised_is_held_against_what_is_possible(engine: Engine) -> None:
    desk = Desk(engine, lab_with(
        "\nblackouts: {move: {starts: 2026-11-28 00:00, ends: 2026-11-29 00:00},"
        " also: {starts: 2026-11-28 12:00, ends: 2026-11-28 18:00}}"))  # fmt: skip
    desk.run("blaise", "whole")
    desk.go(every_s=900, minutes=60)
    standing = lab_standing(desk.books)
    utc, berlin = section_outlooks(desk.books.lab, standing)
    # From Wednesday 13:00 to Monday 00:00 are 107 hours, an hour less in Berlin; a day is closed.
    assert utc.possible == GpuTime.hours(2 * (107 - 24))
    assert berlin.possible == GpuTime.hours(2 * (106 - 24))
    assert (utc.given, utc.used, utc.left) == tuple(map(GpuTime.hours, (40, 1, 39)))
    # Berlin's week ends first, so its hours count in both, and those of the others only in theirs.
    assert (berlin.promised, utc.promised) == (GpuTime.hours(1), GpuTime.hours(40))
    assert not utc.is_short
    assert (utc.scholars, utc.running) == (4, 1)
    gpus = gpu_outlook(standing)
    assert (gpus.in_service, gpus.running, gpus.waiting, gpus.free_mgpu) == (2, 1, 0, 1000)


def test_too_much_is_promised_when_the_gpus_are_away(engine: Engine) -> None:
    desk = Desk(engine, lab_with("\ndrained_gpus: {GPU-0: {}, GPU-1: {}}"))
    (utc, berlin) = section_outlooks(desk.books.lab, lab_standing(desk.books))
    assert utc.is_short
    assert berlin.is_short
    assert utc.possible == GpuTime.ZERO
