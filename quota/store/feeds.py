"""Reading and writing calendar addresses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, insert, select, update

from quota.store.tables import feeds
from quota.store.trail import lock_trail


def lock(tx: Connection) -> None:
    """Take the lock under which feeds are made and revoked: the trail's, needed anyway."""
    lock_trail(tx)


def insert_feed(tx: Connection, row: Mapping[str, Any]) -> None:
    """Write a new feed."""
    tx.execute(insert(feeds).values(**row))


def revoke(tx: Connection, feed_id: UUID, at: datetime) -> None:
    """Note the end of a feed."""
    tx.execute(update(feeds).where(feeds.c.id == feed_id).values(revoked_at=at))


def by_id(tx: Connection, feed_id: UUID) -> dict[str, Any] | None:
    """Find a feed."""
    return _one(tx, select(feeds).where(feeds.c.id == feed_id))


def by_digest(tx: Connection, hub_id: str, digest: bytes) -> dict[str, Any] | None:
    """Find the feed of a secret."""
    return _one(tx, select(feeds).where(feeds.c.hub_id == hub_id, feeds.c.digest == digest))


def of_owner(tx: Connection, hub_id: str, owner: str) -> list[dict[str, Any]]:
    """Read a person's feeds, the oldest first."""
    query = (
        select(feeds)
        .where(feeds.c.hub_id == hub_id, feeds.c.owner == owner)
        .order_by(feeds.c.made_at, feeds.c.id)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def count_open(tx: Connection, hub_id: str, owner: str) -> int:
    """Count a person's feeds that are not revoked."""
    mine = (feeds.c.hub_id == hub_id, feeds.c.owner == owner, feeds.c.revoked_at.is_(None))
    return tx.execute(select(func.count()).select_from(feeds).where(*mine)).scalar_one()


def _one(tx: Connection, query: Select[Any]) -> dict[str, Any] | None:
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)
