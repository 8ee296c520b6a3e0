"""A Docker engine of a test's own in a network of its own: bridges and rules are nobody else's."""

import http.client
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import docker
import psutil
import pytest

from lab.trial.waiting import wait_for
from tests.engine import Engine
from tests.gate.rig import ask

IMAGE = "gpulab-test/shell:latest"
_PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/dd", "/bin/cat")


class PrivateEngine:
    """One engine, running or not."""

    def __init__(self, folder: Path, namespace: str, *, live_restore: bool) -> None:
        self.folder, self.live_restore = folder, live_restore
        self.within = ("nsenter", f"--net=/run/netns/{namespace}")
        self.url = f"unix://{folder}/engine.sock"
        self.engine: Engine | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> docker.APIClient:
        assert self.engine is not None
        return self.engine.client

    def start(self) -> None:
        words = ["dockerd", "--host", self.url, "--data-root", f"{self.folder}/data",
                 "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/engine.pid",
                 "--shutdown-timeout", "10"]  # fmt: skip
        words += ["--live-restore"] if self.live_restore else []
        with (self.folder / "engine.log").open("ab") as log:
            self._process = subprocess.Popen([*self.within, *words], stdout=log, stderr=log,
                                             start_new_session=True)  # fmt: skip
        wait_for("a private engine", self._answers, within_s=60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "engine.log").read_text()[-2000:]
        # The client itself leaks connections that fail.
        with suppress(OSError, http.client.HTTPException):
            if ask(self.folder / "engine.sock", "GET", "/_ping").status == HTTPStatus.OK:
                client = docker.APIClient(base_url=self.url, version="auto", timeout=30)
                self.engine = Engine(client=client, hub_id=f"test-{uuid4().hex[:12]}")
                return True
        return False

    def end(self, number: int) -> None:
        assert self._process is not None
        self.client.close()
        self._process.send_signal(number)
        self._process.wait(60)
        (self.folder / "engine.pid").unlink(missing_ok=True)
        if number == signal.SIGKILL:
            self._end_containerd()

    def _end_containerd(self) -> None:
        path = self.folder / "exec" / "containerd" / "containerd.pid"
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            one = psutil.Process(int(path.read_text()))
            if str(self.folder) in " ".join(one.cmdline()):
                one.kill()
                one.wait(20)
        path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self.start()
        for one in self.client.containers(all=True):
            self.client.remove_container(one["Id"], v=True, force=True)
        self.end(signal.SIGTERM)
        self._end_containerd()


@contextmanager
def private_engine(
    *, with_quotas: bool = False, live_restore: bool = True
) -> Iterator[PrivateEngine]:
    """Run an engine; with quotas its data is on an XFS of its own.

    With live-restore containers outlive it, so that what they do meanwhile can be seen too.
    """
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("an engine of its own needs root and dockerd")
    if with_quotas and shutil.which("mkfs.xfs") is None:
        pytest.skip("a file system with quotas needs mkfs.xfs (apt-get install xfsprogs)")
    namespace = f"gltest-{uuid4().hex[:8]}"
    with ExitStack() as undo:
        # The path of a socket has at most 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="gpulab-own-"))
        undo.callback(shutil.rmtree, folder)
        _run("ip", "netns", "add", namespace)
        undo.callback(_run, "ip", "netns", "del", namespace)
        engine = PrivateEngine(folder, namespace, live_restore=live_restore)
        _run(*engine.within, "ip", "link", "set", "lo", "up")
        if with_quotas:
            _mount_xfs(folder)
        undo.callback(_unmount, folder)
        engine.start()
        undo.callback(engine.close)
        engine.client.import_image_from_data(_shell(), repository=IMAGE.partition(":")[0],
                                             tag="latest")  # fmt: skip
        yield engine


def _mount_xfs(folder: Path) -> None:
    (folder / "data").mkdir()
    _run("truncate", "-s", "4G", str(folder / "disk"))
    _run("mkfs.xfs", "-q", str(folder / "disk"))
    try:
        _run("mount", "-o", "loop,pquota", str(folder / "disk"), str(folder / "data"))
    except subprocess.CalledProcessError:
        pytest.skip("this kernel's XFS keeps no quotas")


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed(mounts):
        if place.startswith(f"{folder}/"):
            _run("umount", "-l", place)


def _shell() -> bytes:
    """Pack a shell and a few programs of this machine, with what they load."""
    files = {Path(one) for one in _PROGRAMS}
    for program in _PROGRAMS:
        files |= {Path(one) for one in re.findall(r"(/\S+) \(0x", _run("ldd", program))}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for one in sorted(files):
            info = tar.gettarinfo(str(one.resolve()), arcname=str(one).lstrip("/"))
            with one.resolve().open("rb") as file:
                tar.addfile(info, file)
        for name in ("home/scholar", "srv"):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid = tarfile.DIRTYPE, 0o755, 1000
            tar.addfile(info)
    return packed.getvalue()


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
