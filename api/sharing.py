"""Attachments in the books become shares in the hub, and stop being that, whatever crashed.

The books come first: a share is made after the attachment is written, and an ended attachment
counts as shared until the hub was seen to have no share for it. So whoever dies in between, a
later look finds what is missing and what is too much. See docs/decisions/0015-attach.md.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from api.after_ticks import after_ticks
from api.hub_shares import HubShares, Share
from api.settings import WorkerSettings
from quota.errors import BooksUnavailable
from quota.helping import Helping, Shared
from quota.service import Books

log = structlog.get_logger()

# A pass asks the hub about so many TAs, and makes and takes back so many shares, at most.
_TAS_AT_ONCE = 20
_DEEDS_AT_ONCE = 50


class Shares(Protocol):
    """The hub's shares; None and False stand for a hub that did not answer."""

    def of(self, ta: str) -> frozenset[Share] | None:
        """List into whose servers somebody may come."""

    def make(self, share: Share) -> bool:
        """Let a TA in."""

    def revoke(self, share: Share) -> bool:
        """Let a TA in no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What makes the hub agree with the books."""

    make: tuple[Share, ...]
    revoke: tuple[Share, ...]


def deeds(shared: Iterable[Shared], found: Mapping[str, frozenset[Share]], now: datetime) -> Deeds:
    """Compare the books with the shares of some TAs; pure."""
    wanted = {
        share_of(one) for one in shared
        if one.attachment.is_open and now < one.attachment.until and one.attachment.ta in found
    }  # fmt: skip
    there = {share for some in found.values() for share in some}
    return Deeds(make=_in_order(wanted - there), revoke=_in_order(there - wanted))


def over(shared: Iterable[Shared], still_there: Mapping[str, frozenset[Share]]) -> list[UUID]:
    """Return the ended attachments whose TAs the hub lets in no more on their account; pure.

    A share that a later attachment of the same TA wants is that one's.
    """
    shared = list(shared)
    lasting = {share_of(one) for one in shared if one.attachment.is_open}
    return [
        one.attachment.id for one in shared
        if not one.attachment.is_open and (there := still_there.get(one.attachment.ta)) is not None
        and (share_of(one) not in there or share_of(one) in lasting)
    ]  # fmt: skip


def share_of(one: Shared) -> Share:
    """Return the share that an attachment stands for."""
    return Share(owner=one.account, server_name=one.server_name, ta=one.attachment.ta)


class Sharing:
    """Keeps the hub's shares as the books say."""

    def __init__(self, helping: Helping, shares: Shares) -> None:
        self._helping = helping
        self._shares = shares
        self._turn = 0

    def settle(self, ta: str) -> bool:
        """Make the hub agree about one TA; False when it could not be asked or refused."""
        return self._settle([ta], ta=ta)

    def settle_all(self) -> bool:
        """Look at everybody whom the hub may let in, and in turn at one other TA.

        The turn finds what nobody expects: shares in a hub that was put back from a copy.
        """
        shared = self._helping.shared()
        tas = list(dict.fromkeys(one.attachment.ta for one in shared))[:_TAS_AT_ONCE]
        return self._settle([*tas, *self._next_in_turn(tas)])

    def _next_in_turn(self, looked_at: Sequence[str]) -> list[str]:
        lab = self._helping.books.lab
        every = sorted({ta for section in lab.sections.values() for ta in section.tas})
        if not every:
            return []
        self._turn = (self._turn + 1) % len(every)
        return [one for one in (every[self._turn],) if one not in looked_at]

    def _settle(self, tas: Sequence[str], *, ta: str | None = None) -> bool:
        """Look, compare, act. Service and worker may do it at once, so the order matters.

        What ended before the look counts as over. The books are read again after the look: a
        share that was seen is never older than its attachment. And once more after shares were
        made: what ended meanwhile is taken back.
        """
        before = self._helping.shared(ta=ta)
        found: dict[str, frozenset[Share]] = {}
        for one in tas:
            there = self._shares.of(one)
            if there is None:
                return False
            found[one] = there
        wanted = self._deeds(found, ta)
        made = [share for share in wanted.make[:_DEEDS_AT_ONCE] if self._shares.make(share)]
        gone = [share for share in wanted.revoke[:_DEEDS_AT_ONCE] if self._shares.revoke(share)]
        if made:
            late = self._deeds({one: frozenset(made) for one in found}, ta).revoke
            gone += [share for share in late if share in made and self._shares.revoke(share)]
        if made or gone:
            log.info("shares_settled", made=len(made), revoked=len(gone))
        left = {one: there - set(gone) for one, there in found.items()}
        self._helping.note_unshared(over(before, left))
        return len(made) == len(wanted.make) and set(wanted.revoke) <= set(gone)

    def _deeds(self, found: Mapping[str, frozenset[Share]], ta: str | None) -> Deeds:
        shared = self._helping.shared(ta=ta)
        return deeds(shared, found, self._helping.books.clock.now())


def open_shares(settings: WorkerSettings, books: Books) -> "SharesWatch":
    """Put together what keeps the hub's shares right beside a worker."""
    shares = HubShares(settings.hub_api_url, settings.secret("service_token"))
    return SharesWatch(Sharing(Helping(books), shares))


class SharesWatch:
    """Settles after every tick of the worker, in a thread of its own: the hub may be silent."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self.ticked = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Settle until told to stop; nothing that fails ends the loop."""
        after_ticks(self.ticked, stopped, self._try)

    def _try(self) -> None:
        try:
            if not self._sharing.settle_all():
                log.warning("shares_not_settled")
        except BooksUnavailable as error:
            log.warning("shares_not_settled", error=str(error))
        except Exception:
            # A fault of ours must not leave sessions open for good; the alarm brings somebody.
            log.exception("shares_broken", alarm=True)


def _in_order(shares: Iterable[Share]) -> tuple[Share, ...]:
    return tuple(sorted(shares, key=lambda one: (one.owner, one.server_name, one.ta)))
