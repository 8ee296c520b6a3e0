"""Grants, TA grants within the week's budget, and grants for many at once."""

from datetime import timedelta
from uuid import uuid4

import pytest

from quota.audit import By
from quota.bulk import GrantRow, plan_grants, read_csv
from quota.errors import BadAmount, BudgetSpent, GrantConflict, NoSuchAccount
from quota.ledger import LotSource
from quota.views import GrantView
from tests.quota.books import NOON, Desk, hours, lab_with, make_lab

OLGA, TOMAS = By(actor="olga"), By(actor="tomas", request_id="r-1")
BULK = uuid4()


def grant(desk: Desk, amount: str, who: str = "ada", *, source: LotSource = "grant") -> GrantView:
    by = TOMAS if source == "ta_grant" else OLGA
    return desk.office.grant(uuid4(), who, hours(amount), by=by, reason="extra", source=source)


def test_a_grant_lasts_to_the_end_of_the_week_or_as_said(desk: Desk) -> None:
    assert grant(desk, "1").ends_at.isoformat() == "2026-11-30T00:00:00+00:00"
    until = NOON + timedelta(days=30)
    view = desk.office.grant(uuid4(), "ada", hours("2"), by=OLGA, reason="thesis", until=until)
    assert view.ends_at == until
    desk.clock.advance(timedelta(days=14))
    assert desk.sources() == {"allowance": "10", "grant": "2"}
    desk.clock.set(until)
    assert desk.sources() == {"allowance": "10"}


@pytest.mark.parametrize(
    ("amount", "reason", "ahead_s"),
    [("0", "x", 60), ("-1", "x", 60), ("1", " \t", 60), ("1", "x", 0), ("1", "x", -60),
     ("1", "x", 20 * 365 * 86_400)],
)  # fmt: skip
def test_a_bad_grant_is_refused_and_writes_nothing(
    desk: Desk, amount: str, reason: str, ahead_s: int
) -> None:
    until = NOON + timedelta(seconds=ahead_s)
    with pytest.raises(BadAmount):
        desk.office.grant(uuid4(), "ada", hours(amount), by=OLGA, reason=reason, until=until)
    assert desk.balance() == "10.00"
    assert desk.office.trail() == []


def test_the_same_id_for_another_scholar_or_end_is_a_conflict(desk: Desk) -> None:
    grant_id = uuid4()
    first = desk.office.grant(grant_id, "ada", hours("1"), by=OLGA, reason="x")
    assert desk.office.grant(grant_id, "ada", hours("1"), by=OLGA, reason="x") == first
    for who, reason, until in (("blaise", "x", None), ("ada", "y", None),
                               ("ada", "x", NOON + timedelta(days=1))):  # fmt: skip
        with pytest.raises(GrantConflict):
            desk.office.grant(grant_id, who, hours("1"), by=OLGA, reason=reason, until=until)
    assert [line.action for line in desk.office.trail()] == ["grant"]


def test_a_ta_gives_within_the_budget_of_the_week(desk: Desk) -> None:
    desk.follow(lab_with(ta_hours_per_week=hours("3")))
    grant(desk, "2", source="ta_grant")
    with pytest.raises(BudgetSpent, match=r"1\.00") as refusal:
        grant(desk, "1.5", "blaise", source="ta_grant")
    assert refusal.value.retry_at is not None
    assert refusal.value.retry_at.isoformat() == "2026-11-30T00:00:00+00:00"
    grant(desk, "1", "blaise", source="ta_grant")
    assert desk.budget("ta", "tomas") == hours("0")
    assert (desk.balance("ada"), desk.balance("blaise")) == ("12.00", "11.00")
    desk.clock.set(refusal.value.retry_at)
    grant(desk, "3", "chen", source="ta_grant")


def test_a_ta_has_an_own_budget_and_own_sections_only(desk: Desk) -> None:
    desk.follow(lab_with("tas: {tomas: {hours_per_week: 1}}", ta_hours_per_week=hours("5")))
    with pytest.raises(NoSuchAccount):
        grant(desk, "1", "emeka", source="ta_grant")
    with pytest.raises(BudgetSpent):
        grant(desk, "2", source="ta_grant")
    grant(desk, "1", source="ta_grant")
    with pytest.raises(NoSuchAccount):
        grant(desk, "1", "nobody")


def test_a_grant_by_a_ta_pays_a_debt_first(desk: Desk) -> None:
    desk.follow(lab_with(ta_hours_per_week=hours("3"), section="hours_in_weeks: {}"))
    desk.follow(lab_with("scholars: {ada: {hours_per_week: 0}}", ta_hours_per_week=hours("3")))
    desk.office.grant(uuid4(), "ada", hours("1"), by=By(actor="olga"), reason="x")
    desk.run()
    desk.clock.advance(timedelta(hours=2))
    desk.go(minutes=1)
    debt = desk.books.account("ada").debt
    assert debt > hours("1")
    grant(desk, "2", source="ta_grant")
    view = desk.books.account("ada")
    assert (view.debt, view.balance) == (hours("0"), hours("2") - debt)


# -- many at once --------------------------------------------------------------------------------


def test_one_bad_row_of_100_000_is_named_and_nothing_is_given(desk: Desk) -> None:
    desk.follow(lab_with("default_section: utc"))
    lines = [f"scholar-{number},1,demo" for number in range(100_000)]
    lines[70_000] = "scholar-70000,1e3,demo"
    rows, faults = read_csv("\ufeffaccount,hours,reason\n" + "\n".join(lines))
    assert faults == []
    plan = plan_grants(BULK, rows, desk.books.lab, NOON)
    (fault,) = plan.faults
    assert (fault.line, fault.account) == (70_002, "scholar-70000")
    assert "1e3" in fault.what
    with pytest.raises(BadAmount, match="nothing was given"):
        desk.office.grant_many(plan, by=OLGA)
    assert desk.office.trail() == []


def test_a_file_that_is_too_long_or_no_csv_or_without_a_column_is_refused() -> None:
    head = "account,hours,reason\n"
    for text, says in (
        ("account,hours\nada,1\n", "'reason' is missing"),
        ("", "'account' is missing"),
        (head + "ada,1,x\n" * 100_001, "more than 100,000"),
        (head + f'ada,1,"{"x" * 200_000}"\n', "no CSV"),
    ):
        _, (fault,) = read_csv(text)
        assert says in fault.what


@pytest.mark.parametrize(
    ("account", "amount", "reason", "says"),
    [
        ("zoe", "1", "x", "knows nobody"),
        ("Ada", "1", "x", "knows nobody"),
        ("ad\u0430", "1", "x", "knows nobody"),  # Cyrillic
        ("ada\u200b", "1", "x", "no user name"),
        ("\ud800", "1", "x", "no user name"),
        ("ada\0", "1", "x", "no user name"),
        ("", "1", "x", "no user name"),
        ("ada", "1", " ", "needs a reason"),
        ("ada", "1", "x\0y", "one line"),
        ("ada", "1", "x" * 501, "at most 500"),
        ("ada", "0", "x", "more than 0"),
        ("ada", "-2", "x", ""),
        ("ada", "nan", "x", ""),
        ("ada", "1.123456789", "x", "too many digits"),
        ("ada", "9999999999", "x", "too much"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(
    account: str, amount: str, reason: str, says: str
) -> None:
    row = GrantRow(line=2, account=account, hours=amount, reason=reason)
    plan = plan_grants(BULK, [row], make_lab(), NOON)
    (fault,) = plan.faults
    assert says in fault.what
    assert plan.grants == ()


def test_an_account_twice_and_an_end_in_the_past_are_faults() -> None:
    rows = [GrantRow(line=2, account="ada", hours="1", reason="x"),
            GrantRow(line=3, account="ada", hours="1", reason="x"),
            GrantRow(line=4, account="dina", hours="1", reason="x", until=NOON)]  # fmt: skip
    faults = plan_grants(BULK, rows, make_lab(), NOON).faults
    assert [(one.line, one.what) for one in faults] == [
        (3, "the account stands in line 2 already"),
        (4, "the end of a grant has to be in the future"),
    ]


def test_a_bulk_grant_gives_all_once_and_its_fingerprint_covers_every_cell(desk: Desk) -> None:
    rows = [GrantRow(line=2, account="ada", hours="1", reason="x"),
            GrantRow(line=3, account="dina", hours="1.5", reason="y")]  # fmt: skip
    plan = plan_grants(BULK, rows, desk.books.lab, NOON)
    assert plan.total == hours("2.5")
    assert len(desk.office.grant_many(plan, by=OLGA)) == 2
    desk.office.grant_many(plan, by=OLGA)
    assert (desk.balance("ada"), desk.balance("dina")) == ("11.00", "11.50")
    assert len(desk.office.trail()) == 2
    others = [
        plan_grants(uuid4(), rows, desk.books.lab, NOON),
        plan_grants(BULK, rows[:1], desk.books.lab, NOON),
        plan_grants(BULK, [rows[0], GrantRow(line=3, account="dina", hours="1", reason=".5y")],
                    desk.books.lab, NOON),
    ]  # fmt: skip
    assert len({plan.fingerprint, *(one.fingerprint for one in others)}) == 4
