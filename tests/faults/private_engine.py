"""A Docker engine of a test's own: to be restarted and killed, far from everybody else's.

Its own data, sockets, process ids and containerd; no bridge and no rules of the firewall, so that
nothing of this machine changes with it. Needs root.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import psutil
import pytest
from docker.errors import DockerException

from lab.trial.waiting import wait_for

IMAGE = "gpulab-test/shell:latest"
_UP_S = 60
_PROGRAMS = ("/bin/sh", "/bin/sleep")


@dataclass
class PrivateEngine:
    """One engine, running or not."""

    folder: Path
    live_restore: bool
    process: subprocess.Popen[bytes] | None = None
    client: docker.APIClient = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"unix://{self.folder}/engine.sock"

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        words = [
            "dockerd", "--host", self.url, "--data-root", f"{self.folder}/data",
            "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/engine.pid",
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
            "--ip-masq=false", "--shutdown-timeout", "10",
        ]  # fmt: skip
        words += ["--live-restore"] if self.live_restore else []
        with (self.folder / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        wait_for("a private engine", self._answers, within_s=_UP_S)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-2000:]
        with suppress(DockerException, OSError):
            client = docker.APIClient(base_url=self.url, version="auto", timeout=20)
            client.ping()
            self.client = client
            return True
        return False

    @property
    def log(self) -> str:
        return (self.folder / "engine.log").read_text(errors="replace")

    def end(self, number: int) -> None:
        """End the engine by a signal, and its own containerd with it; containers may go on."""
        assert self.process is not None
        self.client.close()
        self.process.send_signal(number)
        self.process.wait(60)
        if number == signal.SIGKILL:
            # A new engine does not start over the other's files.
            (self.folder / "engine.pid").unlink(missing_ok=True)
            self._end_containerd()

    def _end_containerd(self) -> None:
        path = self.folder / "exec" / "containerd" / "containerd.pid"
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            one = psutil.Process(int(path.read_text()))
            if one.name() == "containerd" and str(self.folder) in " ".join(one.cmdline()):
                one.kill()
                one.wait(20)
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove everything: containers, programs, mounts, files."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        for one in self.client.containers(all=True):
            self.client.remove_container(one["Id"], v=True, force=True)
        self.end(signal.SIGTERM)
        self._end_containerd()
        for line in Path("/proc/mounts").read_text().splitlines():
            place = line.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(self.folder)


@contextmanager
def private_engine(*, live_restore: bool) -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("an engine of its own needs root and dockerd")
    # The path of a socket has at most 107 bytes.
    engine = PrivateEngine(Path(tempfile.mkdtemp(prefix="gpulab-private-")), live_restore)
    try:
        engine.start()
        engine.client.import_image_from_data(_shell(), repository=IMAGE.partition(":")[0],
                                             tag="latest")  # fmt: skip
        yield engine
    finally:
        engine.close()


def _shell() -> bytes:
    """Pack a shell and `sleep` of this machine, with what they load: a small image's files."""
    files = {Path(one) for one in _PROGRAMS}
    for program in _PROGRAMS:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        files |= {Path(one) for one in re.findall(r"(/\S+) \(0x", said)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for one in sorted(files):
            info = tar.gettarinfo(str(one.resolve()), arcname=str(one).lstrip("/"))
            with one.resolve().open("rb") as file:
                tar.addfile(info, file)
    return packed.getvalue()
