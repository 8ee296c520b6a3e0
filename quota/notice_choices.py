"""What people want to hear of, and where: each chooses among the channels of the lab.

Nobody can name an address: a service that sends wherever a scholar says could be sent anywhere.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from quota.errors import BadChoice, StaleEdit
from quota.lab import Lab
from quota.lab_channels import Channel
from quota.service import Books
from quota.store import outbox as rows
from quota.store.engine import reading, transaction
from quota.telling import NoticeKind, channels_for, default_channels, kinds_for

_TAG_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeChoices:
    """Where a person hears of what, among which channels; the tag is of all that."""

    person: str
    chosen: Mapping[NoticeKind, tuple[str, ...]]
    channels: tuple[Channel, ...]

    @property
    def tag(self) -> str:
        """What a change has to name, so that nobody's change is lost."""
        names = [one.name for one in self.channels]
        text = json.dumps([self.person, self.chosen, names], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_TAG_CHARS]


def choices_of(books: Books, person: str) -> NoticeChoices:
    """Tell what holds for a person now."""
    with reading(books.engine) as tx:
        return _choices(tx, books.lab, books.hub_id, person)


def choose(
    books: Books, person: str, wanted: Mapping[str, Sequence[str]], *, tag: str
) -> NoticeChoices:
    """Replace all that a person chose; kinds that are left out follow the lab again.

    Raises:
        BadChoice: a kind or channel that is not the person's to choose.
        StaleEdit: it is no longer what the caller has read.

    """
    lab = books.lab
    for fault in _faults(lab, person, wanted):
        raise BadChoice(fault)
    with transaction(books.engine, step="choices_made") as tx:
        rows.lock_choices(tx)
        before = rows.choices_of(tx, books.hub_id, [person])
        after = {(person, kind): tuple(dict.fromkeys(names)) for kind, names in wanted.items()}
        if _choices(tx, lab, books.hub_id, person).tag != tag and before != after:
            raise StaleEdit("The choices were changed since you read them; read them again.")
        if before != after:
            rows.save_choices(tx, books.hub_id, person, {key[1]: after[key] for key in after})
        return _choices(tx, lab, books.hub_id, person)


def _choices(tx: Connection, lab: Lab, hub_id: str, person: str) -> NoticeChoices:
    stored, channels = rows.choices_of(tx, hub_id, [person]), channels_for(lab, person)
    offered = {one.name for one in channels}
    chosen = {
        kind: tuple(
            name
            for name in stored.get((person, kind), default_channels(lab, person, kind))
            if name in offered
        )
        for kind in kinds_for(lab, person)
    }
    return NoticeChoices(person=person, chosen=chosen, channels=channels)


def _faults(lab: Lab, person: str, wanted: Mapping[str, Sequence[str]]) -> Iterator[str]:
    kinds, offered = kinds_for(lab, person), [one.name for one in channels_for(lab, person)]
    for kind, names in wanted.items():
        if kind not in kinds:
            yield f"You are not told of {kind!r:.70}. There is: {', '.join(kinds) or 'nothing'}."
        for name in names:
            if name not in offered:
                there = ", ".join(offered) or "none"
                yield f"There is no channel {name!r:.70} for you. You can choose: {there}."
