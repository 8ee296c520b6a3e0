"""Writing figures that a scrape reads ready-made; see `quota.census`."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, insert, select

from quota.store.tables import audit, counters
from quota.store.writes import add_to_counter, set_counter

# How far the audit trail was counted.
_COUNTED_TO = "deeds_counted_to"
# Lines that are counted at once: the first time there may be years of them.
_LINES_AT_ONCE = 50_000


def replace_figures(tx: Connection, prefix: str, figures: Mapping[tuple[str, str], int]) -> None:
    """Put new figures in the place of all whose names begin so."""
    tx.execute(delete(counters).where(counters.c.name.startswith(prefix, autoescape=True)))
    rows = [{"name": name, "label": label, "value": value}
            for (name, label), value in sorted(figures.items())]  # fmt: skip
    if rows:
        tx.execute(insert(counters), rows)


def add_deeds(tx: Connection, hub_id: str) -> None:
    """Add what the audit trail has got since the last time, by action."""
    query = select(counters.c.value).where(
        counters.c.name == _COUNTED_TO, counters.c.label == hub_id
    )
    since = tx.execute(query).scalar_one_or_none() or 0
    last = tx.execute(select(func.max(audit.c.seq))).scalar_one_or_none() or 0
    until = min(last, since + _LINES_AT_ONCE)
    found = tx.execute(
        select(audit.c.action, func.count())
        .where(audit.c.seq > since, audit.c.seq <= until, audit.c.hub_id == hub_id)
        .group_by(audit.c.action)
        .order_by(audit.c.action)
    ).all()
    for action, count in found:
        add_to_counter(tx, "deeds", action, count)
    if until > since:
        set_counter(tx, _COUNTED_TO, hub_id, until)
