"""compose.yaml and its files, read by the programs that will read them, and held to rules."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from api.session_side.place import PREFIX
from lab.firewall_settings import FirewallSettings, openings_of, place_of
from tests.compose.rules import faults
from tests.compose.tools import PROJECT, composed, env_file, run, settings, tool

SHARED = "services: {{{name}: {{{change}}}}}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return composed(tmp_path_factory.mktemp("lab"), settings())


def test_p37_the_lab_in_containers_is_boxed(lab: dict[str, Any]) -> None:
    assert faults(lab) == []


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("hub", 'volumes: ["/var/run/docker.sock:/var/run/docker.sock"]', "engine's socket"),
        ("hub", 'volumes: ["/run/docker.sock:/tmp/other"]', "engine's socket"),
        ("proxy", 'ports: ["8000:8000"]', "port that is open"),
        ("culler", "networks: [sessions]", "network of the sessions"),
        ("worker", "network_mode: host", "namespaces"),
        ("service", "networks: [watch]", "network of the watchdog"),
        ("watchdog", "networks: [lab]", "reached by others"),
        ("worker", "networks: [outside]", "way to the outside"),
        ("service", 'volumes: ["./site/channels:/srv/channels:ro"]', "addresses of the channels"),
        ("hub", "cap_add: [SYS_ADMIN]", "capabilities"),
        ("service", "privileged: true", "privileged"),
        ("prometheus", "secrets: [service_token]", "has the secrets"),
        ("gate", 'restart: "no"', "stays dead"),
        ("grafana", "image: grafana/grafana:latest", "by digest"),
        ("hub", 'volumes: ["./site:/srv/all"]', "can write"),
    ],
)
def test_each_rule_finds_what_breaks_it(
    tmp_path: Path, name: str, change: str, fault: str
) -> None:
    if "network_mode" in change:
        change += ", networks: !reset null"
    broken = tmp_path / "broken.yaml"
    broken.write_text(SHARED.format(name=name, change=change))
    found = faults(composed(tmp_path, settings(), broken))
    assert any(one.startswith(name) and fault in one for one in found), found


def test_without_make_up_it_says_what_to_do(tmp_path: Path) -> None:
    told = {name: value for name, value in settings().items() if name != "LAB_HUB_IMAGE"}
    done = run(tool("docker-compose"), "--env-file", str(env_file(tmp_path, told)), "config", "-q")
    assert done.returncode != 0
    assert "run make up" in done.stderr


def test_gpus_are_shown_to_those_who_count_them_alone(tmp_path: Path) -> None:
    told = settings(COMPOSE_FILE="compose.yaml:deploy/compose.gpus.yaml")
    services = composed(tmp_path, told)["services"]
    assert {name for name, one in services.items() if one.get("deploy")} == {
        "gate", "worker", "doctor",
    }  # fmt: skip
    (device,) = services["gate"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["utility"])


def test_p37_folders_to_share_are_shown_to_the_gate_and_only_to_read(tmp_path: Path) -> None:
    kinds = ("datasets", "models")
    told = {f"LAB_{kind.upper()}_DIR": f"/srv/{kind}" for kind in kinds}
    files = ":".join(["compose.yaml", *(f"deploy/compose.{kind}.yaml" for kind in kinds)])
    lab = composed(tmp_path, settings(COMPOSE_FILE=files, **told))
    assert faults(lab) == []
    for name, one in lab["services"].items():
        seen = {volume["target"] for volume in one.get("volumes", ())} & set(told.values())
        assert seen == (set(told.values()) if name == "gate" else set())
        told_by = {f"GPULAB_{kind.upper()}_DIR" for kind in kinds} & set(
            one.get("environment") or {}
        )
        assert len(told_by) == (2 if name in {"gate", "hub"} else 0)


def test_the_rules_know_the_network_and_the_addresses_of_hub_and_proxy(
    lab: dict[str, Any],
) -> None:
    told = {name.removeprefix("GPULAB_").lower(): value
            for name, value in lab["services"]["network"]["environment"].items()}  # fmt: skip
    settings = FirewallSettings(**told)
    sessions = lab["networks"]["sessions"]
    assert settings.docker_network == sessions["name"]
    assert settings.session_bridge == (sessions["driver_opts"]["com.docker.network.bridge.name"])
    at = [lab["services"][name]["networks"]["sessions"]["ipv4_address"]
          for name in ("hub", "proxy")]  # fmt: skip
    openings = openings_of(settings, place_of(settings), ())
    assert openings.callers == tuple(f"{address}/32" for address in at)
    service = lab["services"]["service"]
    there = f"{service['networks']['sessions']['ipv4_address']}/32"
    assert openings.doors == ((f"{at[0]}/32", 8081), (there, 8091))
    assert (openings.asking, openings.answering) == ((f"{at[0]}/32",), (there,))
    # The rest of the service listens where no session is, under a name that only the lab knows.
    told = service["environment"]
    assert told["GPULAB_SESSION_LISTENER_HOST"] == there.removesuffix("/32")
    assert told["GPULAB_SERVICE_HOST"] in service["networks"]["lab"]["aliases"]
    hub = lab["services"]["hub"]
    assert told["GPULAB_HUB_API_URL"].startswith(
        tuple(f"http://{alias}:8081/" for alias in hub["networks"]["lab"]["aliases"])
    )
    api = lab["services"]["hub"]["environment"]["GPULAB_SESSION_API"]
    assert api == f"http://{there.removesuffix('/32')}:8091{PREFIX}"


def test_every_setting_is_one_of_the_labs(lab: dict[str, Any]) -> None:
    reference = (PROJECT / "docs/reference.md").read_text()
    told = {name for one in lab["services"].values() for name in one.get("environment") or {}
            if name.startswith("GPULAB_")}  # fmt: skip
    assert "GPULAB_DATABASE_URL" in told
    assert {name for name in told if f"`{name}`" not in reference} == set()


@pytest.mark.parametrize("kind", ["internal", "files"])
def test_caddy_takes_its_configuration(tmp_path: Path, kind: str) -> None:
    shutil.copy(PROJECT / "deploy/tls" / f"{kind}.caddy", tmp_path / "tls.caddy")
    _certificate(tmp_path)
    text = (PROJECT / "deploy/Caddyfile").read_text() + (tmp_path / "tls.caddy").read_text()
    assert "/etc/caddy/tls" in text
    for path in (tmp_path / "tls.caddy", tmp_path / "Caddyfile"):
        source = PROJECT / "deploy/Caddyfile" if path.name == "Caddyfile" else path
        path.write_text(source.read_text().replace("/etc/caddy/tls", str(tmp_path)))
    command = (tool("caddy"), "validate", "--adapter", "caddyfile", "--config",
               str(tmp_path / "Caddyfile"))  # fmt: skip
    home = {"LAB_ADDRESS": "lab.example.org", "HOME": str(tmp_path)}
    done = run(*command, environment=home)
    assert done.returncode == 0, done.stderr
    (tmp_path / "Caddyfile").write_text((tmp_path / "Caddyfile").read_text() + "nonsense {\n")
    assert run(*command, environment=home).returncode != 0


def _certificate(folder: Path) -> None:
    key, whole = str(folder / "privkey.pem"), str(folder / "fullchain.pem")
    made = run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "1", "-subj", "/CN=lab.example.org", "-keyout", key, "-out", whole,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    text = (PROJECT / "deploy/prometheus.yml").read_text()
    (tmp_path / "metrics_token").write_text("x\n")
    path = tmp_path / "prometheus.yml"
    rules = PROJECT / "monitoring" / "rules"
    path.write_text(text.replace("/run/secrets", str(tmp_path))
                    .replace("/etc/prometheus/rules", str(rules)))  # fmt: skip
    done = run(tool("promtool"), "check", "config", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rules found") == 2, done.stdout
    path.write_text(path.read_text() + "  - job: nonsense\n")
    assert run(tool("promtool"), "check", "config", str(path)).returncode != 0


def test_prometheus_asks_every_program_that_tells(lab: dict[str, Any]) -> None:
    asked = set(re.findall(r"targets: \[([\w-]+):(\d+)\]",
                           (PROJECT / "deploy/prometheus.yml").read_text()))  # fmt: skip
    told = {(name, port) for name, one in lab["services"].items()
            for key, port in (one.get("environment") or {}).items()
            if key.endswith("_METRICS_PORT")}  # fmt: skip
    assert told == {("worker", "9090"), ("watchdog", "9090"), ("notifier", "9090")}
    assert asked == told | {("service", "8090"), ("hub", "8081"), ("proxy-api", "8002")}
    asked = {("proxy", port) if name == "proxy-api" else (name, port) for name, port in asked}
    networks = {name: set(one.get("networks") or ()) for name, one in lab["services"].items()}
    for name, _ in asked:
        assert networks[name] & networks["prometheus"], name


@pytest.mark.parametrize("script", ["up", "down", "backup", "restore", "compose-tools"])
def test_scripts_can_be_read(script: str) -> None:
    assert run("bash", "-n", f"scripts/{script}.sh").returncode == 0


@pytest.mark.parametrize(
    ("gib", "makes_volumes", "told"),
    [(20, True, ""), (20, False, "grow beyond 20 GiB"), (0, True, "LAB_HOME_GIB is 0")],
)
def test_p43_make_up_says_when_homes_have_no_end(
    tmp_path: Path, gib: int, makes_volumes: bool, told: str
) -> None:
    engine, asked = tmp_path / "docker", tmp_path / "asked"
    status = 0 if makes_volumes else 1
    engine.write_text(f'#!/bin/sh\necho "$*" >>{asked}; exit {status}\n')
    engine.chmod(0o755)
    done = run("scripts/homes.sh", str(gib), environment={"DOCKER": str(engine)})
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout
    assert bool(told) == bool(done.stdout)
    words = asked.read_text().split() if asked.exists() else []
    assert words[:4] == (["volume", "create", "-o", "size=1m"] if gib else [])
    assert ("rm" in words) == (makes_volumes and gib > 0), "what was tried is taken away"
    assert "scripts/homes.sh" in (PROJECT / "scripts/up.sh").read_text()
