"""A throw-away PostgreSQL for tests: Debian's binaries, a non-root user, a unix socket only."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def binaries() -> Path | None:
    """Find the newest server binaries, which Debian keeps out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def throwaway_postgres() -> Iterator[str]:
    """Start a cluster; yields the SQLAlchemy URL of its database, fsync on as in production."""
    bin_dir = binaries()
    if bin_dir is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL server here, and CI needs one: apt-get install postgresql")
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    # Not under tmp_path: another user must reach it, and a socket's path is at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="gpulab-pg-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    shutil.chown(home, user)

    def run(*words: str) -> None:
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        command = [*(prefix if os.geteuid() == 0 else []), *words]
        subprocess.run(command, check=True, capture_output=True, cwd=home)

    data = home / "data"
    try:
        run(f"{bin_dir}/initdb", "-D", str(data), "-U", "gpulab", "--auth=trust", "-E", "UTF8")
        options = f"-k {home} -c listen_addresses= -c max_connections=60"
        run(f"{bin_dir}/pg_ctl", "-D", str(data), "-o", options, "-l", f"{home}/log", "-w",
            "start")  # fmt: skip
        run(f"{bin_dir}/createdb", "-h", str(home), "-U", "gpulab", "books")
        yield f"postgresql+psycopg://gpulab@/books?host={home}"
    finally:
        if (data / "postmaster.pid").exists():
            run(f"{bin_dir}/pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)
