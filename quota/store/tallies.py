"""Reading and writing daily counts."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Literal

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from quota.store.tables_tallies import tallies

Tally = Literal["refused", "idle_mgpu_ms"]


def add_to_tallies(
    tx: Connection, hub_id: str, at: datetime, name: Tally, counts: Mapping[str, int]
) -> None:
    """Add to the counts of the day, by label."""
    rows = [
        {"hub_id": hub_id, "day": day_of(at), "name": name, "label": label, "count": count}
        for label, count in sorted(counts.items()) if count
    ]  # fmt: skip
    if not rows:
        return
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    query = make(tallies).values(rows)
    tx.execute(
        query.on_conflict_do_update(
            index_elements=["hub_id", "day", "name", "label"],
            set_={"count": tallies.c.count + query.excluded.count},
        )
    )


def tallied(
    tx: Connection, hub_id: str, name: Tally, since: datetime, until: datetime
) -> dict[str, int]:
    """Sum what was counted on the days of [since, until), by label."""
    query = (
        select(tallies.c.label, func.sum(tallies.c.count))
        .where(tallies.c.hub_id == hub_id, tallies.c.name == name)
        .where(tallies.c.day >= day_of(since), tallies.c.day < until)
        .group_by(tallies.c.label)
    )
    return {row[0]: int(row[1]) for row in tx.execute(query)}


def day_of(at: datetime) -> datetime:
    """Return when the day of an instant began, in UTC."""
    return datetime.combine(at.astimezone(UTC).date(), time(), UTC)
