"""Calendar addresses: whoever has one reads the calendar of one section, and nothing else.

Calendar programs can send no header, so the secret is a part of the address. It is made here, told
once, and kept as a hash only. It dies when it is revoked, or when its owner leaves the section.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from quota.audit import By
from quota.errors import BadAmount, IdConflict, NoSuchThing
from quota.lab import Lab
from quota.service import Books
from quota.store import feeds as rows
from quota.store.engine import reading, transaction
from quota.store.trail import write_audit

_SECRET_BYTES = 32
_SECRET_MOST_CHARS = 100

# A laptop, a phone, a family's calendar: and room for those whose address was lost.
MOST_OPEN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An address of one person for one section; the secret itself is not kept."""

    id: UUID
    hub_id: str
    owner: str
    section: str
    digest: bytes
    made_at: datetime
    revoked_at: datetime | None = None


def make_feed(
    books: Books, feed_id: UUID, owner: str, section: str, *, by: By
) -> tuple[Feed, str | None]:
    """Make an address; the secret is returned this once. Repeating it returns the feed alone.

    Raises:
        NoSuchThing: the section is not there, or does not show to the owner.
        IdConflict: the id was used for another feed.
        BadAmount: the owner has too many already.

    """
    if not may_read(books.lab, owner, section):
        raise NoSuchThing("There is no such section.")
    now = books.clock.now()
    with transaction(books.engine, step="feed_made") as tx:
        # First the trail's lock: two at once could else both be the last that is allowed.
        rows.lock(tx)
        earlier = rows.by_id(tx, feed_id)
        if earlier is not None:
            found = Feed(**earlier)
            if (found.hub_id, found.owner, found.section) != (books.hub_id, owner, section):
                raise IdConflict("This id was used before for another calendar address.")
            return found, None
        if rows.count_open(tx, books.hub_id, owner) >= MOST_OPEN:
            raise BadAmount(f"There are {MOST_OPEN} calendar addresses already; revoke one.")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        made = Feed(id=feed_id, hub_id=books.hub_id, owner=owner, section=section,
                    digest=_digest(secret), made_at=now)  # fmt: skip
        rows.insert_feed(tx, {name: getattr(made, name) for name in Feed.__slots__})
        write_audit(tx, by, "feed.make", owner, hub_id=books.hub_id, at=now,
                    reason="a calendar address", after={"id": feed_id, "section": section},
                    )  # fmt: skip
    return made, secret


def revoke_feed(books: Books, feed_id: UUID, *, by: By) -> Feed:
    """Let an address lead nowhere from now on; repeating it changes nothing.

    Raises:
        NoSuchThing: nobody has this id.

    """
    now = books.clock.now()
    with transaction(books.engine, step="feed_revoked") as tx:
        rows.lock(tx)
        feed = _found(rows.by_id(tx, feed_id), books.hub_id)
        if feed.revoked_at is not None:
            return feed
        rows.revoke(tx, feed_id, now)
        write_audit(tx, by, "feed.revoke", feed.owner, hub_id=books.hub_id, at=now,
                    reason="a calendar address", before={"id": feed_id, "section": feed.section},
                    )  # fmt: skip
    return replace(feed, revoked_at=now)


def feed(books: Books, feed_id: UUID) -> Feed:
    """Find a feed by its id.

    Raises:
        NoSuchThing: nobody has this id.

    """
    with reading(books.engine) as tx:
        return _found(rows.by_id(tx, feed_id), books.hub_id)


def feeds_of(books: Books, owner: str) -> list[Feed]:
    """List a person's feeds, the oldest first."""
    with reading(books.engine) as tx:
        return [Feed(**row) for row in rows.of_owner(tx, books.hub_id, owner)]


def section_behind(books: Books, secret: str) -> str:
    """Tell which section an address shows.

    Raises:
        NoSuchThing: it leads nowhere, whether it never did or does not any more.

    """
    if len(secret) <= _SECRET_MOST_CHARS and secret.isascii():
        wanted = _digest(secret)
        with reading(books.engine) as tx:
            row = rows.by_digest(tx, books.hub_id, wanted)
        if row is not None:
            found = Feed(**row)
            # The database compares hashes, which tells nothing of the secret; this is the belt.
            is_it = hmac.compare_digest(found.digest, wanted) and found.revoked_at is None
            if is_it and may_read(books.lab, found.owner, found.section):
                return found.section
    raise NoSuchThing("There is no such calendar.")


def may_read(lab: Lab, person: str, section: str) -> bool:
    """Tell whether a section's calendar shows to a person under the rules in force."""
    own = lab.section_of(person)
    return section in lab.sections and (
        (own is not None and own.name == section)
        or person in lab.organizers
        or person in lab.sections[section].tas
    )


def _found(row: dict[str, object] | None, hub_id: str) -> Feed:
    if row is None or row["hub_id"] != hub_id:
        raise NoSuchThing("There is no such calendar address.")
    return Feed(**row)  # type: ignore[arg-type]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
