"""Reading and writing daily counts."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Literal

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from quota.store.tables_daily import daily_counts

Counted = Literal["refused", "idle_mgpu_ms"]


def add_counts(
    tx: Connection, hub_id: str, at: datetime, name: Counted, counts: Mapping[str, int]
) -> None:
    """Add to the counts of the day, by label."""
    rows = [
        {"hub_id": hub_id, "day": day_of(at), "name": name, "label": label, "count": count}
        for label, count in sorted(counts.items()) if count
    ]  # fmt: skip
    if not rows:
        return
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    query = make(daily_counts).values(rows)
    tx.execute(
        query.on_conflict_do_update(
            index_elements=["hub_id", "day", "name", "label"],
            set_={"count": daily_counts.c.count + query.excluded.count},
        )
    )


def counted(
    tx: Connection, hub_id: str, name: Counted, since: datetime, until: datetime
) -> dict[str, int]:
    """Sum what was counted on the days of [since, until), by label."""
    query = (
        select(daily_counts.c.label, func.sum(daily_counts.c.count))
        .where(daily_counts.c.hub_id == hub_id, daily_counts.c.name == name)
        .where(daily_counts.c.day >= day_of(since), daily_counts.c.day < until)
        .group_by(daily_counts.c.label)
    )
    return {row[0]: int(row[1]) for row in tx.execute(query)}


def day_of(at: datetime) -> datetime:
    """Return when the day of an instant began, in UTC."""
    return datetime.combine(at.astimezone(UTC).date(), time(), UTC)
