"""What a change would mean for people is told before it is made, and is what then happens."""

from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.audit import By
from quota.foreseen import hours_changes
from quota.rulebook import Amendment, amended, entry_body
from tests.quota.books import NOON, PROGRAM, Desk, lab_with


def hours(text: str) -> GpuTime:
    return GpuTime.hours(text)


def test_what_was_foreseen_is_what_the_books_give(engine: Engine) -> None:
    desk = Desk(engine, lab_with(PROGRAM))
    lab, books = desk.books.lab, desk.books
    changed = {"hours_per_week": "12", "hours_in_weeks": {"2": "5"}, "scholars": ["ada", "blaise"]}
    body = entry_body(lab, "sections", "utc") | changed
    after = amended(lab, [Amendment(part="sections", name="utc", body=body, version=0)])
    found = hours_changes(lab, after, NOON)
    seen = {(one.scholar, one.week.number): (one.before, one.after) for one in found}
    assert seen["ada", 1] == (hours("10"), hours("12"))
    assert seen["ada", 2] == (hours("10"), hours("5"))
    assert ("ada", 3) not in seen  # the program gives 20 in it, before and after
    # Who is in no section any more gets nothing.
    assert seen["chen", 1] == (hours("10"), GpuTime.ZERO)
    assert {one.scholar for one in found} == {"ada", "blaise", "chen", "dina"}
    assert [one.week.number for one in found if one.is_running] == [1] * 4
    books.account("ada")
    desk.office.change_rule("sections", "utc", body, tag=None, by=By(actor="olga"), reason="x")
    assert books.account("ada").granted == hours("12")


def test_hours_of_a_due_date_count_in_the_week_in_which_it_is_due() -> None:
    lab = lab_with()
    due = Amendment(part="due_dates", name="talk", version=0, body={
        "due": "2026-12-01 10:00", "hours": "3", "sections": ["berlin"]})  # fmt: skip
    (one,) = hours_changes(lab, amended(lab, [due]), NOON)
    assert (one.scholar, one.is_running, one.before, one.after) == (
        "emeka", False, hours("1"), hours("4"))  # fmt: skip


def test_nothing_changes_where_nothing_is_changed() -> None:
    lab = lab_with(PROGRAM)
    assert hours_changes(lab, lab, NOON) == ()
