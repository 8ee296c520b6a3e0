"""Lists for pages and reports: who there is, what was given, asked and used, a page at a time.

Each page is a transaction of its own, so that a slow reader never keeps a writer waiting. Lists
go on after the last entry that was seen, so nothing is missed or doubled when others write.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from quota import answers
from quota.amount import GpuTime
from quota.budgets import budget_left
from quota.bulk import bulk_grant_id
from quota.help_queue import HelpRequest
from quota.hour_requests import HourRequest
from quota.lab import Lab
from quota.labs import PassedLab
from quota.service import Books
from quota.store import help as help_rows
from quota.store import labs as lab_rows
from quota.store import lists, office
from quota.store.engine import reading
from quota.store.usage import ChargeLine, usage_lines, usage_sums
from quota.views import AccountView, GrantView

# Few enough that a page of a whole program's charges fits in memory many times over.
_ACCOUNTS_AT_ONCE = 50


def scholars_of(lab: Lab, section: str) -> list[str]:
    """Name the scholars whom a section lists, in order."""
    return sorted(lab.sections[section].scholars)


def account_names(books: Books, *, sections: Sequence[str] | None = None) -> list[str]:
    """Name everybody whom the rules list or the books know, of some sections or of all."""
    lab = books.lab
    with reading(books.engine) as tx:
        names = {*lab.roster, *lists.account_names(tx, books.hub_id)}
    if sections is None:
        return sorted(names)
    return sorted(
        name
        for name in names
        if (section := lab.section_of(name)) is not None and section.name in sections
    )


def account_views(books: Books, names: Sequence[str]) -> list[AccountView]:
    """Tell the balances of some people as they are at one moment."""
    now = books.clock.now()
    with reading(books.engine) as tx:
        return [answers.account_view(tx, books.lab, books.hub_id, name, now=now) for name in names]


def ta_hours_left(books: Books, ta: str) -> GpuTime:
    """Tell what a TA can still give away this week."""
    with reading(books.engine) as tx:
        return budget_left(tx, books.lab, books.hub_id, "ta", ta, now=books.clock.now())


def grants(
    books: Books, *, name: str | None, after: tuple[datetime, UUID] | None, most: int
) -> list[GrantView]:
    """List what people gave, to one account or to all, the oldest first."""
    with reading(books.engine) as tx:
        found = lists.grant_rows(tx, books.hub_id, account=name, after=after, most=most)
        return [answers.grant_view(row, books.hub_id, row["name"]) for row in found]


def newest_grants(books: Books, *, name: str | None = None, most: int) -> list[GrantView]:
    """List what people gave last, to one account or to all, the newest first."""
    with reading(books.engine) as tx:
        found = lists.newest_grants(tx, books.hub_id, account=name, most=most)
        return [answers.grant_view(row, books.hub_id, row["name"]) for row in found]


def given_in_bulk(books: Books, bulk_id: UUID) -> list[GrantView]:
    """List what one bulk grant gave, by name."""
    ids = [bulk_grant_id(bulk_id, name) for name in account_names(books)]
    with reading(books.engine) as tx:
        found = lists.grants_named(tx, books.hub_id, ids)
        return [answers.grant_view(row, books.hub_id, row["name"]) for row in found]


def hour_requests(
    books: Books, *, name: str | None, after: tuple[datetime, UUID] | None, most: int
) -> list[tuple[str, HourRequest]]:
    """List requests as they are now, of one account or of all, the oldest first."""
    now = books.clock.now()
    with reading(books.engine) as tx:
        found = office.hour_requests_of(tx, books.hub_id, account=name, after=after, most=most)
    return [(who, one.as_of(now)) for who, one in found]


def newest_requests(books: Books, name: str, *, most: int) -> list[HourRequest]:
    """List somebody's own requests for hours as they are now, the newest first."""
    now = books.clock.now()
    with reading(books.engine) as tx:
        found = office.hour_requests_of(tx, books.hub_id, account=name, most=most,
                                        newest_first=True)  # fmt: skip
    return [one.as_of(now) for _, one in found]


def help_requests(
    books: Books, *, name: str | None, state: str | None, after: tuple[datetime, UUID] | None,
    most: int,
) -> list[tuple[str, HelpRequest]]:  # fmt: skip
    """List requests for help, of one account or of all, the oldest first."""
    with reading(books.engine) as tx:
        return help_rows.help_requests_of(tx, books.hub_id, account=name, state=state,
                                          after=after, most=most)  # fmt: skip


def passed_labs(books: Books, names: Sequence[str]) -> Iterator[tuple[str, PassedLab]]:
    """Read which labs some scholars have passed, by name, the earliest first."""
    for start in range(0, len(names), _ACCOUNTS_AT_ONCE):
        some = names[start : start + _ACCOUNTS_AT_ONCE]
        with reading(books.engine) as tx:
            found = lab_rows.passed_labs(tx, books.hub_id, some)
        yield from found


def charges(
    books: Books, names: Sequence[str], since: datetime, until: datetime
) -> Iterator[ChargeLine]:
    """Read all posted charges that touch [since, until), by account, then by time."""
    for start in range(0, len(names), _ACCOUNTS_AT_ONCE):
        some = names[start : start + _ACCOUNTS_AT_ONCE]
        with reading(books.engine) as tx:
            found = list(usage_lines(tx, books.hub_id, since, until, names=some))
        yield from found


def used(
    books: Books, names: Sequence[str], since: datetime, until: datetime
) -> dict[str, GpuTime]:
    """Sum what was charged for each account in [since, until)."""
    with reading(books.engine) as tx:
        return usage_sums(tx, books.hub_id, since, until, names)
