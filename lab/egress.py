"""What sessions may reach: the world, names and the hub's port, as rules of iptables; pure.

The rules look at where a packet comes in, which no session can change, and are in two chains for
each network of sessions: one for what this machine passes on, one for what is meant for itself.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Family = Literal[4, 6]

# What is nobody's public address; services of cloud machines that tell their secrets are among
# them (169.254.169.254, 100.100.100.200, fd00:ec2::254), and one of Azure's that is not.
_CLOSED: dict[Family, tuple[str, ...]] = {
    4: (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4",
        "240.0.0.0/4", "168.63.129.16/32",
    ),
    # The last ones carry IPv4 addresses in them: another way to the closed ones.
    6: (
        "::/127", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/32", "::ffff:0:0/96",
        "2002::/16", "2001::/32",
    ),
}  # fmt: skip
# Without asking who has an address, nobody on an IPv6 network finds the other.
_NEIGHBOURS = ("router-solicitation", "neighbour-solicitation", "neighbour-advertisement")
_KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED"
_CHAIN = re.compile(r"-A (\S+) -i (\S+) .*-j (GPULAB-[0-9a-f]{8}-(?:OUT|OWN))$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What is open to sessions besides the outside world."""

    # Addresses with a TCP port: the hub's.
    doors: tuple[tuple[str, int], ...]
    # Addresses that this machine asks for names.
    resolvers: tuple[str, ...] = ()
    # Private addresses or networks that are open all the same: a mirror of packages, for example.
    also: tuple[str, ...] = ()
    # Who may call sessions from the sessions' own network: hub and proxy, where they are
    # containers. They are not held to these rules.
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A rule that leads from one of the machine's chains into one of ours."""

    parent: str
    bridge: str
    chain: str

    @property
    def rule(self) -> tuple[str, ...]:
        """Return the rule without the chain that it is in."""
        return ("-i", self.bridge, "-m", "comment", "--comment", "gpulab: what sessions may reach",
                "-j", self.chain)  # fmt: skip


def chains_of(network: str) -> tuple[str, str]:
    """Name the chains of a network: what is passed on, and what is for the machine itself."""
    # Names of chains have at most 28 letters.
    digest = hashlib.sha256(network.encode()).hexdigest()[:8]
    return f"GPULAB-{digest}-OUT", f"GPULAB-{digest}-OWN"


def restore_text(network: str, bridge: str, openings: Openings, family: Family) -> str:
    """Write both chains as `iptables-restore` takes them: whole, or not at all."""
    out, own = chains_of(network)
    ours = _of_family(openings, family)
    lines = [
        "*filter", f":{out} - [0:0]", f":{own} - [0:0]",
        *(f"-A {out} {rule}" for rule in _passed_on(bridge, ours, family)),
        *(f"-A {own} {rule}" for rule in _for_itself(ours, family)),
        "COMMIT", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _passed_on(bridge: str, openings: Openings, family: Family) -> Iterator[str]:
    yield f"{_KNOWN} -j RETURN"
    for caller in openings.callers:
        yield f"-s {caller} -o {bridge} -j ACCEPT"
        yield f"-s {caller} -j RETURN"
    for address, port in openings.doors:
        yield f"-d {address} -p tcp -m tcp --dport {port} -j ACCEPT"
    for address in openings.resolvers:
        yield from (f"-d {address} -p {kind} -m {kind} --dport 53 -j RETURN"
                    for kind in ("udp", "tcp"))  # fmt: skip
    yield from (f"-d {network} -j RETURN" for network in openings.also)
    yield from (f"-d {closed} -j DROP" for closed in _CLOSED[family])


def _for_itself(openings: Openings, family: Family) -> Iterator[str]:
    yield f"{_KNOWN} -j RETURN"
    yield from (f"-s {caller} -j RETURN" for caller in openings.callers)
    if family == 6:
        yield from (f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN"
                    for kind in _NEIGHBOURS)  # fmt: skip
    for address, port in openings.doors:
        yield f"-d {address} -p tcp -m tcp --dport {port} -j ACCEPT"
    for address in openings.resolvers:
        yield from (f"-d {address} -p {kind} -m {kind} --dport 53 -j ACCEPT"
                    for kind in ("udp", "tcp"))  # fmt: skip
    yield "-j DROP"


def _of_family(openings: Openings, family: Family) -> Openings:
    def ours(address: str) -> bool:
        return ipaddress.ip_network(address, strict=False).version == family

    return Openings(
        doors=tuple(door for door in openings.doors if ours(door[0])),
        resolvers=tuple(filter(ours, openings.resolvers)),
        also=tuple(filter(ours, openings.also)),
        callers=tuple(filter(ours, openings.callers)),
    )


def jumps_in(listing: str) -> list[Jump]:
    """Find the rules that lead into chains like ours, in what `iptables -S` says."""
    return [
        Jump(parent=found[1], bridge=found[2], chain=found[3])
        for line in listing.splitlines()
        if (found := _CHAIN.match(line.strip()))
    ]


def chains_in(listing: str) -> set[str]:
    """Find the chains like ours, in what `iptables -S` says."""
    return set(re.findall(r"^-N (GPULAB-[0-9a-f]{8}-(?:OUT|OWN))$", listing, re.MULTILINE))


def resolvers_in(text: str) -> tuple[str, ...]:
    """Return whom a resolv.conf asks; what is on this machine alone, no session can ask."""
    found = re.findall(r"^\s*nameserver\s+([0-9a-fA-F:.]+)\s*(?:#.*)?$", text, re.MULTILINE)
    return tuple(one for one in _addresses(found) if not ipaddress.ip_address(one).is_loopback)


def networks_in(text: str) -> tuple[str, ...]:
    """Read addresses and networks with commas between them.

    Raises:
        ValueError: one is none.

    """
    words = (word.strip() for word in text.split(","))
    return tuple(str(ipaddress.ip_network(word, strict=False)) for word in words if word)


def _addresses(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield str(ipaddress.ip_address(text))
        except ValueError:
            continue
