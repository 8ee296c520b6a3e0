"""Sessions as containers: read from the engine, by the labels that the spawner gives them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env

from api.runtimes.protocol import RuntimeUnavailable, StillRunning
from quota.clock import Clock, to_ms
from quota.emergency_times import end_of_start
from quota.observed import Observed

LEASE, HUB, USER, SERVER, FLAVOR = (
    f"gpulab.{word}" for word in ("lease", "hub", "user", "server", "flavor")
)
# Of what was started while the books were away alone: where it is, and until when.
GPU, EMERGENCY = "gpulab.gpu", "gpulab.emergency"

_ANSWER_S = 10
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class DockerRuntime:
    """The containers of one hub at one engine."""

    name = "docker"

    def __init__(self, hub_id: str, clock: Clock, *, base_url: str | None = None) -> None:
        self._hub_id = hub_id
        self._label = f"{HUB}={hub_id}"
        self._clock = clock
        self._base_url = base_url
        self._client: docker.APIClient | None = None
        self._events_from_ms: int | None = None

    def observe(self) -> list[Observed]:
        """Return every container of this hub that exists, by inspection of each."""
        listed = self._ask("containers", all=True, filters={"label": [self._label]})
        found = [self.inspect(one["Id"]) for one in listed]
        seen = [observed_from(one) for one in found if one is not None]
        return [one for one in seen if one is not None]

    def started_without_books(self) -> list[Observed]:
        """Return the running containers that an emergency let start."""
        filters = {"label": [self._label, EMERGENCY]}
        found = [self.inspect(one["Id"]) for one in self._ask("containers", filters=filters)]
        seen = [observed_from(one) for one in found if one is not None]
        return [one for one in seen if one is not None]

    def is_running(self, ref: str) -> bool:
        """Tell whether a container runs (a paused one does)."""
        found = self.inspect(ref)
        return found is not None and _runs(found["State"])

    def stop(self, ref: str, grace_s: int) -> None:
        """Let the engine stop a container: SIGTERM, and SIGKILL after the grace."""
        try:
            self._ask("stop", ref, timeout=grace_s)
        except NotFound:
            return
        self._check_gone(ref)

    def kill(self, ref: str) -> None:
        """Send SIGKILL to a container and wait for its end."""
        try:
            self._ask("kill", ref)
            self._ask("wait", ref, timeout=_ANSWER_S)
        except NotFound:
            return
        except RuntimeUnavailable:
            # Also the answer for one that does not run.
            self._check_gone(ref)
            return
        self._check_gone(ref)

    def remove(self, ref: str) -> None:
        """Remove a container that has ended; scholars' volumes have names and stay."""
        if self.is_running(ref):
            raise StillRunning(f"container {ref[:12]} runs, so it is not removed")
        try:
            self._ask("remove_container", ref, v=True)
        except NotFound:
            return
        except RuntimeUnavailable:
            if self.inspect(ref) is not None:
                raise

    def wait_event(self, timeout_s: float) -> bool:
        """Ask the engine for the next start or death since the last one that was told."""
        now_ms = to_ms(self._clock.now())
        since_ms = now_ms if self._events_from_ms is None else self._events_from_ms
        until_ms = now_ms + int(timeout_s * 1000)
        filters = {"type": "container", "event": ["start", "die"], "label": [self._label]}
        stream = self._ask(
            "events", since=_seconds(since_ms), until=_seconds(until_ms), filters=filters,
            decode=True,
        )  # fmt: skip
        try:
            event = next(iter(stream), None)
        except (requests.RequestException, DockerException) as error:
            raise RuntimeUnavailable(f"events: {error}") from error
        finally:
            stream.close()
        at_ms = now_ms if event is None else int(event["timeNano"]) // 1_000_000 + 1
        self._events_from_ms = max(since_ms, at_ms)
        return event is not None

    def others(self) -> list[str]:
        """Return the running containers that are not this hub's; only the watchdog may ask."""
        listed = self._ask("containers")
        return [one["Id"] for one in listed if (one["Labels"] or {}).get(HUB) != self._hub_id]

    def inspect(self, ref: str) -> dict[str, Any] | None:
        """Return all that the engine knows of a container; None when it is gone."""
        try:
            found: dict[str, Any] = self._ask("inspect_container", ref)
        except NotFound:
            return None
        return found

    def close(self) -> None:
        """Let go of the engine."""
        if self._client is not None:
            self._client.close()

    # -- the engine ---------------------------------------------------------------------------

    def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call the engine; everything but "no such container" is no answer at all."""
        try:
            return getattr(self._connected(), method)(*arguments, **named)
        except NotFound:
            raise
        except (APIError, DockerException, requests.RequestException, OSError) as error:
            raise RuntimeUnavailable(f"the Docker engine, asked to {method}: {error}") from error

    def _connected(self) -> docker.APIClient:
        if self._client is None:
            where: dict[str, Any] = {"base_url": self._base_url}
            self._client = docker.APIClient(
                version="auto",
                timeout=_ANSWER_S,
                **(where if self._base_url else kwargs_from_env()),
            )
        return self._client

    def _check_gone(self, ref: str) -> None:
        if self.is_running(ref):
            raise StillRunning(f"container {ref[:12]} still runs")


def observed_from(found: dict[str, Any]) -> Observed | None:
    """Translate an inspected container; None when it cannot be told when it ended."""
    state, labels = found["State"], found["Config"]["Labels"] or {}
    started_at, finished_at = instant(state["StartedAt"]), instant(state["FinishedAt"])
    if _runs(state) or started_at is None:
        # A container that runs may carry the end of an earlier run.
        finished_at = None
    elif finished_at is None:
        return None
    else:
        finished_at = max(started_at, finished_at)
    return Observed(
        ref=found["Id"],
        lease_id=_uuid(labels.get(LEASE, "")),
        hub_id=labels.get(HUB, ""),
        account=labels.get(USER, ""),
        server_name=labels.get(SERVER, ""),
        flavor=labels.get(FLAVOR, ""),
        started_at=started_at,
        finished_at=finished_at,
        exit_code=None if finished_at is None else int(state["ExitCode"]),
        ended_how="" if finished_at is None else _how(state),
        gpu_uuid=labels.get(GPU, ""),
        emergency_until=end_of_start(labels.get(EMERGENCY, ""), started_at),
    )


def instant(text: str) -> datetime | None:
    """Read the engine's time, in nanoseconds, as whole milliseconds; year 1 stands for never."""
    match = _INSTANT.fullmatch(text)
    if match is None or text.startswith("0001-"):
        return None
    seconds, fraction, zone = match.groups()
    at = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone)).astimezone(UTC)
    return at + timedelta(milliseconds=int(((fraction or "") + "000")[:3]))


def _runs(state: dict[str, Any]) -> bool:
    return bool(state["Running"])


def _how(state: dict[str, Any]) -> str:
    if state.get("OOMKilled"):
        return "out of memory"
    return str(state.get("Error") or "exit")[:200]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}000000"
