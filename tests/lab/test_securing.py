"""What keeps sessions from the machine: as it is told to iptables, to people and to the doctor."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli_settings import CliSettings
from api.doctor.securing import look_at_securing, securing_findings
from lab import securing, tables
from lab.egress import (
    Openings,
    chains_of,
    jumps_in,
    networks_in,
    resolvers_in,
    restore_text,
    rules_of,
)
from lab.errors import CannotStart
from lab.firewall import machine_resolvers, main
from lab.firewall_settings import FirewallSettings, openings_of, place_of
from lab.gating import shared_folders
from lab.network import SessionNetwork
from lab.securing import secure_sessions
from lab.settings import LabSettings
from lab.state import State, prepare
from lab.tables import NotGuarded

OPENINGS = Openings(doors=(("172.20.0.1", 8081),), resolvers=("10.0.0.53", "fd00::53"),
                    also=("10.9.0.0/16",))  # fmt: skip
NETWORK = SessionNetwork(name="gpulab", gateway="172.20.0.1", bridge="br-1", has_ipv6=False)


def rules(name: str, text: str) -> list[str]:
    return re.findall(rf"^-A {name} (.*)$", text, re.MULTILINE)


def test_p40_what_is_open_comes_before_what_is_closed() -> None:
    out, own = chains_of("gpulab")
    text = restore_text(rules_of("gpulab", "br-1", OPENINGS, 4))
    passed = rules(out, text)
    first_closed = next(n for n, rule in enumerate(passed) if rule.startswith("-d 0.0.0.0"))
    assert all(rule.endswith("DROP") for rule in passed[first_closed:])
    opened = " ".join(passed[:first_closed])
    assert all(one in opened for one in ("172.20.0.1", "10.0.0.53", "10.9.0.0/16"))
    assert "fd00::53" not in text
    assert rules(own, text)[-1] == "-j DROP"
    assert "10.9.0.0/16" not in " ".join(rules(own, text)), "nothing of this machine itself"


def test_p40_hub_and_proxy_in_containers_reach_sessions_and_only_the_hub_more() -> None:
    out, own = chains_of("gpulab")
    settings = FirewallSettings(session_bridge="br-1", session_callers="10.77.0.2, 10.77.0.3")
    openings = openings_of(settings, place_of(settings), ("10.0.0.53",))
    rules = rules_of("gpulab", "br-1", openings, 4)
    last = rules[out].index("-o br-1 -j DROP")
    assert rules[out][2:last] == (
        "-s 10.77.0.2/32 -o br-1 -j ACCEPT", "-s 10.77.0.3/32 -o br-1 -j ACCEPT",
        "-d 10.77.0.2/32 -p tcp -m tcp --dport 8081 -j ACCEPT",
    )  # fmt: skip
    assert [rule for rule in rules[out] if rule.startswith("-s ") and "-o " not in rule] == [
        "-s 10.77.0.2/32 -j RETURN",
    ]  # fmt: skip
    assert not [rule for rule in rules[own] if rule.startswith("-s ")]
    assert rules_of("gpulab", "br-1", openings, 6)[out][1] == "-o br-1 -j DROP"


def test_a_bridge_without_a_hub_and_addresses_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="GPULAB_SESSION_CALLERS"):
        FirewallSettings(session_bridge="br-1")
    with pytest.raises(ValueError, match="does not appear"):
        FirewallSettings(session_bridge="br-1", session_callers="hub")


def test_chains_have_names_that_iptables_takes_and_no_other_network_has() -> None:
    names = {chain for number in range(100) for chain in chains_of(f"gpulab-{number}" * 9)}
    assert len(names) == 200
    assert all(len(name) <= 28 for name in names)
    out, _ = chains_of("gpulab")
    (jump,) = jumps_in(f'-A DOCKER-USER -i br-1 -m comment --comment "gpulab: x" -j {out}\n'
                       "-A DOCKER-USER -j RETURN\n-A INPUT -i br-1 -j OTHERS\n")  # fmt: skip
    assert (jump.parent, jump.bridge, jump.chain) == ("DOCKER-USER", "br-1", out)


def test_addresses_are_read_from_what_people_write() -> None:
    text = "# nameserver 9.9.9.9\nnameserver 10.0.0.53\nnameserver ::1\nnameserver 127.0.0.53\n"
    assert resolvers_in(text + "nameserver nonsense\nsearch example.org\n") == ("10.0.0.53",)
    assert networks_in(" 10.1.2.3, fd00::/64 ,") == ("10.1.2.3/32", "fd00::/64")
    with pytest.raises(ValueError, match="does not appear"):
        LabSettings(sessions_reach="mirror.example.org")


def test_where_the_rights_are_missing_the_lab_says_so_and_the_doctor_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise NotGuarded("iptables: this user may not")

    monkeypatch.setattr(securing, "guard", cannot)
    monkeypatch.setattr(securing, "_can_bound_volumes", lambda: False)
    state = prepare(tmp_path / "state")
    open_ways, open_homes = secure_sessions(LabSettings(home_gib=7), state, NETWORK)
    assert "private networks (iptables: this user may not)" in open_ways.what
    assert "as root" in open_ways.remedy
    assert "beyond 7 GiB" in open_homes.what
    settings = CliSettings(state_dir=state.root)
    found = list(look_at_securing(settings))
    assert [(one.level, one.what) for one in found] == [
        ("warn", open_ways.what), ("warn", open_homes.what),
    ]  # fmt: skip


def test_the_doctor_sees_rules_that_have_gone() -> None:
    told = {"guarded": True, "chains": list(chains_of("gpulab")), "shortcomings": []}
    there = "".join(f"-A X -i br-1 -j {chain}\n" for chain in chains_of("gpulab"))
    (well,) = securing_findings(told, lambda _: there, may_ask=True)
    assert well.level == "ok"
    (gone,) = securing_findings(told, lambda _: "-P INPUT ACCEPT\n", may_ask=True)
    assert (gone.level, "no longer in force" in gone.what) == ("fail", True)
    (unseen,) = securing_findings(told, lambda _: "", may_ask=False)
    assert "only root" in unseen.what


def test_the_doctor_bears_a_lab_without_containers_and_a_file_that_is_none(
    tmp_path: Path,
) -> None:
    settings = CliSettings(state_dir=tmp_path)
    assert list(look_at_securing(settings)) == []
    for text in ("", "[]", json.dumps({"guarded": True})):
        State(tmp_path).securing.write_text(text)
        (odd,) = look_at_securing(settings)
        assert (odd.level, odd.remedy) == ("warn", "start the lab again")


def test_only_folders_that_are_there_are_shared(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert shared_folders(LabSettings(datasets_dir=data)) == (data,)
    assert shared_folders(LabSettings()) == ()
    (tmp_path / "a:b").mkdir()
    for wrong in (tmp_path / "none", tmp_path / "a:b", tmp_path / "{username}"):
        with pytest.raises(CannotStart, match="GPULAB_MODELS_DIR"):
            shared_folders(LabSettings(models_dir=wrong))


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three programs that say nothing, before those of this machine."""
    for kind in ("", "-nft", "-legacy"):
        (tmp_path / f"iptables{kind}").write_text("#!/bin/sh\n")
        (tmp_path / f"iptables{kind}").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tables.engines_kind.cache_clear()
    yield tmp_path
    tables.engines_kind.cache_clear()


def test_p40_the_kind_of_iptables_is_the_engines(kinds: Path) -> None:
    with pytest.raises(NotGuarded, match="has no chain DOCKER-USER"):
        tables.engines_kind()
    assert tables.program(6) == "ip6tables"
    # That was no answer for good: the engine may start later.
    (kinds / "iptables-legacy").write_text("#!/bin/sh\necho -N DOCKER-USER\n")
    assert (tables.program(4), tables.program(6)) == ("iptables-legacy", "ip6tables-legacy")


def test_p40_the_machine_has_to_filter_between_the_ports_of_a_bridge(
    kinds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listing = tmp_path / "listing"
    told = FirewallSettings(session_bridge="br-1", session_callers="10.77.0.2")
    place = place_of(told)
    rules = rules_of("gpulab", "br-1", openings_of(told, place, machine_resolvers()), 4)
    out, own = chains_of("gpulab")
    jumps = [f"-A {one} -i br-1 -j {to}" for one, to in (("DOCKER-USER", out), ("INPUT", own))]
    lines = [f"-A {chain} {rule}" for chain, some in rules.items() for rule in some]
    listing.write_text("\n".join(["-N DOCKER-USER", *jumps, *lines, ""]))
    (kinds / "iptables").write_text(f"#!/bin/sh\ncat {listing}\n")
    monkeypatch.setenv("GPULAB_SESSION_BRIDGE", "br-1")
    monkeypatch.setenv("GPULAB_SESSION_CALLERS", "10.77.0.2")
    monkeypatch.setattr("lab.firewall._FILTERS_BRIDGES", tmp_path / "switch")
    for text, status in (("1\n", 0), ("0\n", 1)):
        (tmp_path / "switch").write_text(text)
        assert main(["check"]) == status
    assert "load br_netfilter" in capsys.readouterr().err
    (tmp_path / "switch").unlink()
    assert main(["check"]) == 1
    assert main(["what"]) == 1
    assert "say keep, apply, check or remove" in capsys.readouterr().err
