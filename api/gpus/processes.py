"""Which process of the machine belongs to which session, and how much it has computed.

Read from /proc, where the driver's process ids are found: the worker has to see the processes of
the machine itself, not those of a container.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from api.runtimes.records import BadRecord, boot_id, read_start

# Docker, containerd and cri-o; cgroup v1 and v2; cgroupfs and systemd; seen from inside or not.
_CONTAINER = re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:$|/)", re.MULTILINE)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process: who started it, when, and what it and its ended children have computed."""

    pid: int
    parent: int
    start_ticks: int
    cpu_s: float


class Owners(Protocol):
    """Knows whose the processes are."""

    def sessions_of(self, processes: Mapping[int, Process], refs: Iterable[str]) -> dict[int, str]:
        """Return the session of each process that belongs to one of these."""


def look_at_processes(proc: Path = Path("/proc")) -> dict[int, Process]:
    """Read all processes; one that ends meanwhile is left out."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit() and (one := _read(entry)) is not None:
            found[one.pid] = one
    return found


def container_of(cgroup: str) -> str | None:
    """Return the id of the container that a process is in, from its /proc/PID/cgroup."""
    match = _CONTAINER.search(cgroup)
    return None if match is None else match[1]


class ContainerOwners:
    """Sessions are containers: a process belongs to the one that its cgroup names."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        # Of a process that is in a container this does not change.
        self._known: dict[tuple[int, int], str] = {}

    def sessions_of(self, processes: Mapping[int, Process], refs: Iterable[str]) -> dict[int, str]:
        """Return the session of each process that belongs to one of these."""
        wanted, known = set(refs), {}
        for pid, one in processes.items():
            key = (pid, one.start_ticks)
            container = self._known.get(key) or self._container(pid)
            if container in wanted:
                known[key] = container
        self._known = known
        return {pid: container for (pid, _), container in known.items()}

    def _container(self, pid: int) -> str:
        try:
            return container_of((self._proc / str(pid) / "cgroup").read_text()) or ""
        except OSError:
            return ""


class TreeOwners:
    """Sessions are process trees: a process belongs to the one whose keeper it comes from."""

    def __init__(self, sessions_dir: Path) -> None:
        self._dir = sessions_dir

    def sessions_of(self, processes: Mapping[int, Process], refs: Iterable[str]) -> dict[int, str]:
        """Return the session of each process that belongs to one of these."""
        children: dict[int, list[int]] = {}
        for one in processes.values():
            children.setdefault(one.parent, []).append(one.pid)
        found: dict[int, str] = {}
        for ref in refs:
            keeper = self._keeper(ref, processes)
            left = [] if keeper is None else [keeper]
            while left:
                pid = left.pop()
                if pid not in found:
                    found[pid] = ref
                    left += children.get(pid, [])
        return found

    def _keeper(self, ref: str, processes: Mapping[int, Process]) -> int | None:
        try:
            start = read_start(self._dir / ref)
        except BadRecord:
            return None
        one = None if start is None else processes.get(start.pid)
        if start is None or one is None or start.boot_id != boot_id():
            return None
        return one.pid if one.start_ticks == start.start_ticks else None


def _read(entry: Path) -> Process | None:
    try:
        text = (entry / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows has fixed places.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] == "X":
        return None
    return Process(
        pid=int(entry.name),
        parent=int(fields[1]),
        start_ticks=int(fields[19]),
        # With what its ended children computed, so that no work is lost with them.
        cpu_s=sum(map(int, fields[11:15])) / _TICKS_PER_S,
    )
