"""A program as the books live it: weeks, extra hours before due dates, roll-over, absences."""

from datetime import timedelta
from uuid import uuid4

import pytest

from quota.audit import By
from quota.errors import InsufficientBalance, OutsideProgram, TooManySessions
from tests.quota.books import PROGRAM, Desk, hours, lab_with

ESSAY = "due_dates: {essay: {title: Essay, due: 2026-11-26 20:00, hours: 2}}\n"


def test_weeks_give_their_own_hours_and_the_last_one_is_the_end(desk: Desk) -> None:
    desk.follow(lab_with(PROGRAM, section="hours_in_weeks: {2: 4}"))
    found = {}
    for day in ("2026-11-25", "2026-12-02", "2026-12-09", "2026-12-20", "2027-01-05"):
        desk.at(day)
        view = desk.books.account("ada")
        found[day] = (view.week.number if view.week else None, view.balance.text())
    assert found == {
        "2026-11-25": (1, "10"), "2026-12-02": (2, "4"), "2026-12-09": (3, "20"),
        "2026-12-20": (None, "0"), "2027-01-05": (4, "10"),
    }  # fmt: skip
    for outside in ("2026-11-22", "2026-12-20", "2027-01-11"):
        desk.at(outside)
        with pytest.raises(OutsideProgram):
            desk.ask("ada")
        assert desk.ask("ada", "cpu", server=outside).lease.state == "held"


def test_a_scholar_can_have_own_hours_and_more_sessions(desk: Desk) -> None:
    desk.follow(lab_with("scholars: {ada: {hours_per_week: 3, sessions: 2}}"))
    assert desk.balance("ada") == "3.00"
    assert desk.balance("blaise") == "10.00"
    desk.run("ada", "quarter")
    desk.run("ada", "quarter", server="second")
    with pytest.raises(TooManySessions):
        desk.ask("ada", "quarter", server="third")
    desk.run("blaise", "quarter")
    with pytest.raises(TooManySessions):
        desk.ask("blaise", "quarter", server="second")


def test_two_sessions_of_one_scholar_are_both_charged(desk: Desk) -> None:
    desk.follow(lab_with(sessions_per_scholar=2))
    _, first = desk.run("ada", "whole")
    desk.go(every_s=300, minutes=30)
    desk.run("ada", "quarter", server="second")
    desk.go(every_s=300, hours=1)
    desk.finish(first)
    desk.tick()
    assert desk.books.account("ada").balance == hours("8.25")


# -- due dates -----------------------------------------------------------------------------------


def test_a_due_date_gives_extra_hours_until_it_is_due(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    assert desk.sources() == {"boost": "2", "allowance": "10"}
    desk.use(hours=1)
    assert desk.sources() == {"boost": "1", "allowance": "10"}, "what ends first is used first"
    desk.at("2026-11-26T20:00")
    assert desk.sources() == {"allowance": "10"}
    assert desk.sources("emeka") == {"allowance": "1"}, "Berlin was due an hour earlier"
    desk.use(hours=1)
    assert desk.sources() == {"allowance": "9"}


def test_use_across_a_due_instant_is_split_at_it(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    desk.at("2026-11-26T19:30")
    desk.use(hours=1)
    assert desk.sources() == {"allowance": "9.5"}
    charges = desk.books.account("ada").charges
    assert sum(charge.amount.mgpu_ms for charge in charges) == hours("1").mgpu_ms


def test_a_boost_that_ends_under_a_silent_worker_still_pays_for_its_time(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    desk.at("2026-11-26T18:30")
    _, ref = desk.run()
    desk.clock.advance(timedelta(hours=2))
    # Settles the account while nobody knows yet what ran in the last hour and a half.
    desk.office.grant(uuid4(), "ada", hours("1"), by=By(actor="olga"), reason="extra")
    desk.finish(ref)
    desk.tick()
    assert desk.books.account("ada").balance == hours("10.5"), "1.5 h were the boost's"


def test_a_due_date_moved_later_keeps_its_hours_open(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    desk.use(hours=1)
    desk.follow(lab_with(ESSAY.replace("11-26 20:00", "11-27 18:00")))
    desk.at("2026-11-27T17:00")
    assert desk.sources()["boost"] == "1"
    desk.at("2026-11-27T18:00")
    assert "boost" not in desk.sources()


def test_a_due_date_put_off_for_a_week_gives_its_hours_then(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    desk.use(hours=0.5)
    desk.follow(lab_with(ESSAY.replace("2026-11-26", "2026-12-03")))
    desk.use(minutes=5)
    assert desk.books.account("ada").balance == hours("10") - hours("5 min")
    desk.at("2026-11-27T12:00")
    desk.use(minutes=5)
    desk.at("2026-12-02T12:00")
    assert desk.sources()["boost"] == "1.5", "half an hour of it was used in the first window"
    assert desk.sources("blaise")["boost"] == "2"
    desk.use(minutes=30)
    assert desk.sources()["boost"] == "1"


def test_a_removed_due_date_takes_back_only_what_is_not_used(desk: Desk) -> None:
    desk.follow(lab_with(ESSAY))
    desk.run()
    desk.go(every_s=300, minutes=30)
    desk.follow(lab_with())
    # A changed rule applies from the next look on; what was used until then stays paid.
    desk.go(every_s=60, minutes=2)
    assert desk.books.account("ada").balance == hours("10") - hours("1 min")
    desk.follow(lab_with(ESSAY))
    assert desk.sources()["boost"] == "89 min", "written again, it is as it was"


def test_a_due_date_added_in_its_window_counts_at_once_and_once(desk: Desk) -> None:
    desk.use(hours=1)
    desk.follow(lab_with(ESSAY))
    desk.use(minutes=30)
    assert desk.sources() == {"boost": "1.5", "allowance": "9"}
    desk.follow(lab_with(ESSAY.replace("hours: 2", "hours: 5")))
    desk.use(minutes=30)
    assert desk.sources() == {"boost": "4", "allowance": "9"}


def test_those_who_opted_out_get_no_hours_of_the_optional_week(desk: Desk) -> None:
    desk.follow(
        lab_with(
            PROGRAM
            + """
due_dates: {project: {due: 2027-01-08 12:00, hours: 3}}
scholars: {ada: {opted_out: true}}
"""
        )
    )
    desk.at("2027-01-07T00:00")
    assert desk.sources("blaise") == {"allowance": "10", "boost": "3"}
    assert desk.sources("ada") == {}
    with pytest.raises(InsufficientBalance):
        desk.ask("ada")
    assert desk.ask("ada", "cpu").lease.state == "held"


# -- what becomes of unused hours ---------------------------------------------------------------


def test_unused_hours_lapse_without_a_rule(desk: Desk) -> None:
    desk.use(hours=1)
    desk.at("2026-12-01T12:00")
    assert desk.sources() == {"allowance": "10"}


def test_roll_over_keeps_a_part_and_is_used_first(desk: Desk) -> None:
    desk.follow(lab_with(PROGRAM + "roll_over: {percent: 50, most_hours: 4}"))
    desk.use(hours=4)
    desk.at("2026-12-01T12:00")
    desk.use(hours=1)
    assert desk.balance() == "12.00"
    desk.at("2026-12-08T12:00")
    assert desk.sources() == {"roll_over": "4", "allowance": "20"}, "5 of 10, capped at 4"
    desk.at("2027-01-05T12:00")
    assert desk.sources() == {"roll_over": "4", "allowance": "10"}, "over the break, once"


def test_roll_over_is_of_allowances_not_of_grants_or_rolled_hours(desk: Desk) -> None:
    desk.follow(lab_with(PROGRAM + "roll_over: {percent: 100}"))
    desk.office.grant(uuid4(), "ada", hours("5"), by=By(actor="olga"), reason="extra")
    desk.at("2026-12-01T12:00")
    assert desk.sources() == {"roll_over": "10", "allowance": "10"}
    desk.use(minutes=5)
    desk.at("2026-12-08T12:00")
    assert desk.sources()["roll_over"] in ("10", "9.91666667", "595 min"), "not 20"


def test_weeks_in_which_nobody_came_are_caught_up(desk: Desk) -> None:
    desk.follow(lab_with(PROGRAM + "roll_over: {percent: 10, lasts_weeks: 3}"))
    desk.at("2026-12-08T12:00")
    desk.use(minutes=30)
    assert desk.books.account("ada").balance == hours("21.5"), "20 + 1 of week 1 + 1 of week 2"


def test_an_absence_moves_what_is_unused_to_the_weeks_it_names(desk: Desk) -> None:
    desk.follow(
        lab_with(
            PROGRAM
            + """
roll_over: {percent: 50}
scholars: {ada: {absences: [{week: 1, use_in: [2, 4]}]}}
"""
        )
    )
    desk.use(hours=2)
    desk.at("2026-12-01T12:00")
    assert desk.sources() == {"allowance": "10", "absence": "4"}
    assert desk.sources("blaise") == {"allowance": "10", "roll_over": "5"}
    desk.at("2027-01-05T12:00")
    assert desk.sources()["absence"] == "4"


def test_a_debt_is_paid_from_the_next_week(desk: Desk) -> None:
    desk.follow(lab_with(PROGRAM))
    desk.run("emeka")
    desk.clock.advance(timedelta(hours=3))
    desk.go(minutes=1)
    debt = desk.books.account("emeka").debt
    assert hours("2") < debt < hours("2.1")
    desk.at("2026-12-01T12:00")
    view = desk.books.account("emeka")
    assert (view.balance, view.debt) == (hours("1") - debt, debt - hours("1"))
    desk.at("2026-12-09T12:00")
    view = desk.books.account("emeka")
    assert view.balance == hours("20") - (debt - hours("1")), "week 2 paid, though nobody came"
