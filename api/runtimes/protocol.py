"""What the worker and the watchdog ask of whatever sessions run in."""

from typing import Protocol

from quota.observed import Observed


class RuntimeUnavailable(Exception):
    """The runtime could not be asked, so nothing may be concluded."""


class StillRunning(Exception):
    """A session was asked to end, and it still runs."""


class Runtime(Protocol):
    """Containers or process trees, each the session of one lease, known by its `ref`."""

    name: str

    def observe(self) -> list[Observed]:
        """Return what runs, and what has ended and is not removed yet.

        Raises:
            RuntimeUnavailable: when it could not be seen.

        """
        ...

    def started_without_books(self) -> list[Observed]:
        """Return what an emergency let start and runs still; raises like `observe`."""
        ...

    def is_running(self, ref: str) -> bool:
        """Tell whether a session really runs."""
        ...

    def stop(self, ref: str, grace_s: int) -> None:
        """Ask a session to end and return when it is gone; what is gone already is fine.

        Raises:
            StillRunning: when it is not gone after the grace.
            RuntimeUnavailable: when the runtime does not answer.

        """
        ...

    def kill(self, ref: str) -> None:
        """End a session without asking it; raises like `stop`."""
        ...

    def remove(self, ref: str) -> None:
        """Forget a session that has ended; its end must be in the books before."""
        ...

    def wait_event(self, timeout_s: float) -> bool:
        """Wait until something starts or dies; False when nothing did in time."""
        ...
