"""Puts the rules of `lab.egress` into the machine's packet filter, and takes them out again.

`python -m lab.firewall keep` for the lab in containers: it puts back what something takes away.
`apply`, `check` and `remove` are for labs that something else starts. Docker leaves its chain
DOCKER-USER and the machine's chain INPUT alone, so the rules outlive its restart.
"""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Protocol

from pydantic import ValidationError

from lab import tables
from lab.egress import (
    Family,
    Jump,
    Openings,
    chains_in,
    chains_of,
    jumps_in,
    resolvers_in,
    restore_text,
    rules_in,
    rules_of,
)
from lab.errors import CannotStart
from lab.firewall_settings import FirewallSettings, openings_of, place_of
from lab.tables import NotGuarded

# Where the machine itself answers for names, the second one says whom it asks.
_RESOLV = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_FILTERS_BRIDGES = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_KEEP_S = 10


class Bridged(Protocol):
    """A network as the packet filter sees it."""

    @property
    def name(self) -> str:
        """As the engine knows it."""

    @property
    def bridge(self) -> str:
        """The device that its packets come in from."""

    @property
    def has_ipv6(self) -> bool:
        """Whether sessions have addresses of that kind."""


def guard(network: Bridged, openings: Openings) -> None:
    """Hold the sessions of a network to the rules; doing it again changes nothing.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    forget_gone()
    _guard_all(network, openings)


def mend(network: Bridged, openings: Openings) -> list[str]:
    """Put back what is missing of the rules, and return what that was.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    found = missing(network, openings)
    if found:
        _guard_all(network, openings)
    return found


def release(name: str) -> None:
    """Take the rules of a network out.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    for family, listing in _listings():
        _drop(family, listing, chains=set(chains_of(name)))


def forget_gone() -> None:
    """Take out the rules of networks that are no longer there.

    Raises:
        NotGuarded: the rights or the programs are missing.

    """
    for family, listing in _listings():
        devices = {name for _, name in socket.if_nameindex()}
        live = {one.chain for one in jumps_in(listing) if one.bridge in devices}
        _drop(family, listing, chains=chains_in(listing) - live)


def missing(network: Bridged, openings: Openings) -> list[str]:
    """Return which of the ways from a network are not guarded as they should be.

    Raises:
        NotGuarded: the machine does not say.

    """
    return [
        f"{jump.parent} of {tables.program(family)}"
        for family in _must_guard(network)
        for jump in _loose(network, openings, family)
    ]


def _loose(network: Bridged, openings: Openings, family: Family) -> Iterator[Jump]:
    listing = tables.ask(family, "-S")
    rules = rules_of(network.name, network.bridge, openings, family)
    there = jumps_in(listing)
    for jump in _jumps(network, listing):
        if jump not in there or rules_in(listing, jump.chain) != rules[jump.chain]:
            yield jump


def machine_resolvers() -> tuple[str, ...]:
    """Return whom this machine asks for names; the engine asks them from within containers."""
    for path in _RESOLV:
        try:
            if found := resolvers_in(path.read_text()):
                return found
        except OSError:
            continue
    return ()


def _must_guard(network: Bridged) -> tuple[Family, ...]:
    # Where the network has no IPv6, no session has a way there.
    return tables.FAMILIES if network.has_ipv6 else (4,)


def _guard_all(network: Bridged, openings: Openings) -> None:
    for family in tables.FAMILIES:
        try:
            _guard(network, openings, family)
        except NotGuarded:
            if family in _must_guard(network):
                raise


def _guard(network: Bridged, openings: Openings, family: Family) -> None:
    tables.restore(family, restore_text(rules_of(network.name, network.bridge, openings, family)))
    listing = tables.ask(family, "-S")
    there = jumps_in(listing)
    for jump in _jumps(network, listing):
        # A bridge may have been made anew under another name.
        for old in there:
            if old.chain == jump.chain and old != jump:
                tables.ask(family, "-D", old.parent, *old.rule)
        if jump not in there:
            tables.ask(family, "-I", jump.parent, "1", *jump.rule)


def _jumps(network: Bridged, listing: str) -> Iterator[Jump]:
    out, own = chains_of(network.name)
    # Docker's chain for rules of others; where it has none, it does not filter this family.
    parent = "DOCKER-USER" if "-N DOCKER-USER" in listing.splitlines() else "FORWARD"
    yield Jump(parent=parent, bridge=network.bridge, chain=out)
    yield Jump(parent="INPUT", bridge=network.bridge, chain=own)


def _listings() -> Iterator[tuple[Family, str]]:
    for family in tables.FAMILIES:
        try:
            listing = tables.ask(family, "-S")
        except NotGuarded:
            # A machine without IPv6 has no rules of it.
            if family == 6:
                return
            raise
        yield family, listing


def _drop(family: Family, listing: str, *, chains: set[str]) -> None:
    for jump in jumps_in(listing):
        if jump.chain in chains:
            tables.ask(family, "-D", jump.parent, *jump.rule)
    for chain in sorted(chains & chains_in(listing)):
        tables.ask(family, "-F", chain)
        tables.ask(family, "-X", chain)


def main(arguments: list[str]) -> int:
    """Keep, apply, check or remove; the exit status tells whether that is so now."""
    try:
        _do(arguments, FirewallSettings())
    except (NotGuarded, CannotStart, ValidationError) as error:
        _say(error)
        return 1
    return 0


def _do(arguments: list[str], settings: FirewallSettings) -> None:
    if arguments == ["remove"]:
        release(settings.docker_network)
        return
    if arguments not in (["keep"], ["apply"], ["check"]):
        raise CannotStart("say keep, apply, check or remove")
    if arguments == ["keep"]:
        _keep(settings)
        return
    network = place_of(settings)
    openings = openings_of(settings, network, machine_resolvers())
    if arguments == ["apply"]:
        guard(network, openings)
    if ways := missing(network, openings):
        raise NotGuarded(f"nothing holds sessions back in {', '.join(ways)}")
    _look_at_machine(settings)


def _keep(settings: FirewallSettings) -> None:
    last = ""
    while True:
        said = _kept(settings)
        if said and said != last:
            _say(said)
        last = said
        sleep(_KEEP_S)


def _kept(settings: FirewallSettings) -> str:
    try:
        network = place_of(settings)
        # The machine may ask others for names by now.
        ways = mend(network, openings_of(settings, network, machine_resolvers()))
        _look_at_machine(settings)
    except (NotGuarded, CannotStart) as error:
        return f"{error}; trying again"
    return f"the rules of {network.bridge} were missing, and are set" if ways else ""


def _look_at_machine(settings: FirewallSettings) -> None:
    """Look at what the rules rest on; hub and proxy in containers need all of it."""
    if not _FILTERS_BRIDGES.exists() or _FILTERS_BRIDGES.read_text().strip() != "1":
        raise NotGuarded("this machine does not filter between the ports of a bridge, so that "
                         "sessions may reach each other; load br_netfilter")  # fmt: skip
    if settings.session_bridge:
        tables.engines_kind()


def _say(what: object) -> None:
    print(f"gpulab: {what}", file=sys.stderr, flush=True)  # noqa: T201 - for a person


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
