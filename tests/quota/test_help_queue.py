"""The help queue: raise, claim, hand over, resolve, withdraw; one open each, oldest first."""

from uuid import UUID, uuid4

import pytest

from quota.audit import By
from quota.errors import (
    AlreadyDecided,
    BadText,
    IdConflict,
    NoSuchAccount,
    NoSuchThing,
    NotYours,
    Refusal,
)
from quota.helping import Helping
from quota.listings import help_requests
from tests.quota.books import Desk

ADA, TOMAS, TAMAR = By(actor="ada"), By(actor="tomas"), By(actor="tamar")


@pytest.fixture
def helping(desk: Desk) -> Helping:
    lab = desk.books.lab_file
    utc = lab.sections["utc"].model_copy(update={"tas": ("tomas", "tamar")})
    desk.follow(lab.model_copy(update={"sections": {**lab.sections, "utc": utc}}))
    return Helping(desk.books)


def hand(helping: Helping, who: str = "ada", *, request_id: UUID | None = None,
         message: str = "the loss does not fall") -> UUID:  # fmt: skip
    raised = helping.raise_hand(
        request_id or uuid4(), who, message=message, path="labs/lab2.ipynb", server_name="",
        by=By(actor=who),
    )  # fmt: skip
    return raised.id


def states(helping: Helping) -> list[tuple[str, str]]:
    found = help_requests(helping.books, name=None, state=None, after=None, most=100)
    return [(who, one.state) for who, one in found]


def test_a_request_goes_from_hand_to_answer(desk: Desk, helping: Helping) -> None:
    one = hand(helping)
    assert hand(helping, request_id=one) == one, "asked again, nothing changes"
    before, after = helping.claim(one, by=TOMAS)
    assert (before.state, after.state, after.claimed_by) == ("waiting", "claimed", "tomas")
    assert helping.claim(one, by=TOMAS) == (after, after)
    done = helping.resolve(one, "a smaller learning rate", by=TOMAS)
    assert (done.state, done.answer, done.closed_by) == (
        "resolved", "a smaller learning rate", "tomas")  # fmt: skip
    assert helping.resolve(one, "a smaller learning rate", by=TOMAS) == done
    actions = [line.action for line in desk.office.trail(subject="ada")]
    assert actions == ["help.raise", "help.claim", "help.resolve"]
    assert desk.office.check_trail() == []


def test_the_longest_wait_is_first_and_everybody_knows_their_place(
    desk: Desk, helping: Helping
) -> None:
    ids = {}
    for who in ("blaise", "emeka", "ada", "chen"):
        desk.go(every_s=1, seconds=1)
        ids[who] = hand(helping, who)
    assert [who for who, _ in states(helping)] == ["blaise", "emeka", "ada", "chen"]
    places = helping.places()
    assert [places[ids[who]] for who in ("blaise", "ada", "chen")] == [1, 2, 3]
    assert places[ids["emeka"]] == 1, "of another section"
    helping.claim(ids["blaise"], by=TOMAS)
    assert helping.places()[ids["ada"]] == 1
    helping.hand_over(ids["blaise"], None, by=TOMAS)
    assert helping.places()[ids["blaise"]] == 1, "put back, it keeps its place"


def test_another_ta_takes_over_and_nobody_else_can(helping: Helping) -> None:
    one = hand(helping)
    helping.claim(one, by=TOMAS)
    with pytest.raises(AlreadyDecided, match="tomas helps already"):
        helping.claim(one, by=TAMAR)
    with pytest.raises(NotYours):
        helping.resolve(one, "", by=TAMAR)
    with pytest.raises(NotYours):
        helping.hand_over(one, "tamar", by=TAMAR)
    with pytest.raises(NoSuchAccount, match="section"):
        helping.hand_over(one, "olga", by=TOMAS)
    for _again in range(2):
        assert helping.hand_over(one, "tamar", by=TOMAS).claimed_by == "tamar"
    with pytest.raises(NotYours):
        helping.resolve(one, "", by=TOMAS)
    assert helping.resolve(one, "", by=TAMAR).state == "resolved"


def test_one_open_request_each_and_a_closed_one_stays_closed(helping: Helping) -> None:
    one = hand(helping)
    with pytest.raises(AlreadyDecided, match="already"):
        hand(helping)
    with pytest.raises(IdConflict):
        hand(helping, request_id=one, message="something else")
    for _again in range(2):
        assert helping.withdraw(one, by=ADA).state == "withdrawn"
    deeds = (lambda: helping.claim(one, by=TOMAS), lambda: helping.resolve(one, "", by=TOMAS),
             lambda: helping.hand_over(one, None, by=TOMAS))  # fmt: skip
    for deed in deeds:
        with pytest.raises(AlreadyDecided, match="withdrawn"):
            deed()
    second = hand(helping)
    assert sorted(states(helping)) == [("ada", "waiting"), ("ada", "withdrawn")]
    helping.claim(second, by=TOMAS)
    helping.resolve(second, "", by=TOMAS)
    with pytest.raises(AlreadyDecided, match="resolved"):
        helping.withdraw(second, by=ADA)


@pytest.mark.parametrize(
    ("who", "message", "refusal"),
    [("ada", "  ", BadText), ("ada", "x\ny", BadText), ("ada", "x" * 501, BadText),
     ("olga", "help", NoSuchAccount), ("nobody", "help", NoSuchAccount)],
)  # fmt: skip
def test_what_cannot_be_asked(
    helping: Helping, who: str, message: str, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        hand(helping, who, message=message)
    assert states(helping) == []


def test_an_id_that_nobody_has_is_none(helping: Helping) -> None:
    for deed in (helping.asker, lambda one: helping.claim(one, by=TOMAS)):
        with pytest.raises(NoSuchThing):
            deed(uuid4())


def test_open_requests_are_counted_by_state(desk: Desk, helping: Helping) -> None:
    assert desk.books.load().help_requests == {}
    hand(helping, "ada")
    helping.claim(hand(helping, "blaise"), by=TOMAS)
    helping.withdraw(hand(helping, "chen"), by=By(actor="chen"))
    assert desk.books.load().help_requests == {"waiting": 1, "claimed": 1}
