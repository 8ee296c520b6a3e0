"""Real processes of the service for tests: started on a free port, ended by their own pid."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from lab.trial.waiting import free_ports
from tests.api.desk import ADMISSION_SECRET, secrets_in

ROOT = Path(__file__).parents[2]
HEADERS = {"Authorization": f"token {ADMISSION_SECRET}"}


def lab_environment(url: str, folder: Path, lab_yaml: str, **more: str) -> dict[str, str]:
    """The variables of a lab in a folder, without those of whoever runs the tests."""
    lab_file = folder / "lab.yaml"
    lab_file.write_text(lab_yaml)
    secrets = secrets_in(folder / "secrets", admission_token=ADMISSION_SECRET,
                         service_token="service-secret")  # fmt: skip
    own = {name: value for name, value in os.environ.items() if not name.startswith("GPULAB_")}
    return own | {
        "GPULAB_DATABASE_URL": url, "GPULAB_LAB_FILE": str(lab_file),
        "GPULAB_SECRETS_DIR": str(secrets), "GPULAB_STATE_DIR": str(folder),
        "GPULAB_SPAWNER": "process", "PYTHONWARNINGS": "error", **more,
    }  # fmt: skip


def free_port() -> int:
    (port,) = free_ports(1)
    return port


@dataclass
class ServiceProcess:
    """One running service."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    session_url: str


def wait_until_up(url: str, process: subprocess.Popen[bytes], *, within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        assert process.poll() is None, "the service ended at its start"
        try:
            if httpx2.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"the service was not up within {within_s} s")


@contextmanager
def service_process(environment: dict[str, str]) -> Iterator[ServiceProcess]:
    port, sessions = free_ports(2)
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.serve"], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
            env=environment | {"GPULAB_SERVICE_PORT": str(port),
                               "GPULAB_SESSION_LISTENER_PORT": str(sessions)},
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(url, process)
            yield ServiceProcess(url=url, process=process, log=Path(log.name),
                                 session_url=f"http://127.0.0.1:{sessions}")  # fmt: skip
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            process.wait(timeout=30)


@contextmanager
def service_processes(environment: dict[str, str], count: int) -> Iterator[list[ServiceProcess]]:
    with ExitStack() as stack:
        yield [stack.enter_context(service_process(environment)) for _ in range(count)]
