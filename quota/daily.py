"""Noting what a report of a week needs, and no other row tells."""

from collections.abc import Mapping

from quota.service import Books
from quota.store.daily import add_counts
from quota.store.engine import transaction


def note_refused(books: Books, counts: Mapping[str, int]) -> None:
    """Add to the refused starts of today, by code."""
    with transaction(books.engine, step="refusals_noted") as tx:
        add_counts(tx, books.hub_id, books.clock.now(), "refused", counts)
