"""A scholar asks for hours; somebody approves, approves a part, or denies."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.audit import By
from quota.errors import AlreadyDecided, BadAmount, BudgetSpent, IdConflict, NoSuchThing
from tests.quota.books import NOON, Desk, hours, lab_with

OLGA = By(actor="olga")


def ask(desk: Desk, amount: str = "3", who: str = "ada") -> UUID:
    request_id = uuid4()
    desk.office.ask(request_id, who, hours(amount), "my run needs it")
    return request_id


def test_an_approval_gives_the_hours_once(desk: Desk) -> None:
    request_id = ask(desk)
    for _ in range(2):
        answered = desk.office.answer(request_id, hours("3"), by=OLGA, text="go on")
        assert (answered.state, answered.granted) == ("approved", hours("3"))
    assert desk.sources() == {"allowance": "10", "request": "3"}
    assert [line.action for line in desk.office.trail()] == ["grant", "request.answer"]


def test_a_part_can_be_approved_and_nothing_else_afterwards(desk: Desk) -> None:
    request_id = ask(desk)
    desk.office.answer(request_id, hours("1"), by=OLGA, text="a part")
    assert desk.balance() == "11.00"
    for granted in (hours("2"), None):
        with pytest.raises(AlreadyDecided):
            desk.office.answer(request_id, granted, by=OLGA, text="on second thoughts")
    with pytest.raises(AlreadyDecided):
        desk.office.answer(request_id, hours("1"), by=By(actor="omar"), text="a part")
    with pytest.raises(AlreadyDecided):
        desk.office.withdraw(request_id, by=By(actor="ada"))
    assert desk.balance() == "11.00"


def test_a_denial_gives_nothing_and_says_why(desk: Desk) -> None:
    request_id = ask(desk)
    desk.office.answer(request_id, None, by=OLGA, text="the week is nearly over")
    ((who, request),) = desk.office.hour_requests(state="denied")
    assert (who, request.answer, request.granted) == ("ada", "the week is nearly over", None)
    assert desk.balance() == "10.00"


def test_a_request_can_be_withdrawn_and_withdrawn_again(desk: Desk) -> None:
    request_id = ask(desk)
    for _ in range(2):
        assert desk.office.withdraw(request_id, by=By(actor="ada")).state == "withdrawn"
    with pytest.raises(AlreadyDecided):
        desk.office.answer(request_id, hours("3"), by=OLGA, text="too late")


def test_what_nobody_answers_goes_stale(desk: Desk) -> None:
    request_id = ask(desk)
    desk.clock.advance(timedelta(days=7) - timedelta(milliseconds=1))
    assert [one.state for _, one in desk.office.hour_requests(name="ada")] == ["open"]
    desk.clock.advance(timedelta(milliseconds=1))
    ((_, request),) = desk.office.hour_requests(state="stale")
    assert request.decided_at == NOON + timedelta(days=7)
    assert desk.office.hour_requests(state="open") == []
    with pytest.raises(AlreadyDecided, match="stale"):
        desk.office.answer(request_id, hours("3"), by=OLGA, text="too late")
    for _ in range(3):
        ask(desk)


def test_three_open_requests_are_enough(desk: Desk) -> None:
    for _ in range(3):
        ask(desk)
    with pytest.raises(BadAmount, match="3 open requests"):
        ask(desk)
    ask(desk, who="blaise")


def test_asking_again_with_the_same_id_changes_nothing(desk: Desk) -> None:
    request_id = ask(desk)
    first = desk.office.ask(request_id, "ada", hours("3"), "my run needs it")
    assert first.asked_at == NOON
    for who, amount in (("ada", "4"), ("blaise", "3")):
        with pytest.raises(IdConflict):
            desk.office.ask(request_id, who, hours(amount), "my run needs it")


@pytest.mark.parametrize(
    ("amount", "reason"), [("0", "x"), ("-1", "x"), ("1000.5", "x"), ("1", "  ")]
)
def test_a_bad_request_is_refused(desk: Desk, amount: str, reason: str) -> None:
    with pytest.raises(BadAmount):
        desk.office.ask(uuid4(), "ada", hours(amount), reason)
    assert desk.office.hour_requests() == []


def test_an_unknown_request_is_unknown(desk: Desk) -> None:
    with pytest.raises(NoSuchThing):
        desk.office.answer(uuid4(), None, by=OLGA, text="?")


def test_a_ta_who_approves_pays_from_the_weeks_budget(desk: Desk) -> None:
    desk.follow(lab_with(ta_hours_per_week=hours("2")))
    first, second = ask(desk, "2"), ask(desk, "2", "blaise")
    tomas = By(actor="tomas")
    desk.office.answer(first, hours("2"), by=tomas, text="yes", source="ta_grant")
    assert desk.budget("ta", "tomas") == hours("0")
    with pytest.raises(BudgetSpent):
        desk.office.answer(second, hours("2"), by=tomas, text="yes", source="ta_grant")
    ((who, _),) = desk.office.hour_requests(state="open")
    assert who == "blaise", "what failed is as it was"
