"""Versions with known holes that matter to a lab, and which holes those are; pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import Version

from api.doctor.findings import Finding

_NUMBER = re.compile(r"\d+(?:\.\d+)+(?:-?rc\.?\d+|b\d+)?")
# Distributions mend old versions and keep the number; what they add to it shows that it is theirs.
_DISTRIBUTION = re.compile(r"\+ds|\+dfsg|deb\d|ubuntu|~|\.el\d|\.fc\d|\.amzn")


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole, and in which versions of each line it was closed."""

    name: str
    closed_in: tuple[str, ...]

    def is_open_in(self, version: Version) -> bool:
        """Tell whether a version has it: its own line counts, else the next wider one."""
        closed = [Version(one) for one in self.closed_in]
        for width in (2, 1, 0):
            line = [one for one in closed if one.release[:width] == version.release[:width]]
            if line:
                return version < max(line)
        return False


HOLES: dict[str, tuple[Hole, ...]] = {
    "jupyterhub": (
        Hole("GHSA-69wv-m5fw-2fhp", ("5.5.1", "6.0.0b1")),
        Hole("GHSA-c4gm-pwx9-9w8j", ("5.5.1", "6.0.0b1")),
        Hole("CVE-2026-54338", ("5.5.0",)),
        Hole("CVE-2026-40864", ("5.4.5",)),
        Hole("CVE-2026-33709", ("5.4.4",)),
        Hole("CVE-2024-41942", ("4.1.6", "5.1.0")),
        Hole("CVE-2024-28233", ("4.1.0",)),
    ),
    "dockerspawner": (Hole("CVE-2023-48311", ("13.0",)),),
    "jupyter-server": (Hole("CVE-2026-40934", ("2.18.0",)),),
    "jupyter-server-proxy": (Hole("CVE-2024-28179", ("3.2.3", "4.1.1")),),
    "jupyterhub-ltiauthenticator": (Hole("CVE-2026-34052", ("1.6.3",)),),
    "starlette": (
        Hole("CVE-2026-54283", ("1.3.1",)),
        Hole("CVE-2025-62727", ("0.49.1",)),
    ),
    "configurable-http-proxy": (
        # No advisory has a number for it; a class that leaves its pages open is enough.
        Hole("connections that are left open use it up, issue 557", ("5.0.0",)),
    ),
    "runc": (
        Hole("CVE-2025-31133", ("1.2.8", "1.3.3", "1.4.0rc3")),
        Hole("CVE-2025-52565", ("1.2.8", "1.3.3", "1.4.0rc3")),
        Hole("CVE-2025-52881", ("1.2.8", "1.3.3", "1.4.0rc3")),
        Hole("CVE-2024-21626", ("1.1.12",)),
    ),
    "nvidia-container-toolkit": (
        Hole("CVE-2025-23266", ("1.17.8",)),
        Hole("CVE-2025-23359", ("1.17.4",)),
        Hole("CVE-2024-0132", ("1.16.2",)),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the lab or the machine as it was found; version empty: it is not there."""

    name: str
    version: str
    is_needed: bool = False

    @property
    def is_of_distribution(self) -> bool:
        """Tell whether a distribution built it, so that its number says less."""
        return _DISTRIBUTION.search(self.version) is not None


def version_in(text: str) -> str:
    """Return the first version number in what a program says; empty for none."""
    found = _NUMBER.search(text)
    return found[0] if found else ""


def open_holes(part: Part) -> tuple[Hole, ...]:
    """Return the holes that a part has by its version."""
    number = version_in(part.version)
    if not number:
        return ()
    version = Version(number)
    return tuple(hole for hole in HOLES.get(part.name, ()) if hole.is_open_in(version))


def judge(part: Part) -> Finding:
    """Say what a part's version means."""
    if not part.version:
        if part.is_needed:
            return Finding("warn", f"{part.name} is not installed", _remedy(part.name))
        return Finding("ok", f"{part.name} is not on this machine")
    if not version_in(part.version):
        return Finding("warn", f"{part.name} says no version, but {part.version[:60]!r}",
                       "see that it is not an old one with known holes")  # fmt: skip
    holes = open_holes(part)
    if not holes:
        return Finding("ok", f"{part.name} {part.version}")
    names = ", ".join(hole.name for hole in holes)
    if part.is_of_distribution:
        return Finding(
            "warn", f"{part.name} {part.version} is older than the versions that close {names}",
            "its distribution may have closed them all the same: look them up in its security "
            f"notices, or {_remedy(part.name)}",
        )  # fmt: skip
    return Finding("fail", f"{part.name} {part.version} has a known hole: {names}",
                   _remedy(part.name))  # fmt: skip


def holed(parts: Iterable[Part]) -> dict[str, str]:
    """Return for each part that is there what the doctor fails it for; empty for nothing."""
    judged = {part.name: judge(part) for part in parts if part.version}
    return {name: one.what if one.level == "fail" else "" for name, one in judged.items()}


def _remedy(name: str) -> str:
    """Say which versions are closed: those of the hole that was closed last."""
    last = max(HOLES[name], key=lambda hole: max(map(Version, hole.closed_in)))
    return f"install {' or '.join(last.closed_in)}, or newer"
