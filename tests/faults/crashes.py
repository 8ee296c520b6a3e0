"""Processes that may die at any instant, and the databases that outlive them."""

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from quota.store.engine import open_engine
from quota.store.migrate import upgrade
from tests.postgres import binaries

_LIVES_S = 120


def in_a_process(work: Callable[[], object], log: Path) -> int:
    """Do something in a process of its own; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LIVES_S)
            work()
            status = 0
        except BaseException:  # noqa: BLE001  # nothing may get back into the tests' process
            log.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@contextmanager
def sqlite_copies(folder: Path) -> Iterator[Callable[[], str]]:
    """Yield a function that makes one more empty books and tells its URL."""
    template = folder / "template.sqlite"
    migrate(f"sqlite:///{template}")
    number = 0

    def make() -> str:
        nonlocal number
        number += 1
        path = folder / f"books-{number}.sqlite"
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    yield make


@contextmanager
def postgres_copies(url: str, prefix: str) -> Iterator[Callable[[], str]]:
    """Yield a function that makes one more empty books in a running cluster."""
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    names: list[str] = []

    def run(statement: str) -> None:
        with admin.connect() as connection:
            connection.execute(text(statement))

    def at(name: str) -> str:
        return url.replace("/books?", f"/{name}?")

    def make() -> str:
        names.append(f"{prefix}_{len(names)}")
        run(f"CREATE DATABASE {names[-1]} TEMPLATE {prefix}_template")
        return at(names[-1])

    run(f"CREATE DATABASE {prefix}_template")
    migrate(at(f"{prefix}_template"))
    try:
        yield make
    finally:
        for name in (*names, f"{prefix}_template"):
            run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.dispose()


def migrate(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()


def postmaster_of(url: str) -> int:
    """Return the pid of a throw-away cluster's first process."""
    return int((_data_of(url) / "postmaster.pid").read_text().split()[0])


def start_again(url: str) -> None:
    """Start a throw-away cluster again that was killed; it recovers from its own log."""
    found, data = binaries(), _data_of(url)
    assert found is not None
    owner = data.stat().st_uid
    prefix = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"]
    options = f"-k {data.parent} -c listen_addresses= -c max_connections=60"
    words = [f"{found}/pg_ctl", "-D", str(data), "-o", options, "-l", f"{data.parent}/log", "-w",
             "start"]  # fmt: skip
    command = [*(prefix if os.geteuid() == 0 else []), *words]

    def starts() -> bool:
        # It refuses as long as a backend of the killed one still has the shared memory.
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd=data.parent)  # fmt: skip
        return done.returncode == 0

    wait_until("the database starts again", starts, within_s=60)


def start_if_gone(url: str) -> None:
    """Do what whoever looks after PostgreSQL does: it gives up when it cannot write its log."""
    pid_file = _data_of(url) / "postmaster.pid"
    if not pid_file.exists() or not Path(f"/proc/{postmaster_of(url)}").exists():
        start_again(url)


def wait_until(what: str, is_so: Callable[[], bool], *, within_s: float = 20) -> float:
    """Wait for something that must come true; return how long it took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def hanging(url: str) -> Iterator[None]:
    """Let a database answer nobody: a file is locked, a server is stopped with all it has."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            yield
            holder.execute("ROLLBACK")
        return
    main = postmaster_of(url)
    children = Path(f"/proc/{main}/task/{main}/children").read_text()
    pids = [main, *map(int, children.split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def small_disk(size_mib: int) -> Iterator[Path]:
    """Mount a memory disk of a size, where this user may."""
    folder = Path(tempfile.mkdtemp(prefix="gpulab-disk-"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)]
    try:
        if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
            pytest.skip("a disk that is full has to be mounted, and this user may not")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()


def _data_of(url: str) -> Path:
    return Path(url.partition("host=")[2]) / "data"
