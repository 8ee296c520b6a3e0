"""A service as a real process on throw-away books, for benchmarks."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from lab.trial.waiting import free_ports
from quota.clock import SystemClock
from quota.lab_file import load_lab
from quota.placement import GpuUse
from quota.service import Books
from quota.store.engine import open_engine
from quota.store.migrate import upgrade

ROOT = Path(__file__).parents[1]
SESSION_PORT = "GPULAB_SESSION_LISTENER_PORT"
_START_S = 60


def lab_yaml(scholars: int, gpus: int) -> str:
    """A lab in which nobody has to wait and nobody runs out."""
    names = ", ".join(f"s{number}" for number in range(scholars))
    return f"""
name: Bench
sections:
  all: {{time_zone: UTC, scholars: [{names}], hours_per_week: 1000}}
flavors:
  gpu: {{title: GPU, weight_mgpu: 100, share_mgpu: 1, memory_mib: 1}}
images:
  base: {{title: Base, docker: "gpulab/base:latest"}}
gpus:
  mode: declared
  declared: [{{name: GPU, memory_mib: 16384, count: {gpus}}}]
  max_sharers: 64
policy: {{max_spawning: 1000}}
"""


@dataclass(frozen=True)
class Rig:
    """A folder with books, a policy and secrets, and the environment that names them."""

    folder: Path
    url: str
    secret: str
    environment: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.secret}"}

    def books(self) -> Books:
        engine = open_engine(self.url)
        return Books(engine, load_lab(self.folder / "lab.yaml"), SystemClock())

    def check(self) -> None:
        """The books must be right after all that; marks without a session are not use."""
        books = self.books()
        found = books.check()
        books.engine.dispose()
        assert not found, found[:3]


@contextmanager
def rig(
    scholars: int, gpus: int, url: str | None = None, *, text: str | None = None
) -> Iterator[Rig]:
    """Make a lab, as a text says it or with so many scholars; without a URL in SQLite."""
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as name:
        folder = Path(name)
        (folder / "lab.yaml").write_text(text or lab_yaml(scholars, gpus))
        (folder / "secrets").mkdir(mode=0o700)
        secret = secrets.token_hex(16)
        for secret_name in ("admission_token", "service_token"):
            (folder / "secrets" / secret_name).write_text(secret)
        address = url or f"sqlite:///{folder}/books.sqlite"
        found = Rig(folder, address, secret, os.environ | {
            "GPULAB_DATABASE_URL": address, "GPULAB_LAB_FILE": str(folder / "lab.yaml"),
            "GPULAB_SECRETS_DIR": str(folder / "secrets"), "GPULAB_STATE_DIR": str(folder),
            "GPULAB_SPAWNER": "process",
        })  # fmt: skip
        books = found.books()
        upgrade(books.engine)
        books.set_inventory(
            GpuUse(uuid=f"VIRTUAL-{number}", name="GPU", kind="virtual", memory_mib=16384,
                   in_service=True, used_mgpu=0, used_mib=0, sharers=0) for number in range(gpus)
        )  # fmt: skip
        books.engine.dispose()
        yield found


@contextmanager
def running(module: str, rig: Rig, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the lab's processes; it is ended by its own pid."""
    with (rig.folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, stdout=log,
                                   stderr=log, env=rig.environment | more)  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


@contextmanager
def service(rig: Rig) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the service; yields its address and process, the rig knows its session listener."""
    port, sessions = free_ports(2)
    url = f"http://127.0.0.1:{port}"
    rig.environment[SESSION_PORT] = str(sessions)
    with running("api.serve", rig, GPULAB_SERVICE_PORT=str(port)) as process:
        until = time.monotonic() + _START_S
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx2.get(f"{url}/healthz", timeout=2).raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.05)
        else:
            raise RuntimeError((rig.folder / "api.serve.log").read_text())
        yield url, process
