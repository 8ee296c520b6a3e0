"""Runs the machine's iptables: the one of its two kinds that the Docker engine uses."""

import os
import subprocess
from functools import cache

from lab.egress import Family

FAMILIES: tuple[Family, ...] = (4, 6)
# The engine keeps its rules by one of these; what the other one writes, nobody may be looking at.
_KINDS = ("", "-nft", "-legacy")
_PROGRAM: dict[Family, str] = {4: "iptables", 6: "ip6tables"}
_TIME_S = 30


class NotGuarded(Exception):
    """The rules are not in force; the text says why."""


def ask(family: Family, *words: str) -> str:
    """Run iptables and return what it says.

    Raises:
        NotGuarded: the rights or the program are missing, or it refuses.

    """
    return _run(program(family), "--wait", *words)


def restore(family: Family, text: str) -> None:
    """Put whole chains in the place of what they were, at once.

    Raises:
        NotGuarded: the rights or the program are missing, or it refuses.

    """
    _run(f"{program(family)}-restore", "--noflush", "--wait", typed=text)


def program(family: Family) -> str:
    """Name the program: the engine's kind, else the machine's own choice."""
    try:
        return _PROGRAM[family] + engines_kind()
    except NotGuarded:
        return _PROGRAM[family]


# Where the engine has no rules yet, that is no answer, and it is asked again.
@cache
def engines_kind() -> str:
    """Find where the engine has its chain for the rules of others.

    Raises:
        NotGuarded: nowhere.

    """
    for kind in _KINDS:
        try:
            listing = _run(f"{_PROGRAM[4]}{kind}", "--wait", "-S")
        except NotGuarded:
            continue
        if "-N DOCKER-USER" in listing.splitlines():
            return kind
    raise NotGuarded("the Docker engine has no chain DOCKER-USER; it has to manage iptables")


def _run(*words: str, typed: str = "") -> str:
    # Where sbin is not on the path of ordinary users, it is there all the same.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        ended = subprocess.run(words, input=typed, capture_output=True, text=True, check=False,
                               timeout=_TIME_S, env={**os.environ, "PATH": path})  # fmt: skip
    except FileNotFoundError as error:
        raise NotGuarded(f"{words[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotGuarded(f"{words[0]} cannot be run: {error}") from error
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        why = "this user may not" if os.geteuid() else said[-1][:200] if said else "it fails"
        raise NotGuarded(f"{words[0]}: {why}")
    return ended.stdout
