"""What a scholar's own pages read from the books."""

from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.own_hours import ledger, own_hours, use_of_week
from tests.quota.books import Desk, hours, make_lab


def test_what_runs_its_place_in_the_line_and_the_balance_are_of_one_moment(desk: Desk) -> None:
    desk.run("blaise")
    desk.run("ada")
    desk.go(hours=1)
    waits = desk.ask("chen")
    assert waits.lease.state == "waiting"
    found = own_hours(desk.books, "chen")
    assert found.account == desk.books.account("chen")
    (one,) = found.sessions
    assert one.line == waits.line
    assert one.line is not None
    assert (one.line.position, one.line.of, one.gpu) == (1, 1, None)
    runs = own_hours(desk.books, "ada")
    assert runs.sessions[0].gpu is not None
    assert (runs.rate_mgpu, runs.sessions[0].line) == (1000, None)
    assert runs.explanation == desk.books.explanation("ada")
    assert runs.account.runs_out_at == runs.sessions[0].session.ends_at
    assert runs.set_aside == runs.account.balance - runs.account.available
    assert runs.set_aside > GpuTime.ZERO


def test_whoever_leaves_the_line_or_stops_by_themselves_is_noted_so(desk: Desk) -> None:
    lease_id, ref = desk.run("ada")
    desk.run("blaise")
    waits = desk.ask("chen")
    left = desk.books.stop_lease(waits.lease.id, "scholar")
    assert (left.lease.state, left.lease.end_reason) == ("ended", "left_line")
    desk.go(hours=1)
    desk.books.stop_lease(lease_id, "scholar")
    assert [order.reason for order in desk.tick().stops] == ["scholar"]
    desk.finish(ref)
    desk.tick()
    (line,) = ledger(desk.books, "ada", before=None, most=10)
    assert (line.lease.end_reason, line.charged) == ("scholar", hours("1"))


def test_the_ledger_goes_from_the_newest_back_and_misses_nothing(desk: Desk) -> None:
    made = [desk.use("ada", "quarter", minutes=20) for _ in range(5)]
    running, _ = desk.run("ada")
    desk.go(every_s=300, minutes=20)
    found, place = [], None
    while some := ledger(desk.books, "ada", before=place, most=2):
        found += some
        place = (some[-1].begun_at, some[-1].lease.id)
    assert [one.lease.id for one in found] == [running, *reversed(made)]
    assert [one.charged for one in found[1:]] == [hours("5 min")] * 5
    whole = GpuTime.total(one.charged for one in found)
    assert whole == desk.books.account("ada").charged
    assert GpuTime.total(day.amount for day in use_of_week(desk.books, "ada")) == whole


def test_who_never_came_has_hours_and_no_use(engine: Engine) -> None:
    desk = Desk(engine, lab=make_lab())
    found = own_hours(desk.books, "dina")
    assert (found.sessions, found.lasts_until, found.rate_mgpu) == ((), None, 0)
    assert ledger(desk.books, "dina", before=None, most=10) == []
    assert GpuTime.total(day.amount for day in use_of_week(desk.books, "dina")) == GpuTime.ZERO
