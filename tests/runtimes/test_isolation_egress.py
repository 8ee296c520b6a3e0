"""P40: what a session reaches, asked from inside one, and what it reaches without the rules."""

from collections.abc import Iterator
from typing import Any

import pytest
from docker.types import IPAMConfig, IPAMPool

from lab import tables
from lab.egress import Jump, Openings, chains_of
from lab.firewall import (
    forget_gone,
    guard,
    machine_resolvers,
    main,
    mend,
    missing,
    release,
)
from lab.firewall_settings import FirewallSettings, openings_of, place_of
from lab.network import SessionNetwork, find_network
from lab.tables import NotGuarded
from lab.trial.waiting import free_ports
from tests.containers import Containers, containers_of
from tests.engine import Engine, throwaway_network
from tests.runtimes.sessions import eventually
from tests.runtimes.world import SERVER, WIRE, filter_rules, listening, needs_root, reached, world

pytestmark = pytest.mark.docker

METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16")
PRIVATE = ("10.77.0.5", "172.16.77.5", "192.168.77.5")
RESOLVER, PUBLIC, MIRROR = "10.77.0.53", "203.0.113.7", "10.77.1.9"
SERVICES = {
    **dict.fromkeys((*METADATA, *PRIVATE, PUBLIC, MIRROR), (80,)),
    RESOLVER: (53, 80),
}


@pytest.fixture
def network(engine: Engine) -> Iterator[SessionNetwork]:
    needs_root()
    with throwaway_network(engine) as name:
        try:
            yield find_network(name)
        finally:
            release(name)


@pytest.fixture
def containers(engine: Engine, network: SessionNetwork) -> Iterator[Containers]:
    with containers_of(engine, network.name) as some:
        yield some


def test_p40_a_session_reaches_the_world_names_and_the_hub_and_nothing_else(
    containers: Containers, network: SessionNetwork
) -> None:
    hub, listener, other = free_ports(3)
    openings = Openings(doors=((network.gateway, hub), (network.gateway, listener)),
                        resolvers=(RESOLVER,), also=(f"{MIRROR}/32",))  # fmt: skip
    spawner = containers.started(cpus=1.0)
    neighbour = containers.started("blaise", cpus=1.0)
    neighbour_ip = containers.ip(neighbour)
    containers.serve(neighbour, 8888)
    doors = [f"{network.gateway}:{hub}", f"{network.gateway}:{listener}"]
    theirs = [*doors, f"{PUBLIC}:80", f"{RESOLVER}:53", f"{MIRROR}:80"]
    closed = [f"{address}:80" for address in (*METADATA, *PRIVATE, RESOLVER)]
    closed += [f"{network.gateway}:{other}", f"{WIRE}:{other}", f"{WIRE}:{listener}"]
    everything = [*theirs, *closed, f"{neighbour_ip}:8888"]

    def asked() -> set[str]:
        found = reached(containers.engine, spawner.object_name, everything)
        return {address for address, is_open in found.items() if is_open}

    machine = [*doors, *(one for one in closed if one.startswith((network.gateway, WIRE)))]
    with world(network.bridge, SERVICES), listening(*machine):
        assert asked() == {*theirs, *closed}, "without the rules all of it is open"
        guard(network, openings)
        assert asked() == set(theirs)
        # The neighbour does listen: this machine, as the hub and the proxy do, reaches it.
        assert containers.answers_at(neighbour_ip, 8888)
        release(network.name)
        assert asked() == {*theirs, *closed}


def test_p40_the_rules_are_made_once_and_go_with_their_network(
    engine: Engine, network: SessionNetwork
) -> None:
    out, own = chains_of(network.name)
    openings = Openings(doors=((network.gateway, 8081),))
    assert len(missing(network, openings)) == 2
    guard(network, openings)
    first = filter_rules()
    assert [rule for rule in first if rule.endswith(f"-j {out}")], first
    guard(network, openings)
    assert filter_rules() == first
    assert missing(network, openings) == []
    engine.client.remove_network(network.name)
    try:
        forget_gone()
        assert not [rule for rule in filter_rules() if out in rule or own in rule]
    finally:
        engine.client.create_network(network.name)  # for those who clean up


def greet(containers: Containers, spawner: Any, *ports: int) -> None:
    """Let a container answer at ports, and wait until it does."""
    client, words = containers.engine.client, [f"0.0.0.0:{port}" for port in ports]
    made = client.exec_create(spawner.object_name, ["python", "-c", SERVER, *words])
    client.exec_start(made["Id"], detach=True)
    eventually(lambda: containers.answers_at(containers.ip(spawner), ports[-1]))


def test_p40_with_hub_and_proxy_in_containers_only_they_reach_sessions(
    containers: Containers, network: SessionNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, proxy, service, session, neighbour = (
        containers.started(name, cpus=1.0) for name in ("hub", "proxy", "service", "ada", "blaise")
    )
    (door, listener, other) = free_ports(3)
    at = {one: containers.ip(one) for one in (hub, proxy, service, session, neighbour)}
    for one in at:
        greet(containers, one, door, listener, other)
    machine, private, public = f"{network.gateway}:{other}", f"{PRIVATE[0]}:80", f"{PUBLIC}:80"
    outside = [public, private, machine]
    told_by = {"DOCKER_NETWORK": network.name, "HUB_PORT": door, "SESSION_BRIDGE": network.bridge,
               "SESSION_CALLERS": f"{at[hub]},{at[proxy]}", "SESSION_LISTENER_PORT": listener,
               "SESSION_LISTENER_AT": at[service]}  # fmt: skip
    for name, value in told_by.items():
        monkeypatch.setenv(f"GPULAB_{name}", str(value))

    def asked(by: Any) -> set[str]:
        ports = (door, listener, other)
        others = [f"{at[one]}:{port}" for one in at if one is not by for port in ports]
        found = reached(containers.engine, by.object_name, [*others, *outside])
        return {address for address, is_open in found.items() if is_open}

    def of(*some: Any) -> set[str]:
        return {f"{at[one]}:{port}" for one in some for port in (door, listener, other)}

    its = {public, f"{at[hub]}:{door}", f"{at[service]}:{listener}"}
    with world(network.bridge, {PRIVATE[0]: (80,), PUBLIC: (80,)}), listening(machine):
        assert asked(hub) == set(outside), "without the rules nobody on the network reaches it"
        assert main(["check"]) == 1
        assert main(["apply"]) == main(["check"]) == 0
        assert asked(session) == its
        assert asked(hub) == {public, private} | of(proxy, service, session, neighbour)
        assert asked(proxy) == {public} | of(hub, service, session, neighbour)
        assert asked(service) == set(), "it is asked, and begins nothing"
        # What something else has changed or taken away is seen, and put back.
        out, own = chains_of(network.name)
        jump = ("INPUT", *Jump(parent="INPUT", bridge=network.bridge, chain=own).rule)
        for harm in (("-F", out), ("-I", own, "-j", "ACCEPT"), ("-D", *jump)):
            tables.ask(4, *harm)
            assert main(["check"]) == 1
            settings = FirewallSettings()
            place = place_of(settings)
            openings = openings_of(settings, place, machine_resolvers())
            assert len(mend(place, openings)) == 1
            assert mend(place, openings) == []
        assert asked(session) == its
        assert main(["remove"]) == 0
        assert asked(session) == set(outside)


def test_p40_ipv6_is_no_way_around(engine: Engine) -> None:
    needs_root()
    name, subnet = f"gpulab-{engine.hub_id}-6", "fd77:77:77::/64"
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
    engine.client.create_network(
        name, driver="bridge", enable_ipv6=True, ipam=ipam,
        options={"com.docker.network.bridge.enable_icc": "false"},
    )  # fmt: skip
    try:
        network = find_network(name)
        assert network.has_ipv6
        with containers_of(engine, name) as containers:
            spawner = containers.started(cpus=1.0)
            (port,) = free_ports(1)
            ours = f"fd77:77:77::1:{port}"
            with listening(ours):
                eventually(lambda: reached(engine, spawner.object_name, [ours])[ours])
                openings = Openings(doors=((network.gateway, port),))
                guard(network, openings)
                assert missing(network, openings) == []
                assert not reached(engine, spawner.object_name, [ours])[ours]
    finally:
        release(name)
        engine.client.remove_network(name)


def test_p40_without_the_program_it_is_said_that_nothing_holds(
    network: SessionNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.tables._PROGRAM", {4: "no-such-iptables", 6: "no-such-iptables"})
    with pytest.raises(NotGuarded, match="no-such-iptables is not installed"):
        guard(network, Openings(doors=()))
    monkeypatch.undo()
