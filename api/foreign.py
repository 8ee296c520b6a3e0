"""Containers that hold a GPU and are not the lab's: found, told, stopped if the operator wants.

Somebody who starts one by hand beside the lab takes memory and time from scholars whose hours are
counted. The watchdog looks for them, since hub and worker are not shown other people's containers.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import structlog

from api.runtimes.protocol import RuntimeUnavailable, StillRunning

log = structlog.get_logger()

# A program of the lab itself that needs a GPU (it reads the load) carries this.
PART = "gpulab.part"


class Neighbours(Protocol):
    """An engine that can also show what is not the lab's."""

    def others(self) -> list[str]:
        """Return the running containers that are not sessions of this hub."""
        ...

    def inspect(self, ref: str) -> dict[str, Any] | None:
        """Return all that the engine knows of a container; None when it is gone."""
        ...

    def stop(self, ref: str, grace_s: int) -> None:
        """Ask a container to end."""
        ...

    def kill(self, ref: str) -> None:
        """End a container without asking it."""
        ...


def is_foreign(found: Mapping[str, Any]) -> bool:
    """Tell whether an inspected container, which is no session of this hub, holds a GPU."""
    return PART not in (found["Config"]["Labels"] or {}) and any(_gpus(found))


def _gpus(found: Mapping[str, Any]) -> Iterator[str]:
    host = found["HostConfig"]
    for request in host.get("DeviceRequests") or ():
        words = [word for some in request.get("Capabilities") or () for word in some]
        if "gpu" in words or request.get("Driver") in ("nvidia", "cdi"):
            yield "requested"
    for device in host.get("Devices") or ():
        if any(str(device.get(at)).startswith("/dev/nvidia")
               for at in ("PathOnHost", "PathInContainer")):  # fmt: skip
            yield "device"
    if host.get("Runtime") == "nvidia":
        env = dict(one.partition("=")[::2] for one in found["Config"].get("Env") or ())
        if env.get("NVIDIA_VISIBLE_DEVICES", "") not in ("", "void", "none"):
            yield "runtime"


class ForeignWatch:
    """Looks at all containers of an engine; each is inspected once, since it cannot change."""

    def __init__(
        self, engine: Neighbours, policy: Literal["alarm", "stop"], *, grace_s: int
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._grace_s = grace_s
        self._known: dict[str, bool] = {}

    def look(self) -> int:
        """Tell of every new one, act as the policy says; return how many there are.

        Raises:
            RuntimeUnavailable: the engine could not be asked.

        """
        running = self._engine.others()
        self._known = {ref: known for ref, known in self._known.items() if ref in set(running)}
        for ref in running:
            if ref not in self._known:
                self._known[ref] = self._is_foreign(ref)
        foreign = [ref for ref in running if self._known[ref]]
        if self._policy == "stop":
            for ref in foreign:
                self._stop(ref)
        return len(foreign)

    def _is_foreign(self, ref: str) -> bool:
        found = self._engine.inspect(ref)
        if found is None or not is_foreign(found):
            return False
        name, image = str(found["Name"]).lstrip("/"), str(found["Config"]["Image"])
        log.error("foreign_container", ref=ref[:12], name=name, image=image,
                  policy=self._policy, alarm=True)  # fmt: skip
        return True

    def _stop(self, ref: str) -> None:
        try:
            try:
                self._engine.stop(ref, self._grace_s)
            except StillRunning:
                self._engine.kill(ref)
        except (RuntimeUnavailable, StillRunning) as error:
            log.error("foreign_not_stopped", ref=ref[:12], error=str(error)[:200], alarm=True)
            return
        log.info("foreign_stopped", ref=ref[:12])
