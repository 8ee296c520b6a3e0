"""Waiting until every part of the lab answers, and saying which one does not."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2

from lab.errors import CannotStart
from lab.settings import LabSettings
from lab.state import State
from lab.supervised import Supervisor

# A hub takes 6 s on two idle cores; a machine that is busy or slow gets ten times that.
START_S = 90.0
_LOOK_EVERY_S = 0.2
# A program that had to be started this often does not come up by itself.
_MOST_STARTS = 4
_LOG_LINES = 15

Probe = Callable[[], bool]


def lab_probes(
    settings: LabSettings, state: State, environment: Mapping[str, str]
) -> dict[str, Probe]:
    """Return for each program how to see that it works."""
    host = {"Host": settings.address.split("://", 1)[1]}
    proxy_token = (state.secrets / "proxy_token").read_text().strip()
    asks_proxy = {"Authorization": f"token {proxy_token}"}
    before = _changed_at(state.root / "deadlines.json")
    return {
        "proxy": lambda: _answers(f"{environment['GPULAB_PROXY_API_URL']}/api/routes", asks_proxy),
        "service": lambda: _answers(f"{environment['GPULAB_SERVICE_URL']}/readyz"),
        "worker": lambda: _changed_at(state.root / "deadlines.json") != before,
        "hub": lambda: _answers(f"{settings.bind_url}/hub/health", host),
    }


def wait_ready(
    probes: Mapping[str, Probe],
    supervisor: Supervisor,
    logs: Path,
    *,
    given_up: Callable[[], bool],
    tell: Callable[[str], None],
    limit_s: float = START_S,
) -> bool:
    """Wait for all of them; False when the person gave up meanwhile.

    Raises:
        CannotStart: one does not come up; with the end of its log.

    """
    until = time.monotonic() + limit_s
    waited_for = dict(probes)
    pids: dict[str, set[int]] = {}
    while waited_for:
        if given_up():
            return False
        for name in [name for name, probe in waited_for.items() if probe()]:
            del waited_for[name]
            tell(name)
        failing = _restarting(supervisor, pids, waited_for)
        if failing is None and waited_for and time.monotonic() > until:
            failing = next(iter(waited_for))
        if failing is not None:
            raise _does_not_start(failing, logs / f"{failing}.log")
        time.sleep(_LOOK_EVERY_S)
    return True


def _does_not_start(program: str, log: Path) -> CannotStart:
    return CannotStart(f"the {program} does not start; the end of {log}:\n{_end_of(log)}")


def _restarting(
    supervisor: Supervisor, pids: dict[str, set[int]], waited_for: Mapping[str, Probe]
) -> str | None:
    """Return a program that dies again and again, from the process ids seen so far."""
    try:
        programs = supervisor.programs()
    except OSError:
        return None
    for program in programs:
        seen = pids.setdefault(program.name, set())
        if program.pid:
            seen.add(program.pid)
        if program.state == "FATAL" or (program.name in waited_for and len(seen) >= _MOST_STARTS):
            return program.name
    return None


def _answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    try:
        reply = httpx2.get(url, headers=dict(headers or {}), timeout=5, trust_env=False)
    except httpx2.HTTPError:
        return False
    return reply.status_code == 200


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _end_of(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(f"    {line[:300]}" for line in lines[-_LOG_LINES:])
