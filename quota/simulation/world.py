"""The runtime of a simulation: containers in memory that start, stop and die when told."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from quota.observed import Observed

HUB_ID = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What really ran, told by nobody but the world: the books are compared with it."""

    ref: str
    lease_id: UUID
    account: str
    flavor: str
    gpu_uuid: str | None
    started_at: datetime
    finished_at: datetime | None = None
    # Up to when the books were shown it running, and where they were shown less than there was:
    # it was missed once, or it is gone without a trace.
    shown_until: datetime | None = None
    was_missed: bool = False
    has_vanished: bool = False


class World:
    """Containers, running or exited and not yet removed, and all that ever ran."""

    def __init__(self) -> None:
        self.containers: dict[str, Observed] = {}
        self.ran: dict[str, Ran] = {}

    def start(self, one: Ran) -> None:
        """Start a container."""
        self.ran[one.ref] = one
        self.containers[one.ref] = Observed(
            ref=one.ref, lease_id=one.lease_id, hub_id=HUB_ID, account=one.account,
            server_name="", flavor=one.flavor, started_at=one.started_at, finished_at=None,
            exit_code=None,
        )  # fmt: skip

    def finish(self, ref: str, at: datetime) -> None:
        """Let a container exit; one that has is not touched."""
        one = self.containers.get(ref)
        if one is None or one.finished_at is not None:
            return
        self.containers[ref] = replace(one, finished_at=at, exit_code=0)
        self.ran[ref] = replace(self.ran[ref], finished_at=at)

    def vanish(self, ref: str, at: datetime) -> None:
        """Let a running container be gone without a trace: killed and removed by hand."""
        if self.is_running(ref):
            del self.containers[ref]
            self.ran[ref] = replace(self.ran[ref], finished_at=at, has_vanished=True)

    def shown(self, listing: Collection[Observed], at: datetime) -> None:
        """Note what the books were shown, at an instant of their own clock."""
        refs = {one.ref for one in listing}
        for ref, one in self.containers.items():
            known = self.ran[ref]
            if ref not in refs:
                self.ran[ref] = replace(known, was_missed=True)
            elif one.is_running and (known.shown_until is None or known.shown_until < at):
                self.ran[ref] = replace(known, shown_until=at)

    def remove(self, ref: str) -> None:
        """Forget an exited container; a running one stays, as an engine would have it."""
        one = self.containers.get(ref)
        if one is not None and not one.is_running:
            del self.containers[ref]

    def observe(self, names: Collection[str] | None = None) -> list[Observed]:
        """List the containers, of all or of some accounts."""
        found = self.containers.values()
        return [one for one in found if names is None or one.account in names]

    def is_running(self, ref: str) -> bool:
        """Tell whether a container runs."""
        one = self.containers.get(ref)
        return one is not None and one.is_running
