"""The outbox: what is to be sent to people's channels is written down with what happened.

In the same transaction, so that nothing is told that was rolled back, and nothing is lost that
was committed. `quota.sending` takes it out again.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from quota.lab import Lab
from quota.store import outbox as rows
from quota.telling import News, letters_of, once


def tell(tx: Connection, lab: Lab, hub_id: str, news: Iterable[News]) -> None:
    """Write down what people have chosen to hear of; without channels nothing is even read."""
    some = list(news) if lab.channels else []
    if not some:
        return
    chosen = rows.choices_of(tx, hub_id, {one.person for one in some})
    letters = once(
        letter for one in some
        for letter in letters_of(lab, one, chosen.get((one.person, one.kind)))
    )  # fmt: skip
    if letters:
        rows.insert_letters(tx, hub_id, letters)
