"""Refusals: what the books say no to, each with a stable code and a plain sentence.

    Refusal
    |-- InsufficientBalance   too few GPU-hours for the shortest session
    |-- OutsideProgram        no week of the program is running
    |-- NotOnRoster           no section, so no allowance
    |-- AlreadyRunning        one open lease per (hub, account, server)
    |-- TooManySessions       the scholar's own ceiling
    |-- FlavorCannotBePlaced  no GPU in service is large enough
    |-- LeaseConflict         a lease id used again with another body
    |-- GrantConflict         a grant id used again with another body
    |-- NoSuchFlavor, NoSuchImage, NoSuchLease, NoSuchAccount
    `-- BadAmount             hours that are no amount of GPU time

`BooksUnavailable` is no refusal: the books could not be asked.
"""

from datetime import datetime
from typing import ClassVar


class Refusal(Exception):
    """The books say no. `code` is for programs, the message for people.

    `retry_at` is the instant from which the same request may work, where that is known.
    """

    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "Refused"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_at = retry_at


class InsufficientBalance(Refusal):
    """Fewer GPU-hours are available than the shortest session needs."""

    code = "insufficient_balance"
    title = "Not enough GPU-hours"


class OutsideProgram(Refusal):
    """The program has not begun, is over, or pauses."""

    code = "outside_program"
    title = "No week of the program is running"


class NotOnRoster(Refusal):
    """The person is in no section, so nothing gives them GPU-hours."""

    code = "not_on_roster"
    title = "Not on a roster"


class AlreadyRunning(Refusal):
    """There is an open lease for the same hub, account and server name."""

    code = "already_running"
    title = "A session with this name is already open"


class TooManySessions(Refusal):
    """The account has as many GPU sessions open as the policy allows."""

    code = "too_many_sessions"
    title = "Too many sessions at once"


class FlavorCannotBePlaced(Refusal):
    """No GPU in service could ever hold this flavor."""

    code = "flavor_cannot_be_placed"
    title = "No GPU here is large enough"


class LeaseConflict(Refusal):
    """The lease id was used before with another body."""

    code = "lease_conflict"
    title = "This lease id belongs to another request"


class GrantConflict(Refusal):
    """The grant id was used before with another body."""

    code = "grant_conflict"
    title = "This grant id belongs to another grant"


class NoSuchFlavor(Refusal):
    """The lab has no flavor of this name."""

    code = "no_such_flavor"
    title = "Unknown flavor"


class NoSuchImage(Refusal):
    """The lab has no image of this name."""

    code = "no_such_image"
    title = "Unknown image"


class NoSuchLease(Refusal):
    """No lease has this id."""

    code = "no_such_lease"
    title = "Unknown lease"


class NoSuchAccount(Refusal):
    """Nobody of this name is known to the lab."""

    code = "no_such_account"
    title = "Unknown account"


class BadAmount(Refusal):
    """The hours given are no amount of GPU time that can be granted."""

    code = "bad_amount"
    title = "Not an amount of GPU time"


class BooksUnavailable(Exception):
    """The database did not answer in time, or refused to write."""
