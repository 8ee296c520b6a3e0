"""Reading and writing requests for hours, attachments and amended rules."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from quota.attachments import Attachment
from quota.hour_requests import HourRequest
from quota.store.lists import later
from quota.store.tables import accounts, amendments, attachments, hour_requests

_REQUEST_FIELDS = tuple(HourRequest.__slots__)
_ATTACHMENT_FIELDS = tuple(Attachment.__slots__)


# -- requests for hours ------------------------------------------------------------------------


def hour_request(tx: Connection, request_id: UUID, *, lock: bool = False) -> HourRequest | None:
    """Find one request."""
    query = select(hour_requests).where(hour_requests.c.id == request_id)
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else hour_request_of(row)


def hour_requests_of(
    tx: Connection, hub_id: str, *, account: str | None = None, state: str | None = None,
    after: tuple[datetime, UUID] | None = None, most: int = 200, newest_first: bool = False,
) -> list[tuple[str, HourRequest]]:  # fmt: skip
    """Read requests with the scholars' names, the oldest first unless told otherwise."""
    order = (hour_requests.c.asked_at, hour_requests.c.id)
    query = (
        select(hour_requests, accounts.c.name)
        .join(accounts, accounts.c.id == hour_requests.c.account_id)
        .where(accounts.c.hub_id == hub_id)
        .order_by(*((one.desc() for one in order) if newest_first else order))
        .limit(most)
    )
    if account is not None:
        query = query.where(accounts.c.name == account)
    if state is not None:
        query = query.where(hour_requests.c.state == state)
    if after is not None:
        query = query.where(later(hour_requests, "asked_at", after))
    return [(row["name"], hour_request_of(row)) for row in tx.execute(query).mappings()]


def answered_requests(tx: Connection, hub_id: str, *, most: int) -> list[tuple[str, HourRequest]]:
    """Read the requests that were answered last, with the scholars' names, the newest first."""
    query = (
        select(hour_requests, accounts.c.name)
        .join(accounts, accounts.c.id == hour_requests.c.account_id)
        .where(accounts.c.hub_id == hub_id)
        .where(hour_requests.c.state.in_(("approved", "denied")))
        .order_by(hour_requests.c.decided_at.desc(), hour_requests.c.id)
        .limit(most)
    )
    return [(row["name"], hour_request_of(row)) for row in tx.execute(query).mappings()]


def insert_hour_request(tx: Connection, request: HourRequest) -> None:
    """Write a new request."""
    tx.execute(insert(hour_requests), {n: getattr(request, n) for n in _REQUEST_FIELDS})


def update_hour_request(tx: Connection, request: HourRequest) -> None:
    """Write what became of a request."""
    values = {name: getattr(request, name) for name in _REQUEST_FIELDS if name != "id"}
    tx.execute(update(hour_requests).where(hour_requests.c.id == request.id).values(**values))


def hour_request_of(row: RowMapping) -> HourRequest:
    """Make a request of a row that holds all of its columns."""
    return HourRequest(**{name: row[name] for name in _REQUEST_FIELDS})


# -- attachments -------------------------------------------------------------------------------


def attachment_by_id(tx: Connection, attachment_id: UUID) -> Attachment | None:
    """Find one attachment."""
    query = select(attachments).where(attachments.c.id == attachment_id)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else attachment_of(row)


def open_attachment(tx: Connection, account_id: int) -> Attachment | None:
    """Find who is attached to a scholar's session now: one at most."""
    query = select(attachments).where(
        attachments.c.account_id == account_id, attachments.c.ended_at.is_(None)
    )
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else attachment_of(row)


def attachments_by_account(tx: Connection, hub_id: str) -> dict[int, Attachment]:
    """Read all open attachments of a hub."""
    query = (
        select(attachments)
        .join(accounts, accounts.c.id == attachments.c.account_id)
        .where(accounts.c.hub_id == hub_id, attachments.c.ended_at.is_(None))
    )
    return {row["account_id"]: attachment_of(row) for row in tx.execute(query).mappings()}


def attachments_of(tx: Connection, account_id: int, *, most: int = 200) -> list[Attachment]:
    """Read who was attached to a scholar's sessions, the newest first."""
    query = select(attachments).where(attachments.c.account_id == account_id)
    query = query.order_by(attachments.c.started_at.desc(), attachments.c.id).limit(most)
    return [attachment_of(row) for row in tx.execute(query).mappings()]


def insert_attachment(tx: Connection, attachment: Attachment) -> None:
    """Write a new attachment."""
    tx.execute(insert(attachments), {n: getattr(attachment, n) for n in _ATTACHMENT_FIELDS})


def end_attachment(tx: Connection, attachment: Attachment) -> None:
    """Write its end."""
    tx.execute(
        update(attachments)
        .where(attachments.c.id == attachment.id)
        .values(ended_at=attachment.ended_at, end_reason=attachment.end_reason)
    )


def attachment_of(row: RowMapping) -> Attachment:
    """Make an attachment of a row that holds all of its columns."""
    return Attachment(**{name: row[name] for name in _ATTACHMENT_FIELDS})


# -- amended rules -----------------------------------------------------------------------------


def all_amendments(tx: Connection, hub_id: str) -> list[RowMapping]:
    """Read every amended rule of a hub, in the order of the changes."""
    query = select(amendments).where(amendments.c.hub_id == hub_id)
    return list(tx.execute(query.order_by(amendments.c.version, amendments.c.name)).mappings())


def write_amendments(
    tx: Connection, hub_id: str, rows: Iterable[tuple[str, str, str | None]], version: int
) -> None:
    """Write rules, (part, name, JSON or None for removed), under one version."""
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    for part, name, body in rows:
        values: dict[str, Any] = {"body": body, "version": version}
        statement = make(amendments).values(hub_id=hub_id, part=part, name=name, **values)
        tx.execute(
            statement.on_conflict_do_update(index_elements=["hub_id", "part", "name"], set_=values)
        )
