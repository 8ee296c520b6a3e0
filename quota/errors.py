"""Refusals: what the books say no to, each with a stable code and a plain sentence.

    Refusal
    |-- InsufficientBalance   too few GPU-hours for the shortest session
    |-- OutsideProgram        no week of the program is running
    |-- GpusClosed            a blackout: nobody may use a GPU now
    |-- NotOnRoster           no section, so no allowance
    |-- AlreadyRunning        one open lease per (hub, account, server)
    |-- TooManySessions       the scholar's own ceiling
    |-- FlavorCannotBePlaced  no GPU in service is large enough
    |-- LeaseConflict         a lease id used again with another body
    |-- GrantConflict         a grant id used again with another body
    |-- IdConflict            a request's, refund's or attachment's id used again for another
    |-- NoSuchFlavor, NoSuchImage, NoSuchLease, NoSuchAccount, NoSuchThing
    |-- BudgetSpent           a TA's weekly hours, or a pool, do not suffice
    |-- AlreadyDecided        a request for hours that was answered before
    |-- NotAttachable         there is no running session to attach to, or the TA is another's
    |-- AttachNeedsSubdomains sessions share the hub's origin: a page could act as the TA
    |-- AttachNotConsented    the scholar lets TAs in only while asking for help
    |-- ObserveNotPossible    the session cannot hold a visitor to reading
    |-- NotYours              a request for help that another TA has, or nobody
    |-- GpuIsWanted           an idle GPU, and somebody who waits for one
    |-- NoReservations        the lab lets nobody reserve anything
    |-- TooManyReservations   as many as a scholar may have, or two for one time
    |-- NothingFree           no GPU has room at the time that somebody wants to reserve
    |-- BadStart, BadLength   a reservation for a time that the rules do not allow
    |-- StaleEdit             somebody else changed it since it was read
    |-- BadRule               an edit that lab.yaml would refuse, too
    |-- BadChoice             a kind of news or a channel that is not the person's to choose
    |-- BadAmount             hours that are no amount of GPU time
    `-- BadText               a reason or name that is not one line of plain text

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


class GpusClosed(Refusal):
    """A blackout of the program: nobody may use a GPU now."""

    code = "gpus_closed"
    title = "The GPUs are closed"


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


class IdConflict(Refusal):
    """The id was used before for another request, refund or attachment."""

    code = "id_conflict"
    title = "This id belongs to something else"


class BudgetSpent(Refusal):
    """What a TA may give this week does not suffice."""

    code = "budget_spent"
    title = "The weekly budget is spent"


class AlreadyDecided(Refusal):
    """The request for hours has been answered, withdrawn, or has gone stale."""

    code = "already_decided"
    title = "The request is closed"


class NotAttachable(Refusal):
    """There is no running session of this scholar to attach to."""

    code = "not_attachable"
    title = "Nothing to attach to"


class AttachNeedsSubdomains(Refusal):
    """Sessions share the hub's origin, so a scholar's page could act as the TA who opens it."""

    code = "attach_needs_subdomains"
    title = "The lab has no address for each scholar"


class AttachNotConsented(Refusal):
    """The scholar lets TAs in only while asking for help."""

    code = "attach_not_consented"
    title = "The scholar does not ask for help"


class ObserveNotPossible(Refusal):
    """The session cannot hold a visitor to reading."""

    code = "observe_not_possible"
    title = "This session cannot be observed"


class NotYours(Refusal):
    """The request for help is another TA's, or nobody has taken it up."""

    code = "not_yours"
    title = "Another TA has it"


class GpuIsWanted(Refusal):
    """An idle GPU cannot be kept while somebody waits for one."""

    code = "gpu_is_wanted"
    title = "Somebody waits for a GPU"


class NoReservations(Refusal):
    """The lab's rules let nobody reserve a GPU share."""

    code = "no_reservations"
    title = "The lab takes no reservations"


class TooManyReservations(Refusal):
    """The scholar has as many reservations as the rules allow, or one for the same time."""

    code = "too_many_reservations"
    title = "Too many reservations"


class NothingFree(Refusal):
    """No GPU has room for a reservation at that time."""

    code = "nothing_free"
    title = "Nothing is free then"


class BadStart(Refusal):
    """A reservation begins too soon or too far ahead."""

    code = "bad_start"
    title = "Not a start for a reservation"


class BadLength(Refusal):
    """A reservation is too short or too long."""

    code = "bad_length"
    title = "Not a length for a reservation"


class StaleEdit(Refusal):
    """Somebody else changed it since it was read."""

    code = "stale_edit"
    title = "It was changed meanwhile"


class BadChoice(Refusal):
    """A kind of news or a channel that is not the person's to choose."""

    code = "bad_choice"
    title = "This cannot be chosen"


class BadRule(Refusal):
    """The rule would not fit the rest of the lab; `lab.yaml` would refuse it, too."""

    code = "bad_rule"
    title = "This rule cannot be used"

    def __init__(
        self, message: str, *, entries: frozenset[tuple[str | int, ...]] = frozenset()
    ) -> None:
        super().__init__(message)
        self.entries = entries
        """Part and name of each entry in which something is wrong."""


class NoSuchThing(Refusal):
    """Nothing of this kind has this name or id."""

    code = "no_such_thing"
    title = "Unknown here"


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


class BadText(Refusal):
    """A reason, an answer or a name is too long, or not one line of plain text."""

    code = "bad_text"
    title = "Not a line of plain text"


class BackupFailed(Exception):
    """A copy of the books could not be made or put back; the sentence says why."""


class BooksUnavailable(Exception):
    """The database did not answer in time, or refused to write."""
