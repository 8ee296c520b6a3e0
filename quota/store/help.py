"""Reading and writing raised hands, whom scholars let in, and which sessions can be visited."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from quota.attachments import Attachment
from quota.help_queue import OPEN_STATES, HelpRequest
from quota.store.lists import later
from quota.store.office import attachment_of
from quota.store.tables import accounts, attachments, leases
from quota.store.tables_help import attach_consents, help_requests, open_sessions
from quota.visiting import Consent

_FIELDS = tuple(HelpRequest.__slots__)
_OPEN = help_requests.c.state.in_(OPEN_STATES)


# -- raised hands ------------------------------------------------------------------------------


def help_request(tx: Connection, request_id: UUID, *, lock: bool = False) -> HelpRequest | None:
    """Find one request."""
    query = select(help_requests).where(help_requests.c.id == request_id)
    return _first(tx, query.with_for_update() if lock else query)


def open_request(tx: Connection, account_id: int) -> HelpRequest | None:
    """Find what a scholar wants help with now: one thing at most."""
    return _first(tx, select(help_requests).where(help_requests.c.account_id == account_id, _OPEN))


def help_requests_of(
    tx: Connection, hub_id: str, *, account: str | None = None, state: str | None = None,
    after: tuple[datetime, UUID] | None = None, most: int = 200, newest_first: bool = False,
) -> list[tuple[str, HelpRequest]]:  # fmt: skip
    """Read requests with the scholars' names, the oldest first unless told otherwise."""
    order = (help_requests.c.raised_at, help_requests.c.id)
    order_by = (one.desc() for one in order) if newest_first else order
    query = _of_hub(hub_id).order_by(*order_by).limit(most)
    if account is not None:
        query = query.where(accounts.c.name == account)
    if state is not None:
        query = query.where(help_requests.c.state == state)
    if after is not None:
        query = query.where(later(help_requests, "raised_at", after))
    return [(row["name"], help_request_of(row)) for row in tx.execute(query).mappings()]


def waiting_requests(tx: Connection, hub_id: str) -> list[tuple[str, HelpRequest]]:
    """Read everybody who waits for help, the longest first."""
    return help_requests_of(tx, hub_id, state="waiting", most=10_000)


def count_by_state(tx: Connection, hub_id: str) -> dict[str, int]:
    """Count the requests that are open, by state."""
    query = (
        select(help_requests.c.state, func.count())
        .join(accounts, accounts.c.id == help_requests.c.account_id)
        .where(accounts.c.hub_id == hub_id, _OPEN)
        .group_by(help_requests.c.state)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def insert_request(tx: Connection, request: HelpRequest) -> None:
    """Write a raised hand."""
    tx.execute(insert(help_requests), {name: getattr(request, name) for name in _FIELDS})


def update_request(tx: Connection, request: HelpRequest) -> None:
    """Write what became of one."""
    values = {name: getattr(request, name) for name in _FIELDS if name != "id"}
    tx.execute(update(help_requests).where(help_requests.c.id == request.id).values(**values))


def _of_hub(hub_id: str) -> Select[Any]:
    return (
        select(help_requests, accounts.c.name)
        .join(accounts, accounts.c.id == help_requests.c.account_id)
        .where(accounts.c.hub_id == hub_id)
    )


def _first(tx: Connection, query: Select[Any]) -> HelpRequest | None:
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else help_request_of(row)


def help_request_of(row: RowMapping) -> HelpRequest:
    """Make a request of a row that holds all of its columns."""
    return HelpRequest(**{name: row[name] for name in _FIELDS})


# -- whom scholars let in ----------------------------------------------------------------------


def consent_of(tx: Connection, account_id: int) -> Consent:
    """Read when a scholar lets TAs in."""
    query = select(attach_consents).where(attach_consents.c.account_id == account_id)
    row = tx.execute(query).mappings().one_or_none()
    return Consent() if row is None else Consent(choice=row["choice"], chosen_at=row["chosen_at"])


def save_consent(tx: Connection, account_id: int, consent: Consent) -> None:
    """Write it."""
    values: dict[str, object] = {"choice": consent.choice, "chosen_at": consent.chosen_at}
    _put(tx, attach_consents, "account_id", account_id, values)


# -- sessions that can be visited --------------------------------------------------------------


def no_observing(tx: Connection, lease_id: UUID) -> str | None:
    """Read why a session cannot be observed: "" if it can; None when it has not said anything."""
    query = select(open_sessions.c.no_observing).where(open_sessions.c.lease_id == lease_id)
    found: str | None = tx.execute(query).scalar_one_or_none()
    return found


def save_open_session(tx: Connection, lease_id: UUID, why_not: str) -> None:
    """Note that a session tells visitors apart, and why it cannot be observed if so."""
    _put(tx, open_sessions, "lease_id", lease_id, {"no_observing": why_not})


def visits_of_lease(tx: Connection, lease_id: UUID) -> list[Attachment]:
    """Read the attachments at a session that have not ended."""
    query = select(attachments).where(
        attachments.c.lease_id == lease_id, attachments.c.ended_at.is_(None)
    )
    return [attachment_of(row) for row in tx.execute(query).mappings()]


# -- what the hub shares -----------------------------------------------------------------------


def shared_attachments(
    tx: Connection, hub_id: str, *, ta: str | None, most: int
) -> list[tuple[str, str, Attachment]]:
    """Read the attachments for which the hub may let somebody in: scholar, server, attachment."""
    query = (
        select(attachments, accounts.c.name, leases.c.server_name)
        .join(accounts, accounts.c.id == attachments.c.account_id)
        .join(leases, leases.c.id == attachments.c.lease_id)
        .where(accounts.c.hub_id == hub_id, attachments.c.unshared_at.is_(None))
        .order_by(attachments.c.started_at, attachments.c.id)
        .limit(most)
    )
    if ta is not None:
        query = query.where(attachments.c.ta == ta)
    return [
        (row["name"], row["server_name"], attachment_of(row))
        for row in tx.execute(query).mappings()
    ]


def note_unshared(tx: Connection, attachment_ids: Iterable[UUID], at: datetime) -> None:
    """Note that the hub lets nobody in any more for ended attachments."""
    for one in attachment_ids:
        mine = attachments.c.id == one
        tx.execute(update(attachments).where(mine).values(unshared_at=at))


def _put(tx: Connection, table: Any, key: str, value: object, rest: dict[str, object]) -> None:
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = make(table).values({key: value, **rest})
    tx.execute(statement.on_conflict_do_update(index_elements=[key], set_=rest))
