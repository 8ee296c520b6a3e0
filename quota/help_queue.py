"""The help queue: a scholar raises a hand, a TA of the section takes it up. Pure.

waiting -> claimed -> resolved, and back to waiting when a TA puts it back; the scholar may
withdraw it as long as it is open.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from quota.errors import AlreadyDecided, NotYours

HelpState = Literal["waiting", "claimed", "resolved", "withdrawn"]
OPEN_STATES: tuple[HelpState, ...] = ("waiting", "claimed")


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpRequest:
    """One raised hand and what became of it."""

    id: UUID
    account_id: int
    server_name: str
    message: str
    path: str
    state: HelpState
    raised_at: datetime
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None
    answer: str = ""

    @property
    def is_open(self) -> bool:
        """Tell whether somebody still waits for help."""
        return self.state in OPEN_STATES


def claimed(request: HelpRequest, ta: str, *, at: datetime) -> HelpRequest:
    """Take a request up as a TA; taking up one's own again changes nothing.

    Raises:
        AlreadyDecided: somebody else helps already, or it is closed.

    """
    if request.state == "claimed" and request.claimed_by == ta:
        return request
    if request.state == "claimed":
        raise AlreadyDecided(f"{request.claimed_by} helps already.")
    return replace(_open(request), state="claimed", claimed_by=ta, claimed_at=at)


def handed_over(request: HelpRequest, ta: str, to: str | None, *, at: datetime) -> HelpRequest:
    """Pass a claimed request to another TA, or put it back into the queue.

    It keeps its place: the scholar has waited since the hand was raised.

    Raises:
        NotYours: another TA has it, or nobody.
        AlreadyDecided: it is closed.

    """
    _open(request)
    if request.claimed_by == to and request.state == ("claimed" if to else "waiting"):
        return request
    _require_claimed_by(request, ta)
    if to is None:
        return replace(request, state="waiting", claimed_by=None, claimed_at=None)
    return replace(request, claimed_by=to, claimed_at=at)


def resolved(request: HelpRequest, ta: str, answer: str, *, at: datetime) -> HelpRequest:
    """Close a request that was helped.

    Raises:
        NotYours: another TA has it, or nobody.
        AlreadyDecided: it is closed, otherwise than so.

    """
    if (request.state, request.closed_by, request.answer) == ("resolved", ta, answer):
        return request
    _require_claimed_by(_open(request), ta)
    return replace(request, state="resolved", closed_by=ta, closed_at=at, answer=answer)


def withdrawn(request: HelpRequest, scholar: str, *, at: datetime) -> HelpRequest:
    """Take one's own request back.

    Raises:
        AlreadyDecided: it was resolved.

    """
    if request.state == "withdrawn":
        return request
    return replace(_open(request), state="withdrawn", closed_by=scholar, closed_at=at)


def places(waiting: Iterable[tuple[str | None, HelpRequest]]) -> dict[UUID, int]:
    """Number each section's waiting requests, which come the oldest first; 1 is next."""
    seen: Counter[str | None] = Counter()
    found = {}
    for section, one in waiting:
        seen[section] += 1
        found[one.id] = seen[section]
    return found


def _open(request: HelpRequest) -> HelpRequest:
    if not request.is_open:
        raise AlreadyDecided(f"This request for help is {request.state} already.")
    return request


def _require_claimed_by(request: HelpRequest, ta: str) -> None:
    if request.claimed_by != ta:
        raise NotYours("Claim this request for help first; only who has it can do this.")
