"""Named places where a test lets the process die as if the power had failed.

Every writing transaction of the use cases has two: when all is written and nothing committed, and
when it is committed and nobody has been told. A few more lie between two writes of one
transaction, and after each thing that the worker does outside of transactions. Only a call of
`arm` arms one, never the environment: no setting can make a lab kill itself. The tests of promise
P04 let each of them go off.
"""

import os
from collections.abc import Iterator

# Each is the `step` of one `transaction(engine, step=...)`.
STEPS = frozenset({
    # whoever asks whether the service is ready
    "ready",
    # scholars
    "request_lease", "stop_lease", "keep_gpu", "keep_place", "reserved", "reservation_withdrawn",
    "lab_passed",
    # the service, once a minute
    "refusals_noted",
    # organizers and TAs
    "grant", "grant_many", "refund_noted", "refund_given", "hours_asked",
    "hours_answered", "hours_withdrawn", "attach", "detach", "rule_changed", "roster_imported",
    "feed_made", "feed_revoked", "choices_made", "hand_raised", "help_changed", "consent_chosen",
    "session_stopped",
    # the hub, after an emergency
    "emergency_noted", "emergency_start",
    # a session, and whoever keeps the hub's shares
    "session_opened", "unshared",
    # the worker
    "inventory", "tick_adopts", "tick_advances", "tick_advances_alone", "tick_seen", "checkpoint",
    "note_states", "release_gpu", "tell_forgotten", "reservation_kept", "room_made", "census",
    # whoever checks the books
    "note_check",
    # the sender of notifications
    "letters_claimed", "letters_settled",
})  # fmt: skip

# Each is a call of `failpoint` between two writes of one transaction.
BETWEEN = frozenset({"lots_saved", "entries_saved", "hours_moved", "slot_taken"})

# Each is a call of `failpoint` in the worker, after something that is no transaction: it has
# looked, a file is half written or whole, a stop was begun, asked of the hub, done at the
# runtime, a session was removed.
OUTSIDE = frozenset({
    "observed", "deadlines_drafted", "deadlines_written", "stops_begun", "hub_asked",
    "session_ended", "session_removed",
})  # fmt: skip

EDGES = frozenset(f"{step}.{where}" for step in STEPS for where in ("written", "committed"))
NAMES = EDGES | BETWEEN | OUTSIDE

# As a shell reports a process that was killed.
EXIT_STATUS = 137

_armed: str | None = None
_passes: Iterator[int] = iter(())


def arm(name: str, *, passes: int = 0) -> None:
    """Let this process die at a failpoint, after it was passed so many times."""
    global _armed, _passes
    if name not in NAMES:
        raise ValueError(f"there is no failpoint {name!r}")
    _armed, _passes = name, iter(range(passes))


def is_armed(name: str) -> bool:
    """Tell whether this failpoint may go off: then what lies before it must have happened."""
    return name == _armed


def failpoint(name: str) -> None:
    """Die here if this failpoint is armed; otherwise nothing, at the cost of one comparison."""
    if name == _armed and next(_passes, None) is None:
        # No handlers, no buffers, no rollback: what the database has is all that is left.
        os._exit(EXIT_STATUS)
