"""What the doctor makes of versions, settings and places; the machine's part is faked."""

import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.cli_settings import CliSettings
from api.doctor import engine, examination, machine, watching
from api.doctor.engine import (
    engine_findings,
    engine_room,
    image_finding,
    toolkit_findings,
)
from api.doctor.examination import attach_findings, sharing_findings
from api.doctor.findings import Finding
from api.doctor.floors import HOLES, Part, judge, open_holes
from api.doctor.machine import (
    clock_finding,
    driver_finding,
    look_at_clock,
    look_at_ports,
    name_findings,
    room_finding,
)
from api.doctor.parts import engine_parts, installed_parts
from api.gpus.devices import GpuDevice
from api.worker_metrics import WorkerMetrics
from lab.state import State, prepare, sole_launcher
from quota.lab_gpus import GpuPolicy
from quota.lab_people import AttachRules

CTK = "NVIDIA Container Toolkit CLI version {}\ncommit: 9f8e\n"
ENGINE: dict[str, Any] = {"Version": "28.2.2", "ApiVersion": "1.50"}
INFO: dict[str, Any] = {
    "DefaultRuntime": "runc", "SecurityOptions": ["name=seccomp,profile=default"],
    "LiveRestoreEnabled": True, "CgroupVersion": "2",
}  # fmt: skip


def runc(version: str, built: str = "v1-0-gabc") -> dict[str, Any]:
    return {**ENGINE, "Components": [{"Name": "Engine", "Version": "28.2.2"},
                                     {"Name": "runc", "Version": version,
                                      "Details": {"GitCommit": built}}]}  # fmt: skip


def holes(name: str, version: str) -> set[str]:
    return {hole.name for hole in open_holes(Part(name=name, version=version))}


@pytest.mark.parametrize(
    ("name", "version", "named"),
    [
        ("nvidia-container-toolkit", "1.17.7", {"CVE-2025-23266"}),
        ("nvidia-container-toolkit", "1.17.8", set()),
        ("nvidia-container-toolkit", "1.16.1", {"CVE-2025-23266", "CVE-2025-23359",
                                                "CVE-2024-0132"}),
        ("nvidia-container-toolkit", "1.20.0", set()),
        ("runc", "1.2.7", {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}),
        ("runc", "1.2.8", set()),
        ("runc", "1.3.2", {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}),
        ("runc", "1.3.3", set()),
        ("runc", "1.4.0-rc.2", {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}),
        ("runc", "1.4.0-rc.3", set()),
        ("runc", "1.4.0", set()),
        ("runc", "1.5.1", set()),
        ("runc", "1.1.15", {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}),
        ("runc", "1.1.11", {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881",
                            "CVE-2024-21626"}),
        ("jupyterhub", "5.4.4", {"CVE-2026-40864", "CVE-2026-54338", "GHSA-69wv-m5fw-2fhp",
                                 "GHSA-c4gm-pwx9-9w8j"}),
        ("jupyterhub", "5.5.1", set()),
        ("jupyterhub", "5.6.0", set()),
        ("jupyterhub", "6.1.1", set()),
        ("jupyter-server-proxy", "3.2.3", set()),
        ("jupyter-server-proxy", "4.1.0", {"CVE-2024-28179"}),
        ("configurable-http-proxy", "4.6.3", {HOLES["configurable-http-proxy"][0].name}),
        ("configurable-http-proxy", "5.3.0", set()),
    ],
)  # fmt: skip
def test_p39_holes_are_known_by_version(name: str, version: str, named: set[str]) -> None:
    assert holes(name, version) == named
    found = judge(Part(name=name, version=version))
    assert found.level == ("fail" if named else "ok")
    assert all(hole in found.what for hole in named)
    assert bool(found.remedy) == bool(named)


def test_p39_a_distributions_old_number_is_shouted_and_not_judged() -> None:
    (part,) = engine_parts(runc("1.1.5+ds1", "1.1.5+ds1-1+deb12u1"))
    found = judge(part)
    assert found.level == "warn"
    assert "CVE-2025-31133" in found.what
    assert "security notices" in found.remedy
    assert judge(Part(name="runc", version="strange")).level == "warn"


def fake_machine(folder: Path, **said: str) -> list[Part]:
    """Find the parts of a machine whose programs say these versions."""
    modules = folder / "node_modules" / "configurable-http-proxy"
    modules.mkdir(parents=True)
    (modules / "package.json").write_text(json.dumps({"version": said.get("proxy", "5.3.0")}))
    answers = {"nvidia-ctk": CTK.format(said["toolkit"]) if "toolkit" in said else ""}
    return list(installed_parts(lambda command: answers.get(command[0], ""), project=folder))


def test_parts_are_found_where_they_say_so(tmp_path: Path) -> None:
    found = {part.name: part.version for part in fake_machine(tmp_path, toolkit="1.17.7")}
    assert found["nvidia-container-toolkit"] == "1.17.7"
    assert found["configurable-http-proxy"] == "5.3.0"
    assert found["jupyterhub"].startswith("6.")
    bare = list(installed_parts(lambda command: "4.6.2\n" if "proxy" in command[0] else "",
                                project=tmp_path / "none"))  # fmt: skip
    assert {part.version for part in bare if "proxy" in part.name} == {"4.6.2"}
    assert judge(Part(name="nvidia-container-toolkit", version="")).level == "ok"
    assert judge(Part(name="jupyterhub", version="", is_needed=True)).level == "warn"


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([Part(name="nvidia-container-toolkit", version="1.17.7")], "CVE-2025-23266"),
        ([Part(name="jupyterhub", version="5.4.4")], "CVE-2026-40864"),
        ([Part(name="configurable-http-proxy", version="4.6.3")], "issue 557"),
        (list(engine_parts(runc("1.2.7"))), "CVE-2025-31133"),
    ],
)
def test_p39_the_command_ends_with_status_1_and_names_the_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[Part], named: str
) -> None:
    sound = [Part(name=part.name, version="99.0") for part in parts]
    for look in ("look_at_folders", "_books", "_policy_and_gpus", "look_at_engine",
                 "look_at_ports"):  # fmt: skip
        monkeypatch.setattr(examination, look, lambda _settings: iter(()))
    for given, status in ((parts, 1), (sound, 0)):
        monkeypatch.setattr(examination, "installed_parts", lambda given=given: iter(given))
        ended = CliRunner().invoke(app, ["doctor", "--json"])
        assert ended.exit_code == status, ended.output
        findings = json.loads(ended.output)["findings"]
        assert any(named in one["what"] for one in findings if one["level"] == "fail") == (
            status == 1
        )


def test_p39_the_metric_is_set_and_the_alarm_counts(tmp_path: Path) -> None:
    metrics = WorkerMetrics()

    def value(part: str) -> float | None:
        return metrics.registry.get_sample_value("gpulab_worker_known_holes", {"part": part})

    assert {part: value(part) for part in HOLES} == dict.fromkeys(HOLES, 0)
    parts = fake_machine(tmp_path, toolkit="1.17.7", proxy="4.6.3")
    watching.note_parts([*parts, *engine_parts(runc("1.2.7"))], metrics)
    assert {part for part in HOLES if value(part)} == {
        "nvidia-container-toolkit", "configurable-http-proxy", "runc",
    }  # fmt: skip
    watching.note_parts(list(engine_parts(runc("1.2.8"))), metrics)
    assert (value("runc"), value("configurable-http-proxy")) == (0, 1)


def test_the_worker_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    metrics = WorkerMetrics()
    monkeypatch.setattr(watching, "installed_parts",
                        lambda: [Part(name="runc", version="1.2.7")])  # fmt: skip
    monkeypatch.setattr(WorkerMetrics, "note_holes", lambda _self, found: looked.set())
    with watching.watched_parts(metrics, "process", first_s=0):
        assert looked.wait(10)


def levels(findings: list[Finding] | Any) -> dict[str, str]:
    return {one.what: one.level for one in findings}


@pytest.mark.parametrize(
    ("told", "info", "level", "part_of_what"),
    [
        (ENGINE, INFO, "ok", "Docker engine 28.2.2"),
        ({**ENGINE, "ApiVersion": "1.39"}, INFO, "fail", "too old"),
        (runc("1.2.7"), INFO, "fail", "CVE-2025-31133"),
        (ENGINE, {**INFO, "DefaultRuntime": "nvidia"}, "fail", "an image can take all GPUs"),
        (ENGINE, {**INFO, "SecurityOptions": []}, "fail", "does not filter"),
        (ENGINE, {**INFO, "LiveRestoreEnabled": False}, "warn", "ends all sessions"),
        (ENGINE, {**INFO, "CgroupVersion": "1"}, "ok", "cgroup v1"),
        (ENGINE, None, "ok", "through the lab's gate"),
    ],
)
def test_the_engine_is_judged_by_what_it_says(
    told: Mapping[str, Any], info: Mapping[str, Any] | None, level: str, part_of_what: str
) -> None:
    found = levels(engine_findings(told, info))
    assert [one for what, one in found.items() if part_of_what in what] == [level]
    sound = levels(engine_findings(ENGINE, INFO)).values()
    assert set(sound) == {"ok"}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("accept-nvidia-visible-devices-envvar-when-unprivileged = false", "ok"),
        ("accept-nvidia-visible-devices-envvar-when-unprivileged = true", "fail"),
        ("[nvidia-container-cli]\nenvironment = []", "fail"),
        ("= nonsense", "warn"),
    ],
)
def test_p38_an_image_must_not_choose_its_gpus(tmp_path: Path, text: str, level: str) -> None:
    assert list(toolkit_findings(tmp_path / "config.toml")) == []
    (tmp_path / "config.toml").write_text(text)
    assert [one.level for one in toolkit_findings(tmp_path / "config.toml")] == [level]


def test_p42_a_tag_that_has_moved_is_told(tmp_path: Path) -> None:
    one, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    (tmp_path / "gate.json").write_text(json.dumps({"images": {"gpulab/base:latest": one}}))
    approved = engine._approved(tmp_path / "gate.json")
    assert approved == {"gpulab/base:latest": one}
    assert engine._approved(tmp_path / "none.json") == {}
    moved = image_finding("base", "gpulab/base:latest", other, approved["gpulab/base:latest"])
    assert (moved.level, "start the lab again" in moved.remedy) == ("warn", True)
    assert image_finding("base", "gpulab/base:latest", one, one).level == "ok"
    assert image_finding("base", "gpulab/base:latest", one, None).level == "ok"


@pytest.mark.parametrize(
    ("address", "known", "expected"),
    [
        (None, set(), ["ok"]),
        ("", set(), ["warn"]),
        ("http://lab.localhost:8000", set(), ["ok"]),
        ("https://lab.example.org", {"lab.example.org", "somebody.lab.example.org"}, ["ok"]),
        ("https://lab.example.org", {"lab.example.org"}, ["fail"]),
        ("https://lab.example.org", set(), ["fail"]),
        ("http://lab.example.org", {"lab.example.org", "somebody.lab.example.org"},
         ["ok", "warn"]),
    ],
)  # fmt: skip
def test_each_persons_name_has_to_lead_here(
    address: str | None, known: set[str], expected: list[str]
) -> None:
    assert [one.level for one in name_findings(address, known.__contains__)] == expected


def test_a_port_of_another_program_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CliSettings(state_dir=tmp_path)
    # Also where these tests run in a container themselves.
    monkeypatch.setattr(machine, "_IN_CONTAINER", tmp_path / "container")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for name in (
            "HUB_PORT",
            "SERVICE_PORT",
            "SESSION_LISTENER_PORT",
            "PROXY_API_PORT",
            "PORT",
        ):
            monkeypatch.setenv(f"GPULAB_{name}", str(other.getsockname()[1]))
        found = list(look_at_ports(settings))
        assert [one.level for one in found] == ["fail"] * 5
        assert {one.remedy.split()[-1] for one in found} >= {"GPULAB_HUB_PORT", "GPULAB_PORT"}
        state: State = prepare(tmp_path)
        with sole_launcher(state):
            assert [one.what for one in look_at_ports(settings)] == [
                "the lab runs, and has its ports"
            ]
    assert [one.level for one in look_at_ports(settings)] == ["ok"]
    (tmp_path / "container").touch()
    assert ["container" in one.what for one in look_at_ports(settings)] == [True]


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "level"),
    [(5 << 30, 1 << 20, "ok"), (5 << 30, None, "ok"), (1 << 20, 1 << 20, "warn"),
     (5 << 30, 12, "warn")],
)  # fmt: skip
def test_little_room_is_told(free_bytes: int, free_files: int | None, level: str) -> None:
    found = room_finding(free_bytes, free_files, "on the disk")
    assert (found.level, "on the disk" in found.what) == (level, True)


def test_the_engines_own_disk_is_looked_at(tmp_path: Path) -> None:
    (found,) = engine_room({**INFO, "DockerRootDir": str(tmp_path)})
    assert str(tmp_path) in found.what
    assert list(engine_room(INFO)) == list(engine_room(None)) == []


def test_the_clock_is_asked() -> None:
    assert clock_finding(5).level == "warn"
    assert clock_finding(0).level == "ok"
    assert [one.level for one in look_at_clock(CliSettings())] in (["ok"], ["warn"])


def test_the_driver_says_whether_shares_of_memory_are_kept() -> None:
    assert driver_finding("") is None
    new, old = driver_finding("615.10.1\n615.10.1\n"), driver_finding("580.65.06\n")
    assert new is not None
    assert old is not None
    assert "holds sessions to" in new.what
    assert "only advises" in old.what


def test_how_gpus_are_shared_is_told_and_what_is_wrong_with_it() -> None:
    devices = [GpuDevice(uuid="GPU-a", name="T4", memory_mib=16384, kind="gpu")]
    (told,) = sharing_findings(GpuPolicy(), devices, in_containers=True)
    assert (told.level, told.what) == ("ok", "GPUs are shared: plain")
    found = list(sharing_findings(GpuPolicy(sharing="mps"), devices, in_containers=True))
    assert [one.level for one in found] == ["ok", "warn", "warn"]
    assert all(one.remedy for one in found[1:])


def test_p34_accepting_a_shared_origin_is_warned_of() -> None:
    assert list(attach_findings(AttachRules())) == []
    (told,) = attach_findings(AttachRules(accept_shared_origin=True))
    assert told.level == "warn"
    assert "act as the TA" in told.what
