"""Reading about all scholars of a section at once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select

from quota.attachments import Attachment
from quota.help_queue import OPEN_STATES, HelpRequest
from quota.hour_requests import HourRequest
from quota.store.help import help_request_of
from quota.store.office import attachment_of, hour_request_of
from quota.store.tables import accounts, attachments, entries, help_requests, hour_requests


def scholar_rows(tx: Connection, hub_id: str, names: Sequence[str]) -> list[RowMapping]:
    """Read the accounts of those scholars who have one."""
    query = select(accounts).where(
        accounts.c.hub_id == hub_id, accounts.c.kind == "scholar", accounts.c.name.in_(names)
    )
    return list(tx.execute(query).mappings())


def charged_last(tx: Connection, account_ids: Sequence[int]) -> dict[int, datetime]:
    """Tell when each account was charged for a session last; one that never was is not there."""
    # One step into the index for each account, however many charges it has.
    mine = entries.alias()
    newest = (
        select(func.max(mine.c.from_at))
        .where(mine.c.account_id == accounts.c.id, mine.c.kind == "charge")
        .scalar_subquery()
        .correlate(accounts)
    )
    at = (
        select(func.max(entries.c.until_at))
        .where(entries.c.account_id == accounts.c.id, entries.c.kind == "charge")
        .where(entries.c.from_at == newest)
        .scalar_subquery()
        .correlate(accounts)
    )
    query = select(accounts.c.id, at.label("at")).where(accounts.c.id.in_(account_ids))
    return {row.id: row.at for row in tx.execute(query) if row.at is not None}


def open_hour_requests(tx: Connection, account_ids: Sequence[int]) -> list[HourRequest]:
    """Read what some scholars ask for and nobody has answered, the oldest first."""
    query = (
        select(hour_requests)
        .where(hour_requests.c.account_id.in_(account_ids), hour_requests.c.state == "open")
        .order_by(hour_requests.c.asked_at, hour_requests.c.id)
    )
    return [hour_request_of(row) for row in tx.execute(query).mappings()]


def open_help_requests(tx: Connection, account_ids: Sequence[int]) -> dict[int, HelpRequest]:
    """Read what some scholars want help with now, by account: one thing at most each."""
    query = select(help_requests).where(
        help_requests.c.account_id.in_(account_ids), help_requests.c.state.in_(OPEN_STATES)
    )
    return {row["account_id"]: help_request_of(row) for row in tx.execute(query).mappings()}


def open_attachments(tx: Connection, account_ids: Sequence[int]) -> dict[int, Attachment]:
    """Read who is attached to some scholars' sessions now, by account."""
    query = select(attachments).where(
        attachments.c.account_id.in_(account_ids), attachments.c.ended_at.is_(None)
    )
    return {row["account_id"]: attachment_of(row) for row in tx.execute(query).mappings()}
