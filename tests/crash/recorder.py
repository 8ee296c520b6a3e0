"""A record of what really ran, kept by a program of its own: the witness of the crash tests.

It shares no code with the lab. Processes are found by their mark in the process table, containers
by the engine's own events, or, where the engine itself is killed, by their first process in the
kernel's table. One line of JSON for each session, when it is gone or when told to end.

    python -m tests.crash.recorder process STATE_DIR OUT
    python -m tests.crash.recorder docker HUB_ID OUT
    python -m tests.crash.recorder kernel HUB_ID OUT
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.utils import kwargs_from_env

_LOOK_EVERY_S = 0.05
_BECOMES_WITHIN_S = 10.0
_stopped = threading.Event()


def watch_processes(state: Path, out: Path) -> None:
    """Note when each session's keeper began, by the kernel, and when it was gone."""
    passed: set[tuple[int, float]] = set()
    running: dict[tuple[int, float], dict[str, Any]] = {}
    while not _stopped.is_set():
        seen = set()
        for process in psutil.process_iter():
            key = (process.pid, process.create_time())
            if key in running and _is_zombie(process):
                continue  # gone; only nobody has asked for its exit status yet
            seen.add(key)
            if key not in passed:
                passed.add(key)
                mark = _mark_of(process, state)
                if mark is not None:
                    running[key] = {**mark, "started_ms": round(key[1] * 1000)}
        for key in set(running) - seen:
            one = running.pop(key)
            gone_ms = round(time.time() * 1000)
            # What starts a keeper carries its mark too, and is gone in an instant.
            if not any(other["lease_id"] == one["lease_id"] for other in running.values()):
                _write(out, {**one, "gone_ms": gone_ms})
        _stopped.wait(_LOOK_EVERY_S)
    for (pid, _), one in running.items():
        _write(out, {**one, "gone_ms": None, "is": _shown(pid)})


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _shown(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.status()} {process.cmdline()}"
    except psutil.Error as error:
        return str(error)


def _mark_of(process: psutil.Process, state: Path) -> dict[str, Any] | None:
    """Return whose session a keeper's process is; None for any other process."""
    try:
        command = process.cmdline()
        if not any(word.endswith("session_wrapper.py") for word in command):
            return None
        folder = next(Path(word) for word in command if word.startswith(str(state / "sessions")))
        wanted = json.loads((folder / "wanted.json").read_text())
    except (psutil.Error, OSError, ValueError, StopIteration):
        return None
    return {"lease_id": wanted["lease_id"], "account": wanted["account"], "pid": process.pid}


def watch_first_processes(hub_id: str, out: Path) -> None:
    """Note when each container's first process began, by the kernel, and when it was gone."""
    running: dict[tuple[int, float], dict[str, Any]] = {}
    while not _stopped.is_set():
        seen = set()
        for process in psutil.process_iter():
            key = (process.pid, process.create_time())
            if key in running:
                seen |= set() if _is_zombie(process) else {key}
                continue
            # A container's process is the engine's own program before it becomes the session's.
            if time.time() - key[1] > _BECOMES_WITHIN_S:
                continue
            told = _told(process)
            if told.get("GPULAB_TEST_HUB") == hub_id and _is_first(process.pid):
                seen.add(key)
                running[key] = {"lease_id": told["GPULAB_LEASE"], "account": "",
                                "started_ms": round(key[1] * 1000)}  # fmt: skip
        for key in set(running) - seen:
            _write(out, {**running.pop(key), "gone_ms": round(time.time() * 1000)})
        _stopped.wait(_LOOK_EVERY_S)
    for one in running.values():
        _write(out, {**one, "gone_ms": None})


def _is_first(pid: int) -> bool:
    """Tell whether a process is number 1 of its own container."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
    return len(numbers) > 1 and numbers[-1] == "1"


def _told(process: psutil.Process) -> dict[str, str]:
    """Return the lab's variables of a process."""
    try:
        found = process.environ()
    except (psutil.Error, OSError):
        return {}
    return {name: value for name, value in found.items() if name.startswith("GPULAB_")}


def watch_containers(hub_id: str, out: Path) -> None:
    """Note the engine's own words on starts and deaths, to the nanosecond."""
    client = docker.APIClient(version="auto", **kwargs_from_env())
    filters = {"label": [f"gpulab.hub={hub_id}"], "event": ["start", "die"]}
    running: dict[str, dict[str, Any]] = {}
    events = client.events(decode=True, filters=filters)
    threading.Thread(target=_close_when_stopped, args=(events,), daemon=True).start()
    for event in events:
        at_ms = event["timeNano"] // 1_000_000
        labels = event["Actor"]["Attributes"]
        if event["Action"] == "start":
            running[event["id"]] = {
                "lease_id": labels["gpulab.lease"],
                "account": labels["gpulab.user"],
                "started_ms": at_ms,
            }
        elif event["id"] in running:
            _write(out, {**running.pop(event["id"]), "gone_ms": at_ms})
    for one in running.values():
        _write(out, {**one, "gone_ms": None})


def _close_when_stopped(events: Any) -> None:
    _stopped.wait()
    events.close()


def _write(out: Path, line: dict[str, Any]) -> None:
    with out.open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    """Watch until SIGTERM."""
    kind, where, out = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: _stopped.set())
    Path(out).touch()
    if kind == "process":
        watch_processes(Path(where), Path(out))
    elif kind == "kernel":
        watch_first_processes(where, Path(out))
    else:
        watch_containers(where, Path(out))


if __name__ == "__main__":
    main()
