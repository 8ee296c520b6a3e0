"""What sessions may reach: the world, names, two ports of the lab, as rules of iptables; pure.

The rules look at where a packet comes in, which no session can change, and are in two chains for
each network of sessions: one for what this machine passes on, one for what is meant for itself.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
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
        "::/127", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/32", "::ffff:0.0.0.0/96",
        "2002::/16", "2001::/32",
    ),
}  # fmt: skip
# Without asking who has an address, nobody on an IPv6 network finds the other: a router's
# solicitation, a neighbour's, and its advertisement.
_NEIGHBOURS = (133, 135, 136)
_KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED"
_CHAIN = re.compile(r"-A (\S+) -i (\S+) .*-j (GPULAB-[0-9a-f]{8}-(?:OUT|OWN))$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What is open to sessions besides the outside world."""

    # Addresses with a TCP port: the hub's, and the service's for sessions.
    doors: tuple[tuple[str, int], ...]
    # Addresses that this machine asks for names.
    resolvers: tuple[str, ...] = ()
    # Private addresses or networks that are open all the same: a mirror of packages, for example.
    also: tuple[str, ...] = ()
    # Who may call sessions from the sessions' own network: hub and proxy, where they are
    # containers. For the rest they are held to these rules, since their addresses are there.
    callers: tuple[str, ...] = ()
    # Which of them may ask anybody but this machine itself: the hub asks others who somebody is.
    asking: tuple[str, ...] = ()
    # Who is on the network to be asked, and asks nobody there and nobody outside: the service.
    answering: tuple[str, ...] = ()


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


def rules_of(
    network: str, bridge: str, openings: Openings, family: Family
) -> dict[str, tuple[str, ...]]:
    """Write down both chains, word for word as `iptables -S` shows them."""
    out, own = chains_of(network)
    ours = _of_family(openings, family)
    return {out: tuple(_passed_on(bridge, ours, family)), own: tuple(_for_itself(ours, family))}


def restore_text(rules: Mapping[str, Iterable[str]]) -> str:
    """Write chains as `iptables-restore` takes them: whole, or not at all."""
    lines = [
        "*filter",
        *(f":{chain} - [0:0]" for chain in rules),
        *(f"-A {chain} {rule}" for chain, some in rules.items() for rule in some),
        "COMMIT", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _passed_on(bridge: str, openings: Openings, family: Family) -> Iterator[str]:
    if openings.callers:
        # Docker itself lets nobody on this network answer another.
        yield f"-o {bridge} {_KNOWN} -j ACCEPT"
    yield f"{_KNOWN} -j RETURN"
    yield from (f"-s {one} -j DROP" for one in openings.answering)
    yield from (f"-s {caller} -o {bridge} -j ACCEPT" for caller in openings.callers)
    for address, port in openings.doors:
        yield f"{_to(address)}-p tcp -m tcp --dport {port} -j ACCEPT"
    yield f"-o {bridge} -j DROP"
    yield from (f"-s {caller} -j RETURN" for caller in openings.asking)
    for address in openings.resolvers:
        yield from (f"{_to(address)}-p {kind} -m {kind} --dport 53 -j RETURN"
                    for kind in ("udp", "tcp"))  # fmt: skip
    yield from (f"{_to(network)}-j RETURN" for network in openings.also)
    yield from (f"{_to(closed)}-j DROP" for closed in _CLOSED[family])


def _for_itself(openings: Openings, family: Family) -> Iterator[str]:
    yield f"{_KNOWN} -j RETURN"
    if family == 6:
        yield from (f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN"
                    for kind in _NEIGHBOURS)  # fmt: skip
    yield from (f"-s {one} -j DROP" for one in openings.answering)
    for address, port in openings.doors:
        yield f"{_to(address)}-p tcp -m tcp --dport {port} -j ACCEPT"
    for address in openings.resolvers:
        yield from (f"{_to(address)}-p {kind} -m {kind} --dport 53 -j ACCEPT"
                    for kind in ("udp", "tcp"))  # fmt: skip
    yield "-j DROP"


def _to(network: str) -> str:
    # What is everywhere, iptables does not show.
    return "" if network.endswith("/0") else f"-d {network} "


def _of_family(openings: Openings, family: Family) -> Openings:
    def ours(texts: Iterable[str]) -> tuple[str, ...]:
        found = (ipaddress.ip_network(text, strict=False) for text in texts)
        return tuple(str(one) for one in found if one.version == family)

    return Openings(
        doors=tuple((one, port) for address, port in openings.doors for one in ours([address])),
        resolvers=ours(openings.resolvers), also=ours(openings.also),
        callers=ours(openings.callers), asking=ours(openings.asking),
        answering=ours(openings.answering),
    )  # fmt: skip


def rules_in(listing: str, chain: str) -> tuple[str, ...]:
    """Find the rules of a chain, in what `iptables -S` says."""
    start = f"-A {chain} "
    return tuple(line.removeprefix(start).strip() for line in listing.splitlines()
                 if line.startswith(start))  # fmt: skip


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
