"""The launcher as people meet it: what stops a start, and a whole life of a lab."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from lab.leftovers import leftovers
from lab.settings import PROJECT
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for


def launch(lab: RunningLab, *flags: str, **environment: str) -> tuple[int, str]:
    """Run a launcher that is expected to end by itself; return exit status and words."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *lab.flags(), *flags], cwd=PROJECT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout


def unknown_key(lab: RunningLab) -> None:
    lab.lab_file.write_text(lab_text().replace("time_zone:", "timezone:"))


def wrong_zone(lab: RunningLab) -> None:
    lab.lab_file.write_text(lab_text().replace("America/New_York", "America/New_Yorck"))


def no_lab_file(lab: RunningLab) -> None:
    lab.lab_file.unlink()


def file_in_the_way(lab: RunningLab) -> None:
    lab.state.root.write_text("not a folder")


def broken_books(lab: RunningLab) -> None:
    lab.state.root.mkdir()
    (lab.state.root / "books.sqlite").write_text("these are no books" * 100)


@pytest.mark.parametrize(
    ("damage", "flags", "says"),
    [
        (unknown_key, (), ["lab.yaml:7", "'timezone' is not known", "time_zone"]),
        (wrong_zone, (), ["lab.yaml:7", "America/New_Yorck", "America/New_York"]),
        (no_lab_file, (), ["lab.yaml", "cannot be read"]),
        (file_in_the_way, (), ["state folder", "--state-dir"]),
        (broken_books, (), ["books"]),
        (None, ("--port=80000",), ["GPULAB_PORT", "65535"]),
        (None, ("--public-host=lab",), ["GPULAB_PUBLIC_HOST", "http://lab.localhost"]),
        (None, ("--hub-config=site.py",), ["GPULAB_HUB_CONFIG names no file", "site.py"]),
        (None, ("--spawner=docker",), ["no Docker engine answers", "--spawner process"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_plainly_and_nothing_starts(
    tmp_path: Path,
    damage: Callable[[RunningLab], None] | None,
    flags: tuple[str, ...],
    says: list[str],
) -> None:
    lab = RunningLab(tmp_path)
    if damage is not None:
        damage(lab)
    status, words = launch(lab, *flags, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    lab.close()
    assert status == 1, words
    assert [part for part in says if part not in words] == [], words
    assert "Traceback" not in words
    assert words.startswith("gpulab: ")
    assert leftovers(lab.state.root) == []


def test_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    lab = RunningLab(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", lab.hub_port))
        taken.listen()
        status, words = launch(lab)
    lab.close()
    assert status == 1
    assert words == (
        f"gpulab: port {lab.hub_port} on 127.0.0.1 is in use by another program; choose another "
        "with GPULAB_HUB_PORT\n"
    )


@pytest.mark.slow
def test_a_lab_lives_dies_and_lives_again(tmp_path: Path) -> None:
    with RunningLab(tmp_path) as lab:
        passwords = lab.passwords()
        for part in (lab.address, "olga", passwords["olga"], "as asked for", "not isolated",
                     "Virtual GPU", "Ctrl-C"):  # fmt: skip
            assert part in lab.output
        _only_loopback_listens(lab)
        status, words = launch(lab)
        assert status == 1
        assert f"already runs from {lab.state.root}" in words

        visitor = lab.logged_in("ada")
        visitor.start("quarter-gpu")
        (session,) = lab.sessions()

        _killed_launcher_leaves_a_lab_that_starts_again(lab)
        assert [one.ref for one in lab.sessions()] == [session.ref], "the session went on"
        assert lab.passwords() == passwords
        assert lab.logged_in("ada").run_cell("print(6 * 7)") == "42\n"

        assert lab.stop() == 0
        assert "1 session ended" in lab.output
        assert lab.output.endswith("The lab has stopped.\n")
        assert lab.runtime().observe() == [], "ended, charged and removed"
        assert leftovers(lab.state.root) == []
        with pytest.raises(httpx2.ConnectError):
            lab.service("GET", "/healthz")


def _only_loopback_listens(lab: RunningLab) -> None:
    listening = subprocess.run(["ss", "-tlnH"], capture_output=True, text=True, check=True).stdout
    ours = (lab.port, lab.hub_port, lab.proxy_api_port, lab.service_port,
            lab.session_listener_port)  # fmt: skip
    addresses = [line.split()[3] for line in listening.splitlines()]
    found = {at for at in addresses if int(at.rsplit(":", 1)[1]) in ours}
    assert found == {f"127.0.0.1:{port}" for port in ours}


def _killed_launcher_leaves_a_lab_that_starts_again(lab: RunningLab) -> None:
    assert lab.launcher is not None
    pids = [one.pid for one in leftovers(lab.state.root)]
    assert len(pids) == 7, "supervisor, proxy, service, hub, culler, worker, watchdog"
    # Not even the supervisor gets to clean up: the worst that can happen.
    os.kill(lab.launcher.pid, signal.SIGKILL)
    for program in leftovers(lab.state.root):
        if program.environ().get("GPULAB_PROGRAM") == "supervisor":
            program.kill()
    lab.launcher.wait()
    lab.start()
    assert "Cleaned up after a lab that was killed" in lab.output
    assert not set(pids) & {one.pid for one in leftovers(lab.state.root)}


@pytest.mark.slow
def test_supervisor_starts_again_what_is_killed(tmp_path: Path) -> None:
    with RunningLab(tmp_path) as lab:
        for program in ("proxy", "service", "worker", "watchdog", "hub"):
            assert lab.kill(program) > 0
        visitor = lab.visitor("blaise")
        wait_for(
            "a lab that lets people in", lambda: _can_log_in(visitor.log_in), within_s=60,
            every_s=1,
        )  # fmt: skip
        (supervisor,) = [
            one for one in leftovers(lab.state.root)
            if one.environ().get("GPULAB_PROGRAM") == "supervisor"
        ]  # fmt: skip
        before = lab.pid_of("hub")
        supervisor.kill()
        wait_for("another hub", lambda: _pid_of_hub(lab) not in (0, before), within_s=60)
        assert "The supervisor was killed" in lab.output


def _can_log_in(log_in: Callable[[], httpx2.Response]) -> bool:
    try:
        return log_in().status_code == 200
    except (httpx2.HTTPError, AssertionError):
        return False


def _pid_of_hub(lab: RunningLab) -> int:
    try:
        return lab.pid_of("hub")
    except OSError:
        return 0
