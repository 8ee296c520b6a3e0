"""Carrying out a bulk grant that was tried before."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlalchemy import Connection

from quota import answers, giving
from quota.audit import By
from quota.bulk import BulkPlan, PlannedGrant
from quota.desk import open_desk
from quota.errors import BadAmount, GrantConflict
from quota.news import bulk_news, grant_news
from quota.outbox import tell
from quota.service import Books
from quota.store import lists, reads
from quota.store.engine import reading, transaction
from quota.telling import News
from quota.views import GrantView

# So many fit into the time that a start of a session may wait for the database.
_AT_ONCE = 100


def give_many(
    books: Books, plan: BulkPlan, *, by: By, on_given: Callable[[int], None] | None = None
) -> list[GrantView]:
    """Give what a plan says; safe to repeat. `on_given` is told after each part how many it had.

    Everything is checked before anything is written. A large plan is then written a part at a
    time, so that sessions can start meanwhile; if that breaks off, repeating it gives the rest.

    Raises:
        BadAmount: the plan has faults.
        GrantConflict: the id was used before for other grants.

    """
    if plan.faults:
        raise BadAmount(f"{len(plan.faults)} rows cannot be granted; nothing was given.")
    with reading(books.engine) as tx:
        _check_unused(tx, plan.grants)
    # In one order for everybody, so that two bulk grants never wait for each other.
    grants = sorted(plan.grants, key=lambda one: one.row.account)
    views: list[GrantView] = []
    parts = list(_parts(grants))
    for number, part in enumerate(parts, start=1):
        with transaction(books.engine, step="grant_many") as tx:
            # First all of them, in the worker's order: else it and we could wait for each other.
            reads.lock_scholars(tx, books.hub_id, [one.row.account for one in part])
            given = [_give(tx, books, one, by) for one in part]
            views += given
            tell(
                tx,
                books.lab,
                books.hub_id,
                _news(books, plan, given, by, is_last=number == len(parts)),
            )
        if on_given is not None:
            on_given(len(part))
    return views


def _give(tx: Connection, books: Books, one: PlannedGrant, by: By) -> GrantView:
    name = one.row.account
    desk = open_desk(tx, books.lab, books.hub_id, name, now=books.clock.now())
    row = giving.give(desk, one.id, one.amount, by=by, reason=one.row.reason, until=one.row.until,
                      is_told=False)  # fmt: skip
    return answers.grant_view(row, books.hub_id, name)


def _news(
    books: Books, plan: BulkPlan, given: Iterable[GrantView], by: By, *, is_last: bool
) -> list[News]:
    """Tell each scholar of a part at once, and organizers after the last part."""
    lab = books.lab
    news = [grant_news(one.account, one, lab.section_of(one.account)) for one in given]
    if is_last:
        news += bulk_news(lab, plan, by.actor, books.clock.now())
    return news


def _check_unused(tx: Connection, grants: Iterable[PlannedGrant]) -> None:
    wanted = {one.id: one for one in grants}
    for lot_id, amount, reason in lists.lots_named(tx, list(wanted)):
        if (amount, reason) != (wanted[lot_id].amount, wanted[lot_id].row.reason):
            raise GrantConflict("The id of this bulk grant was used before for other grants.")


def _parts(grants: Sequence[PlannedGrant]) -> Iterator[Sequence[PlannedGrant]]:
    for start in range(0, len(grants), _AT_ONCE):
        yield grants[start : start + _AT_ONCE]
