"""What sessions run in, what the launcher tells the programs and what it prints."""

import configparser
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.gpus.devices import GpuDevice
from api.settings import ApiSettings, WatchdogSettings, WorkerSettings
from hub.settings import HubSettings
from lab.engine import Choice, EngineLook, choose_spawner, engine_socket
from lab.environment import program_environment
from lab.errors import CannotStart
from lab.gating import Gate, GatingSettings, gate_policy
from lab.network import outside_mtu
from lab.people import Person, people_of
from lab.programs import lab_programs, supervisor_config
from lab.proxy import proxy_command
from lab.report import gpu_text, ready_text, spawner_lines
from lab.settings import PROJECT, LabSettings, Spawner
from lab.state import State
from quota.lab_file import load_lab

ANSWERS = EngineLook(trouble="")
SILENT = EngineLook(trouble="it is not running")
BARE = EngineLook(trouble="", missing_images=("gpulab/base:latest",))


@pytest.mark.parametrize(
    ("wanted", "look", "spawner", "why"),
    [
        ("auto", ANSWERS, "docker", "has the images"),
        ("auto", SILENT, "process", "it is not running"),
        ("auto", BARE, "process", "lacks gpulab/base:latest"),
        ("docker", ANSWERS, "docker", "as asked for"),
        ("process", ANSWERS, "process", "as asked for"),
    ],
)
def test_spawner_is_chosen_with_its_reason(
    wanted: Spawner, look: EngineLook, spawner: str, why: str
) -> None:
    choice = choose_spawner(wanted, look)
    assert choice.spawner == spawner
    assert why in choice.why


@pytest.mark.parametrize(("look", "remedy"), [(SILENT, "start it"), (BARE, "make images-base`")])
def test_docker_that_is_asked_for_and_not_there_is_no_start(look: EngineLook, remedy: str) -> None:
    with pytest.raises(CannotStart, match=remedy):
        choose_spawner("docker", look)


def test_only_processes_come_with_a_warning() -> None:
    warned = "\n".join(spawner_lines(Choice(spawner="process", why="as asked for")))
    assert "not isolated" in warned
    assert "arning" not in "\n".join(spawner_lines(Choice(spawner="docker", why="it is there")))


def environment(settings: LabSettings, **inherited: str) -> dict[str, str]:
    state = State(settings.state_dir)
    return program_environment(settings, state, spawner="process", inherited=inherited)


def test_programs_see_nothing_of_another_lab(tmp_path: Path) -> None:
    settings = LabSettings(state_dir=tmp_path)
    seen = environment(settings, GPULAB_DATABASE_URL="sqlite:///other", JUPYTERHUB_API_TOKEN="x",
                       CONFIGPROXY_AUTH_TOKEN="x", HOME="/home/me", PATH="/bin")  # fmt: skip
    assert seen["GPULAB_DATABASE_URL"] == f"sqlite:///{tmp_path}/books.sqlite"
    assert not {"JUPYTERHUB_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN"} & seen.keys()
    assert seen["HOME"] == "/home/me"
    assert seen["PATH"].endswith(":/bin")


def test_every_variable_that_a_program_requires_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(LabSettings(state_dir=tmp_path, port=9123)).items():
        monkeypatch.setenv(name, value)
    for kind in (ApiSettings, WorkerSettings, WatchdogSettings):
        kind()


def test_p46_proxy_gets_its_secret_from_the_file_alone(tmp_path: Path) -> None:
    secret = tmp_path / "proxy token"
    secret.write_text("abc\n")
    command = proxy_command(
        Path("/bin/sh"), Path("-c"), secret=secret,
        environment=environment(LabSettings(state_dir=tmp_path, public_host="")),
    )  # fmt: skip
    assert "--host-routing" not in command
    at = command.index("-c", 3)
    replaced = (*command[: at + 1], "echo $CONFIGPROXY_AUTH_TOKEN")
    said = subprocess.run(replaced, capture_output=True, text=True, check=True, env={})
    assert said.stdout == "abc\n"
    assert "abc" not in " ".join(command)


@pytest.mark.parametrize(
    ("given", "host", "address"),
    [
        (None, "http://lab.localhost:8123", "http://lab.localhost:8123"),
        ("", "", "http://127.0.0.1:8123"),
        ("https://lab.example.org", "https://lab.example.org", "https://lab.example.org"),
    ],
)
def test_people_get_an_address_of_their_own_unless_told_otherwise(
    given: str | None, host: str, address: str
) -> None:
    settings = LabSettings(port=8123, public_host=given)
    assert (settings.shared_host, settings.address) == (host, address)


def read_config(text: str) -> configparser.ConfigParser:
    reader = configparser.ConfigParser(interpolation=None, strict=True)
    reader.read_string(text)
    return reader


def test_supervisor_config_survives_odd_folders() -> None:
    odd = Path("/srv/my lab 100%; really")
    programs = lab_programs(odd / "bin" / "python", PROJECT, proxy=("node", "a b"))
    config = read_config(
        supervisor_config(programs, state_dir=odd, logs=odd / "logs", socket=odd / "s.sock")
    )
    names = [name.removeprefix("program:") for name in config.sections() if ":" in name]
    assert names == ["rpcinterface:supervisor", "proxy", "service", "hub", "worker", "culler",
                     "watchdog"]  # fmt: skip
    command = config["program:worker"]["command"].replace("%%", "%")
    assert shlex.split(command)[0] == str(odd / "bin" / "python")
    assert config["supervisord"]["directory"].replace("%%", "%") == str(odd)


def test_only_gate_and_watchdog_are_told_of_the_engine_itself(tmp_path: Path) -> None:
    engine, state = Path("/run/engine.sock"), State(tmp_path)
    gate = Gate(policy=tmp_path / "gate.json", socket=tmp_path / "gate.sock")
    shared = program_environment(
        LabSettings(state_dir=tmp_path), state, spawner="docker", gate=gate,
        inherited={"DOCKER_HOST": f"unix://{engine}"},
    )  # fmt: skip
    assert shared["DOCKER_HOST"] == f"unix://{gate.socket}"
    assert str(engine) not in " ".join(shared.values())
    programs = lab_programs(Path("python"), PROJECT, proxy=("node",), engine=engine)
    config = read_config(
        supervisor_config(programs, state_dir=tmp_path, logs=tmp_path, socket=tmp_path / "s.sock")
    )
    told = {name: config[f"program:{name}"]["environment"] for name in
            ("gate", "proxy", "service", "hub", "worker", "culler", "watchdog")}  # fmt: skip
    assert {name for name, text in told.items() if str(engine) in text} == {"gate", "watchdog"}
    assert 'DOCKER_HOST="unix:///run/engine.sock"' in told["watchdog"]


@pytest.mark.parametrize(
    ("host", "path"),
    [("", "/var/run/docker.sock"), ("unix:///x/y.sock", "/x/y.sock"), ("tcp://1.2.3.4:2375", None),
     ("ssh://engine", None), ("unix://", None)],
)  # fmt: skip
def test_an_engine_elsewhere_is_none(host: str, path: str | None) -> None:
    found = engine_socket({"DOCKER_HOST": host} if host else {})
    assert (None if found is None else str(found)) == path


def test_the_gate_is_told_of_images_by_id_and_of_real_gpus() -> None:
    lab = load_lab(PROJECT / "lab.yaml")
    real = GpuDevice(uuid="GPU-1", name="H100", memory_mib=81559, kind="gpu")
    policy = gate_policy(
        lab, [virtual(0), real], image_ids={"gpulab/base:latest": "sha256:1", "other": "sha256:2"},
        machine_memory_bytes=1 << 34, hub_id="main", network="gpulab",
        folders=[Path("/srv/models"), Path("/srv/data")],
    )  # fmt: skip
    assert policy == {
        "hub_id": "main", "network": "gpulab", "images": {"gpulab/base:latest": "sha256:1"},
        "folders": ["/srv/data", "/srv/models"],
        "gpus": ["GPU-1"], "most_memory_bytes": 1 << 34,
    }  # fmt: skip


def test_people_are_listed_once_each_with_their_role() -> None:
    people = people_of(load_lab(PROJECT / "lab.yaml"))
    assert [person.name for person in people] == [
        "olga", "tomas", "ada", "blaise", "chen", "dina", "emeka", "fatima",
    ]  # fmt: skip
    roles = {person.name: person.role for person in people}
    assert roles["olga"] == "organizer"
    assert roles["tomas"] == "TA of Americas, Europe and Africa"
    assert roles["dina"] == "scholar, Europe and Africa"


def virtual(number: int) -> GpuDevice:
    return GpuDevice(uuid=f"VIRTUAL-{number}", name="Virtual GPU", memory_mib=16384,
                     kind="virtual")  # fmt: skip


def test_gpus_are_counted_by_kind() -> None:
    real = GpuDevice(uuid="GPU-1", name="H100", memory_mib=81559, kind="gpu")
    assert gpu_text([]) == "none"
    assert gpu_text([virtual(0), real, virtual(1)]) == (
        "2 x Virtual GPU (16,384 MiB, virtual), 1 x H100 (81,559 MiB)"
    )


def test_report_names_address_accounts_spawner_gpus_and_the_way_out(tmp_path: Path) -> None:
    settings = LabSettings(state_dir=tmp_path, port=8123)
    text = ready_text(
        settings, State(tmp_path), Choice(spawner="process", why="no Docker engine answers"),
        [virtual(0)], why_gpus="lab.yaml declares the GPUs",
        accounts={Person(f"scholar-{n}", "scholar"): f"word-{n}" for n in range(40)},
    )  # fmt: skip
    parts = (
        "http://lab.localhost:8123", "scholar-0", "word-0", "... and 16 more",
        "demo-passwords.txt", "no Docker engine answers", "Virtual GPU", "Ctrl-C",
    )  # fmt: skip
    assert [part for part in parts if part not in text] == []
    assert "word-39" not in text


def test_mtu_is_that_of_the_way_out(tmp_path: Path) -> None:
    routes, devices = tmp_path / "route", tmp_path / "net"
    (devices / "uplink").mkdir(parents=True)
    (devices / "uplink" / "mtu").write_text("1400\n")
    routes.write_text(
        "Iface Destination Gateway\nlo 0000007F 00000000\nuplink 00000000 0100A8C0\n"
    )
    assert outside_mtu(routes, devices) == 1400
    routes.write_text("Iface Destination Gateway\n")
    assert outside_mtu(routes, devices) == 1500
    assert outside_mtu(tmp_path / "none", devices) == 1500


def test_launcher_hub_and_gate_are_told_the_same_of_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub once took homes that the launcher refused, and an empty folder was here."""
    needed: dict[str, Any] = {"state_dir": tmp_path, "lab_file": tmp_path, "secrets_dir": tmp_path,
              "spawner": "docker", "gate_policy": tmp_path}  # fmt: skip
    monkeypatch.setenv("GPULAB_DATASETS_DIR", "")
    for read in (LabSettings, HubSettings, GatingSettings):
        assert read(**needed).datasets_dir is None
    for read in (LabSettings, HubSettings):
        assert read(**needed).home_gib == 20
        with pytest.raises(ValidationError):
            read(**needed, home_gib=1_000_001)


def test_metrics_have_ports_of_their_own_when_asked_for(tmp_path: Path) -> None:
    told = environment(LabSettings(state_dir=tmp_path, metrics_port=9100))
    ports = {name: told.get(f"GPULAB_{name}_METRICS_PORT") for name in (
        "WORKER", "WATCHDOG", "PROXY")}  # fmt: skip
    assert ports == {"WORKER": "9100", "WATCHDOG": "9101", "PROXY": "9102"}
    command = proxy_command(Path("node"), Path("proxy"), secret=tmp_path, environment=told)
    at = command.index("--metrics-port")
    assert command[at - 2 : at + 2] == ("--metrics-ip", "127.0.0.1", "--metrics-port", "9102")
    plain = environment(LabSettings(state_dir=tmp_path))
    assert not any(name.endswith("METRICS_PORT") for name in plain)
    quiet = proxy_command(Path("node"), Path("proxy"), secret=tmp_path, environment=plain)
    assert "--metrics-port" not in quiet
