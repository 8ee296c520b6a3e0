"""Waiting until every part of the lab answers, and saying which one does not."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2

from lab.errors import CannotStart
from lab.settings import LabSettings
from lab.state import State
from lab.supervised import Supervisor

# A hub takes 6 s on two idle cores and 45 s on two that are busy with four times their work.
START_S = 150.0
_LOOK_EVERY_S = 0.3
# A program that had to be started this often does not come up by itself.
_MOST_STARTS = 4
_LOG_LINES = 15

Probe = Callable[[], bool]


def lab_probes(
    settings: LabSettings, state: State, environment: Mapping[str, str]
) -> dict[str, Probe]:
    """Return for each program how to see that it works."""
    proxy_token = (state.secrets / "proxy_token").read_text().strip()
    before = _changed_at(state.root / "deadlines.json")
    # Plain HTTP to this machine; without certificates to read, the client is there at once.
    http = httpx2.Client(timeout=5, trust_env=False, verify=False)

    def answers(url: str, **headers: str) -> bool:
        try:
            return http.get(url, headers=headers).status_code == 200
        except httpx2.HTTPError:
            return False

    def is_hub_ready() -> bool:
        # The proxy is asked only when it has somebody to ask; it complains in its log otherwise.
        return answers(f"{environment['GPULAB_HUB_BIND_URL']}/hub/health") and answers(
            f"{settings.bind_url}/hub/health", Host=settings.address.split("://", 1)[1]
        )

    gate = environment.get("GPULAB_GATE_SOCKET")
    return {
        **({} if gate is None else {"gate": lambda: _is_there(gate)}),
        "proxy": lambda: answers(
            f"{environment['GPULAB_PROXY_API_URL']}/api/routes",
            Authorization=f"token {proxy_token}",
        ),
        "service": lambda: answers(f"{environment['GPULAB_SERVICE_URL']}/readyz"),
        "worker": lambda: _changed_at(state.root / "deadlines.json") != before,
        "hub": is_hub_ready,
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


def _is_there(gate: str) -> bool:
    """Ask the engine, through the gate, whether it is there."""
    transport = httpx2.HTTPTransport(uds=gate)
    try:
        with httpx2.Client(transport=transport, timeout=5, trust_env=False) as http:
            return http.get("http://docker/_ping").status_code == 200
    except httpx2.HTTPError:
        return False


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
