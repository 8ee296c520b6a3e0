"""Puts the rules of `lab.egress` into the machine's packet filter, and takes them out again.

`python -m lab.firewall apply` for labs that something else than the launcher starts; there are
`check` and `remove` too. Docker leaves its chain DOCKER-USER and the machine's chain INPUT alone,
so the rules outlive its restart.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.egress import (
    Family,
    Jump,
    Openings,
    chains_in,
    chains_of,
    jumps_in,
    networks_in,
    resolvers_in,
    restore_text,
)
from lab.errors import CannotStart
from lab.network import SessionNetwork, find_network

_PROGRAM: dict[Family, str] = {4: "iptables", 6: "ip6tables"}
_RESOLV = Path("/etc/resolv.conf")
_TIME_S = 30


class NotGuarded(Exception):
    """The rules are not in force; the text says why."""


def guard(network: SessionNetwork, openings: Openings) -> None:
    """Hold the sessions of a network to the rules; doing it again changes nothing.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    forget_gone()
    _guard(network, openings, 4)
    try:
        _guard(network, openings, 6)
    except NotGuarded:
        # Where the network has no IPv6, no session has a way there.
        if network.has_ipv6:
            raise


def release(name: str) -> None:
    """Take the rules of a network out.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    for family in _PROGRAM:
        _drop(family, chains=set(chains_of(name)))


def forget_gone() -> None:
    """Take out the rules of networks that are no longer there.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    for family in _PROGRAM:
        try:
            listing = _ask(family, "-S")
        except NotGuarded:
            if family == 6:
                return
            raise
        devices = {name for _, name in socket.if_nameindex()}
        live = {one.chain for one in jumps_in(listing) if one.bridge in devices}
        _drop(family, chains=chains_in(listing) - live)


def missing(network: SessionNetwork) -> list[str]:
    """Return which of the ways from a network are not guarded.

    Raises:
        NotGuarded: the machine does not say.

    """
    families: tuple[Family, ...] = (4, 6) if network.has_ipv6 else (4,)
    return [
        f"{jump.parent} of {_PROGRAM[family]}"
        for family in families
        for jump in _jumps(network, family)
        if jump not in jumps_in(_ask(family, "-S"))
    ]


def machine_resolvers() -> tuple[str, ...]:
    """Return whom this machine asks for names; the engine asks them from within containers."""
    try:
        return resolvers_in(_RESOLV.read_text())
    except OSError:
        return ()


def _guard(network: SessionNetwork, openings: Openings, family: Family) -> None:
    text = restore_text(network.name, network.bridge, openings, family)
    _run(f"{_PROGRAM[family]}-restore", "--noflush", "--wait", typed=text)
    there = jumps_in(_ask(family, "-S"))
    for jump in _jumps(network, family):
        # A bridge may have been made anew under another name.
        for old in there:
            if old.chain == jump.chain and old != jump:
                _ask(family, "-D", old.parent, *old.rule)
        if jump not in there:
            _ask(family, "-I", jump.parent, "1", *jump.rule)


def _jumps(network: SessionNetwork, family: Family) -> Iterator[Jump]:
    out, own = chains_of(network.name)
    # Docker's chain for rules of others; where it has none, it does not filter this family.
    listing = _ask(family, "-S").splitlines()
    parent = "DOCKER-USER" if "-N DOCKER-USER" in listing else "FORWARD"
    yield Jump(parent=parent, bridge=network.bridge, chain=out)
    yield Jump(parent="INPUT", bridge=network.bridge, chain=own)


def _drop(family: Family, *, chains: set[str]) -> None:
    listing = _ask(family, "-S")
    for jump in jumps_in(listing):
        if jump.chain in chains:
            _ask(family, "-D", jump.parent, *jump.rule)
    for chain in sorted(chains & chains_in(listing)):
        _ask(family, "-F", chain)
        _ask(family, "-X", chain)


def _ask(family: Family, *words: str) -> str:
    return _run(_PROGRAM[family], "--wait", *words)


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


class FirewallSettings(BaseSettings):
    """What `python -m lab.firewall` reads."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    docker_network: str = Field(default="gpulab", description="Docker network of the sessions.")
    hub_port: int = Field(default=8081, ge=1, le=65535, description="The hub's own port.")
    sessions_reach: str = Field(
        default="", description="Private addresses or networks that sessions may reach all the "
        "same, with commas between them.",
    )  # fmt: skip
    session_callers: str = Field(
        default="", description="Addresses of hub and proxy on the sessions' network, where they "
        "are containers, with commas between them; the first is the hub.",
    )  # fmt: skip

    @field_validator("sessions_reach", "session_callers")
    @classmethod
    def _are_addresses(cls, text: str) -> str:
        networks_in(text)
        return text


def openings_of(settings: FirewallSettings, gateway: str) -> Openings:
    """Say what is open: the hub on this machine, or the hub in a container."""
    callers = tuple(one.strip() for one in settings.session_callers.split(",") if one.strip())
    return Openings(doors=((callers[0] if callers else gateway, settings.hub_port),),
                    resolvers=machine_resolvers(), callers=callers,
                    also=networks_in(settings.sessions_reach))  # fmt: skip


def main(arguments: list[str]) -> int:
    """Apply, check or remove; the exit status tells whether that is so now."""
    try:
        _do(arguments, FirewallSettings())
    except (NotGuarded, CannotStart, ValidationError) as error:
        print(f"gpulab: {error}", file=sys.stderr)  # noqa: T201 - for a person at a terminal
        return 1
    return 0


def _do(arguments: list[str], settings: FirewallSettings) -> None:
    if arguments == ["remove"]:
        release(settings.docker_network)
        return
    if arguments not in (["apply"], ["check"]):
        raise CannotStart("say apply, check or remove")
    network = find_network(settings.docker_network)
    if arguments == ["apply"]:
        guard(network, openings_of(settings, network.gateway))
    if ways := missing(network):
        raise NotGuarded(f"nothing holds sessions back in {', '.join(ways)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
