"""The state folder, its lock, secrets and passwords, ports, leftovers."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lab import checks
from lab.checks import check_ports, find_node
from lab.errors import CannotStart
from lab.leftovers import end_leftovers, leftovers
from lab.passwords import check_password
from lab.secret_files import demo_passwords, make_secrets
from lab.state import State, prepare, sole_launcher
from lab.supervised import socket_path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_folder_is_private_whatever_it_was(tmp_path: Path) -> None:
    root = tmp_path / "a" / "state"
    root.mkdir(parents=True, mode=0o755)
    state = prepare(root)
    assert [mode_of(one) for one in (state.root, state.secrets, state.logs)] == [0o700] * 3
    assert prepare(root) == state


def test_unusable_state_folder_is_one_sentence(tmp_path: Path) -> None:
    # A file in its way, which stops root too.
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="--state-dir") as refused:
        prepare(tmp_path / "file" / "state")
    assert "\n" not in str(refused.value)


def test_second_launcher_is_refused_and_the_lock_goes_with_the_first(tmp_path: Path) -> None:
    state = prepare(tmp_path)
    with sole_launcher(state):
        second = sole_launcher(state)
        with pytest.raises(CannotStart, match=f"process {os.getpid()}"):
            second.__enter__()
    with sole_launcher(state):
        pass


def test_p46_secrets_are_kept_private_and_differ_between_labs(tmp_path: Path) -> None:
    one, other = prepare(tmp_path / "one"), prepare(tmp_path / "other")
    make_secrets(one.secrets)
    make_secrets(other.secrets)
    first = {path.name: path.read_text() for path in one.secrets.iterdir()}
    assert first.keys() == {
        "admission_token", "service_token", "culler_token", "proxy_token", "cookie_secret",
        "crypt_key",
    }  # fmt: skip
    assert {mode_of(path) for path in one.secrets.iterdir()} == {0o600}
    assert not {path.read_text() for path in other.secrets.iterdir()} & set(first.values())
    assert all(len(bytes.fromhex(word)) == 32 for word in first.values())
    make_secrets(one.secrets)
    assert {path.name: path.read_text() for path in one.secrets.iterdir()} == first


def test_empty_secret_is_made_anew(tmp_path: Path) -> None:
    state = prepare(tmp_path)
    (state.secrets / "proxy_token").touch(mode=0o644)
    make_secrets(state.secrets)
    assert len((state.secrets / "proxy_token").read_text().strip()) == 64
    assert mode_of(state.secrets / "proxy_token") == 0o600


def hashes_in(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "passwords.json").read_text())
    return found


def test_passwords_are_kept_and_those_of_new_people_added(tmp_path: Path) -> None:
    first = demo_passwords(tmp_path, ["ada", "olga"])
    hashes = hashes_in(tmp_path)
    assert demo_passwords(tmp_path, ["ada", "olga"]) == first
    assert hashes_in(tmp_path) == hashes
    later = demo_passwords(tmp_path, ["olga", "chen"])
    assert later["olga"] == first["olga"]
    assert hashes_in(tmp_path).keys() == {"olga", "chen"}
    for name in later:
        assert check_password(later[name], hashes_in(tmp_path)[name])
    assert {mode_of(path) for path in tmp_path.iterdir()} == {0o600}
    assert later["olga"] not in (tmp_path / "passwords.json").read_text()


def test_password_chosen_by_hand_is_taken(tmp_path: Path) -> None:
    demo_passwords(tmp_path, ["ada"])
    file = tmp_path / "demo-passwords.txt"
    file.write_text("ada my-own-word\n")
    newer_ns = (tmp_path / "passwords.json").stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(newer_ns, newer_ns))
    assert demo_passwords(tmp_path, ["ada"]) == {"ada": "my-own-word"}
    assert check_password("my-own-word", hashes_in(tmp_path)["ada"])


@pytest.mark.parametrize("name", ["demo-passwords.txt", "passwords.json"])
def test_broken_password_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    demo_passwords(tmp_path, ["ada"])
    (tmp_path / name).write_text("{ three words here")
    with pytest.raises(CannotStart, match=name):
        demo_passwords(tmp_path, ["ada"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_port_in_use_is_named_with_its_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port} .*in use.*GPULAB_HUB_PORT"):
            check_ports({
                "GPULAB_PORT": ("127.0.0.1", free_port()),
                "GPULAB_HUB_PORT": ("127.0.0.1", port),
            })  # fmt: skip


def test_same_port_twice_and_foreign_address_are_refused() -> None:
    port = free_port()
    check_ports({"GPULAB_PORT": ("127.0.0.1", port)})
    with pytest.raises(CannotStart, match="twice"):
        check_ports({
            "GPULAB_PORT": ("127.0.0.1", port), "GPULAB_HUB_PORT": ("127.0.0.1", port),
        })  # fmt: skip
    with pytest.raises(CannotStart, match="not an address of this machine"):
        check_ports({"GPULAB_PORT": ("192.0.2.1", port)})


def test_node_that_is_too_old_or_broken_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, taken in (("v18.19.0", False), ("oops", False), ("v22.1.0", True)):
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
        monkeypatch.setattr("lab.checks.shutil.which", lambda _name: str(tmp_path / "node"))
        monkeypatch.setattr(checks, "venv_bin", lambda: tmp_path / "nowhere")
        assert (find_node() is not None) is taken


def test_supervisor_listens_where_a_long_folder_does_not_fit(tmp_path: Path) -> None:
    short, long = State(Path("/srv/lab")), State(Path("/srv") / ("x" * 120))
    assert socket_path(short) == Path("/srv/lab/supervisor.sock")
    elsewhere = socket_path(long)
    assert len(str(elsewhere)) < 95
    assert mode_of(elsewhere.parent) == 0o700
    assert socket_path(long) == elsewhere


def sleeping(**told: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                            env={"PATH": os.environ["PATH"], **told})  # fmt: skip


def test_programs_of_a_killed_lab_are_ended_and_nothing_else(tmp_path: Path) -> None:
    mine, foreign = str(tmp_path / "mine"), str(tmp_path / "other")
    started = {
        "program": sleeping(GPULAB_STATE_DIR=mine, GPULAB_PROGRAM="hub"),
        "session": sleeping(GPULAB_STATE_DIR=mine),
        "other lab": sleeping(GPULAB_STATE_DIR=foreign, GPULAB_PROGRAM="hub"),
    }
    try:
        assert [one.pid for one in leftovers(Path(mine))] == [started["program"].pid]
        assert end_leftovers(Path(mine), patience_s=5) == 1
        running = {name for name, one in started.items() if one.poll() is None}
        assert running == {"session", "other lab"}
        assert end_leftovers(Path(mine)) == 0
    finally:
        for one in started.values():
            one.kill()
            one.wait()


def test_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    ignores = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    told = {"GPULAB_STATE_DIR": str(tmp_path), "GPULAB_PROGRAM": "hub"}
    stubborn = subprocess.Popen([sys.executable, "-c", f"{ignores}; time.sleep(60)"],
                                env={"PATH": os.environ["PATH"], **told},
                                stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        assert end_leftovers(tmp_path, patience_s=0.5) == 1
        assert not psutil.pid_exists(stubborn.pid)
    finally:
        if psutil.pid_exists(stubborn.pid):
            stubborn.kill()
        stubborn.communicate()
