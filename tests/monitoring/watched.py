"""A whole lab with a week behind it, GPUs under a stand-in for the driver, and a real Prometheus.

The books are filled through their own use cases before the lab starts: sections in three time
zones, sessions that ended by all kinds of reasons, grants, hands, requests. Then people start real
sessions, others wait, somebody is refused.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import yaml

from lab.trial.running import RunningLab
from lab.trial.waiting import free_ports, wait_for
from quota.audit import By
from quota.clock import ManualClock, SystemClock
from quota.helping import Helping
from quota.lab_file import parse_lab
from quota.placement import GpuUse
from quota.store.engine import open_engine
from quota.store.migrate import upgrade
from tests.compose.tools import PROJECT, run, tool
from tests.gpu.world import Card, Running, World, build
from tests.quota.books import Desk, hours

CARDS = 4
EVERY_S = 2
_JOBS = 6
_BY = By(actor="olga", request_id="")
_SECTIONS = {"americas": "America/New_York", "europe": "Europe/Berlin", "africa": "Africa/Lagos"}
_SIZE = 30
SCHOLARS = {name: [f"{name}-{number:02}" for number in range(_SIZE)] for name in _SECTIONS}


def lab_yaml() -> str:
    sections = "\n".join(
        f"  {name}: {{time_zone: {zone}, hours_per_week: 8, tas: [tomas], help_hours_per_week: 5, "
        f"scholars: [{', '.join(SCHOLARS[name])}]}}" for name, zone in _SECTIONS.items()
    )  # fmt: skip
    return f"""
name: watched lab
organizers: [olga]
sections:
{sections}
  short: {{time_zone: UTC, scholars: [shorty], hours_per_week: '10 min'}}
tas: {{tomas: {{hours_per_week: 20}}}}
flavors:
  cpu: {{title: No GPU, weight_mgpu: 0, cpus: 1, ram_mib: 1024}}
  quarter-gpu: {{title: A quarter, weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096, ram_mib: 1024}}
  whole-gpu: {{title: A whole GPU, weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384, ram_mib: 1024}}
images:
  base: {{title: "JupyterLab, Python", docker: "gpulab/base:latest"}}
gpus: {{mode: nvml}}
channels:
  room: {{title: Room, url_file: room, chosen_by: [organizers]}}
policy: {{hold_step_s: 10, minimum_start_s: 5, tick_s: 2, grace_s: 5, waiter_timeout_s: 600}}
"""  # noqa: E501


class Driver:
    """The machine's GPUs, in a test's hands."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(cards=[
            Card("NVIDIA L4", f"GPU-{number}", celsius=41 + 7 * number,
                 milliwatts=30_000 + 9_000 * number)
            for number in range(CARDS)
        ])  # fmt: skip
        self._state = folder / "state"
        build(folder)
        self.change()
        self.environment = {"LD_LIBRARY_PATH": str(folder), "FAKE_NVML_STATE": str(self._state)}

    def change(self) -> None:
        draft = self._state.with_suffix(".new")
        self.world.write(draft)
        draft.replace(self._state)


def live_a_week(url: str) -> None:
    """Let the class have lived up to now; nothing runs at the end."""
    engine = open_engine(url)
    upgrade(engine)
    clock = ManualClock(SystemClock().now() - timedelta(hours=3))
    desk = Desk(engine, parse_lab(lab_yaml(), "lab.yaml"), clock)
    desk.books.set_inventory(
        GpuUse(uuid=f"GPU-{number}", name="NVIDIA L4", kind="gpu", memory_mib=16384,
               in_service=True, used_mgpu=0, used_mib=0, sharers=0) for number in range(CARDS)
    )  # fmt: skip
    _sessions(desk)
    helping = Helping(desk.books)
    for names in SCHOLARS.values():
        for name in names[:3]:
            helping.raise_hand(uuid4(), name, message="My kernel dies.", path="week3/lab.ipynb",
                               server_name="", by=_BY)  # fmt: skip
        for name in names[3:6]:
            desk.office.grant(uuid4(), name, hours("1"), reason="a second run", by=_BY)
        # The organizers' room hears of it, or would: nobody has written its address down.
        desk.office.ask(uuid4(), names[6], hours("2"), "a longer run")
    assert desk.books.check() == []
    engine.dispose()


def _sessions(desk: Desk) -> None:
    everybody = [name for names in SCHOLARS.values() for name in names[:5]]
    for name in everybody:
        view = desk.ask(name, "quarter-gpu")
        if view.lease.state == "held":
            desk.clock.set(desk.clock.now() + timedelta(seconds=4))
            desk.start(view)
    desk.tick()
    desk.go(every_s=120, hours=2)
    for ref, one in list(desk.containers.items()):
        if one.finished_at is None:
            desk.finish(ref)
    desk.tick()
    _use_up(desk)


def _use_up(desk: Desk) -> None:
    """Somebody runs out of hours and is stopped in time."""
    desk.run("shorty", "whole-gpu")
    desk.go(every_s=5, minutes=11)
    assert not desk.containers


@dataclass
class Watched:
    """A lab and a Prometheus that reads it."""

    lab: RunningLab
    driver: Driver
    url: str
    prometheus: subprocess.Popen[bytes]
    began: float = field(default_factory=time.time)

    def query(self, query: str) -> list[dict[str, Any]]:
        """Ask for now."""
        return self._ask("query", {"query": query})

    def lines(self, query: str, *, since: float, step_s: float) -> list[dict[str, Any]]:
        """Ask for a time up to now."""
        return self._ask("query_range", {"query": query, "start": since, "end": time.time(),
                                         "step": step_s})  # fmt: skip

    def _ask(self, what: str, asked: Mapping[str, object]) -> list[dict[str, Any]]:
        reply = httpx2.post(f"{self.url}/api/v1/{what}", data=dict(asked), timeout=30,
                            trust_env=False)  # fmt: skip
        assert reply.status_code == 200, f"{asked}: {reply.text}"
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Name the alerts that fire."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def down(self) -> set[str]:
        """Name what Prometheus cannot read."""
        return {one["metric"]["job"] for one in self.query("up == 0")}

    def end_prometheus(self) -> None:
        if self.prometheus.poll() is None:
            self.prometheus.terminate()
            self.prometheus.wait(timeout=30)


class Waiter:
    """A scholar at the waiting page, who asks again and again."""

    def __init__(self, lab: RunningLab, name: str, flavor: str = "whole-gpu") -> None:
        self._lab, self.lease_id = lab, uuid4()
        self._body = {"hub_id": "main", "account": name, "server_name": "", "image": "base",
                      "flavor": flavor}  # fmt: skip

    def asks(self) -> dict[str, Any]:
        reply = self._lab.service("PUT", f"/v1/leases/{self.lease_id}", json=self._body)
        found: dict[str, Any] = reply.json()
        return found

    def leaves(self, lease_id: UUID | None = None) -> int:
        path = f"/v1/leases/{lease_id or self.lease_id}/stop"
        return self._lab.service("PUT", path, json={"reason": "person"}).status_code


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Start all of it, with people in it; stop all of it."""
    driver = Driver(folder / "driver")
    first = _three_ports()
    with ExitStack() as stack:
        state = folder / "lab" / "state"
        _prepare(state)
        told = driver.environment | {"GPULAB_METRICS_PORT": str(first)}
        lab = RunningLab(folder / "lab", text=lab_yaml(), environment=told)
        stack.enter_context(lab)
        url, process = stack.enter_context(_prometheus(folder / "prometheus", lab, first))
        # What happened before it looked first is no change to Prometheus.
        wait_for("a first look", lambda: len(_jobs(url)) == _JOBS, within_s=60)
        _people(lab, driver)
        yield Watched(lab=lab, driver=driver, url=url, prometheus=process)


def _three_ports() -> int:
    while True:
        (first,) = free_ports(1)
        if set(free_ports(3)).isdisjoint(range(first, first + 3)):
            return first


def _prepare(state: Path) -> None:
    secrets = state / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "metrics_token").write_text("a-word-for-prometheus-alone\n")
    (secrets / "metrics_token").chmod(0o600)
    live_a_week(f"sqlite:///{state}/books.sqlite")


def _people(lab: RunningLab, driver: Driver) -> None:
    """Two people run sessions, one of which trains; two wait; one leaves; somebody is refused."""
    leaves = lab.logged_in("africa-20")
    leaves.start("cpu", within_s=180)
    leaves.stop(within_s=90)
    for number, name in enumerate(("americas-10", "europe-10")):
        visitor = lab.logged_in(name)
        visitor.start("whole-gpu", within_s=180)
        if number == 0:
            pid = int(visitor.run_cell("import os; print(os.getppid())"))
            gpu = str(lab.account(name)["sessions"][0]["gpu_uuid"]).removeprefix("GPU-")
            driver.world.processes = [Running(int(gpu), pid, 9_000, sm=83)]
            driver.change()
    for name in ("africa-10", "africa-11"):
        assert Waiter(lab, name).asks()["state"] == "held"
    for name in ("africa-12", "europe-12"):
        assert Waiter(lab, name).asks()["state"] == "waiting"
    assert Waiter(lab, "shorty").asks()["code"] == "insufficient_balance"


@contextmanager
def _prometheus(
    folder: Path, lab: RunningLab, first: int
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run Debian's Prometheus with the configuration of deploy/, at ports of this lab."""
    folder.mkdir()
    (port,) = free_ports(1)
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration(lab, first)))
    done = run(tool("promtool"), "check", "config", str(path))
    assert done.returncode == 0, done.stderr
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for("Prometheus", lambda: _is_ready(url), within_s=60)
            yield url, process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)


def _jobs(url: str) -> set[str]:
    reply = httpx2.get(f"{url}/api/v1/query", params={"query": "up == 1"}, timeout=10,
                       trust_env=False)  # fmt: skip
    return {one["metric"]["job"] for one in reply.json()["data"]["result"]}


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", timeout=2, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def configuration(lab: RunningLab, first: int) -> dict[str, Any]:
    """Return deploy/prometheus.yml with this lab's ports, asking more often."""
    told: dict[str, Any] = yaml.safe_load((PROJECT / "deploy" / "prometheus.yml").read_text())
    told["global"] |= {"scrape_interval": f"{EVERY_S}s", "scrape_timeout": f"{EVERY_S}s",
                       "evaluation_interval": f"{EVERY_S}s"}  # fmt: skip
    told["rule_files"] = [str(PROJECT / "monitoring" / "rules" / "*.yml")]
    ports = {"service": lab.service_port, "details": lab.service_port, "worker": first,
             "watchdog": first + 1, "proxy": first + 2, "hub": lab.hub_port}  # fmt: skip
    # Here the worker sends the letters by itself.
    told["scrape_configs"] = [one for one in told["scrape_configs"] if one["job_name"] in ports]
    for one in told["scrape_configs"]:
        one.pop("scrape_interval", None)
        one["static_configs"][0]["targets"] = [f"127.0.0.1:{ports[one['job_name']]}"]
        if "authorization" in one:
            one["authorization"]["credentials_file"] = str(lab.state.secrets / "metrics_token")
    return told
