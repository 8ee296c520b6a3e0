"""Process sessions: what the keeper promises, and what its records lead to when things break."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from api.runtimes.process import ProcessRuntime
from api.runtimes.protocol import RuntimeUnavailable
from tests.runtimes.sessions import RUNS, WRAPPER, ProcessSessions, eventually


@pytest.fixture
def sessions(process_sessions: ProcessSessions) -> ProcessSessions:
    return process_sessions


def record(sessions: ProcessSessions, ref: str, name: str = "start.json") -> dict[str, object]:
    body: dict[str, object] = json.loads((sessions.folder / ref / name).read_text())
    return body


def rewrite(sessions: ProcessSessions, ref: str, **changed: object) -> None:
    path = sessions.folder / ref / "start.json"
    path.write_text(json.dumps({**record(sessions, ref), **changed}))


def keeper(sessions: ProcessSessions, ref: str) -> psutil.Process:
    pid = record(sessions, ref)["pid"]
    assert isinstance(pid, int)
    return psutil.Process(pid)


def printed_pid(sessions: ProcessSessions, ref: str) -> psutil.Process:
    """The process whose id the session printed."""
    eventually(lambda: sessions.output(ref).endswith("\n"))
    return psutil.Process(int(sessions.output(ref).split()[0]))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def fresh(sessions: ProcessSessions, **how: float) -> ProcessRuntime:
    """A worker that has just started, and remembers nothing."""
    return ProcessRuntime(sessions.folder, sessions.hub_id, **how)


# -- the keeper -------------------------------------------------------------------------------


def test_the_start_is_the_kernels_own(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    (one,) = sessions.runtime.observe()
    assert one.started_at is not None
    # psutil reckons from the boot time, which the kernel tells in whole seconds.
    assert abs(one.started_at.timestamp() - keeper(sessions, ref).create_time()) < 1.1


def test_the_session_is_no_child_of_whoever_started_it(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    one = keeper(sessions, ref)
    assert one.ppid() != os.getpid()
    assert os.getsid(one.pid) == one.pid
    assert os.getsid(one.children()[0].pid) == one.pid
    # The hub's pipes are let go: nothing waits for a hub that is gone.
    for process in (one, one.children()[0]):
        ends = [str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
        assert ends == ["/dev/null"] + [str(sessions.folder / ref / "session.log")] * 2


@pytest.mark.parametrize("how", ["setsid sleep 600 & echo $!", "(setsid sleep 600 & echo $!) &"])
def test_what_a_session_leaves_behind_ends_with_it(sessions: ProcessSessions, how: str) -> None:
    ref, _ = sessions.start(f"{how}\nwait\nsleep 0.5; exit 0")
    left = printed_pid(sessions, ref)
    assert not is_gone(left)
    sessions.runtime.stop(ref, 10)
    assert is_gone(left)


def test_a_keeper_killed_takes_its_whole_session_along(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start("setsid sleep 600 & echo $!; exec sleep 600")
    left = printed_pid(sessions, ref)
    one = keeper(sessions, ref)
    server = one.children()[0]
    one.kill()
    eventually(lambda: is_gone(server))
    assert not sessions.runtime.is_running(ref)
    # Not said to have ended at any instant: the books end it when it was last seen.
    assert sessions.runtime.observe() == []
    assert is_gone(left), "what was started with its mark is found and ended"


def test_a_vanished_session_is_told_as_an_event(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    sessions.runtime.wait_event(0)
    keeper(sessions, ref).kill()
    assert sessions.runtime.wait_event(10)


def test_records_of_a_vanished_session_stay_for_a_while(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    keeper(sessions, ref).kill()
    eventually(lambda: not sessions.runtime.is_running(ref))
    patient, hasty = fresh(sessions), fresh(sessions, keep_lost_s=0)
    assert patient.observe() == []
    assert (sessions.folder / ref / "start.json").exists()
    assert hasty.observe() == []
    assert not (sessions.folder / ref).exists()


def test_a_stopped_keeper_is_killed_at_last(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start("setsid sleep 600 & echo $!; exec sleep 600")
    left = printed_pid(sessions, ref)
    keeper(sessions, ref).suspend()
    sessions.runtime.kill(ref)
    assert not sessions.runtime.is_running(ref)
    assert is_gone(left)


def test_a_command_that_is_not_there_is_said_and_recorded(sessions: ProcessSessions) -> None:
    folder = sessions.folder / str(uuid4())
    folder.mkdir(parents=True)
    wanted = {"lease_id": folder.name, "hub_id": "test", "account": "ada", "server_name": "",
              "flavor": "cpu"}  # fmt: skip
    (folder / "wanted.json").write_text(json.dumps(wanted))
    command = [sys.executable, "-I", "-S", str(WRAPPER), str(folder), "/no/such/program"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == "/no/such/program: No such file or directory"
    eventually((folder / "end.json").exists)
    (one,) = sessions.runtime.observe()
    assert one.exit_code == 127


def test_signals_are_not_blocked_in_the_session(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start("grep SigBlk /proc/self/status; exec sleep 600")
    eventually(lambda: sessions.output(ref).endswith("\n"))
    assert sessions.output(ref).split() == ["SigBlk:", "0000000000000000"]


def test_p43_a_flood_of_output_does_not_fill_the_disk(sessions: ProcessSessions) -> None:
    # The keeper looks when a child of its own ends; the double fork gives it one.
    flood = "head -c 11000000 /dev/zero; (sleep 0.1 &); exec sleep 600"
    ref, _ = sessions.start(flood)
    log = sessions.folder / ref / "session.log"
    eventually(lambda: log.stat().st_size >= 10_000_000)
    eventually(lambda: log.stat().st_size < 1_000_000)


def test_p11_the_length_of_a_session_is_by_a_clock_that_nobody_sets(
    sessions: ProcessSessions,
) -> None:
    ref, _ = sessions.start("exec sleep 0.5")
    eventually(lambda: not sessions.runtime.is_running(ref))
    start, end = record(sessions, ref), record(sessions, ref, "end.json")
    assert isinstance(end["ended_at_ms"], int)
    assert isinstance(start["started_at_ms"], int)
    assert 490 <= end["ended_at_ms"] - start["started_at_ms"] < 5000


# -- broken records -----------------------------------------------------------------------------


def test_a_process_id_that_is_used_again_is_no_session(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    real = keeper(sessions, ref)
    start = record(sessions, ref)
    try:
        rewrite(sessions, ref, pid=os.getpid())
        runtime = fresh(sessions)
        assert not runtime.is_running(ref)
        runtime.stop(ref, 0)
        runtime.kill(ref)  # would end the tests if it went by the bare number
        assert runtime.observe() == []
    finally:
        rewrite(sessions, ref, pid=start["pid"])
    eventually(lambda: is_gone(real))


def test_after_a_reboot_nothing_runs(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    boot = record(sessions, ref)["boot_id"]
    rewrite(sessions, ref, boot_id=str(uuid4()))
    runtime = fresh(sessions)
    assert runtime.observe() == []
    assert not runtime.is_running(ref)
    assert keeper(sessions, ref).status() != psutil.STATUS_ZOMBIE
    rewrite(sessions, ref, boot_id=boot)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x"}', "\x00\xff", '{"lease_id": 3}']
)
def test_a_broken_start_hides_nobody_else(sessions: ProcessSessions, text: str) -> None:
    healthy, _ = sessions.start(RUNS)
    broken = sessions.folder / str(uuid4())
    broken.mkdir()
    (broken / "start.json").write_bytes(text.encode("latin-1"))
    assert [one.ref for one in sessions.runtime.observe()] == [healthy]
    with pytest.raises(RuntimeUnavailable):
        sessions.runtime.is_running(broken.name)
    with pytest.raises(RuntimeUnavailable):
        sessions.runtime.stop(broken.name, 1)


def test_a_broken_end_is_no_end(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    (sessions.folder / ref / "end.json").write_text('{"ended_at_ms": "soon"}')
    (one,) = sessions.runtime.observe()
    assert one.is_running
    assert sessions.runtime.is_running(ref)


def test_a_start_that_breaks_while_it_runs_is_still_known(sessions: ProcessSessions) -> None:
    ref, _ = sessions.start(RUNS)
    before = sessions.runtime.observe()
    start = (sessions.folder / ref / "start.json").read_text()
    (sessions.folder / ref / "start.json").write_text("")
    assert sessions.runtime.observe() == before
    (sessions.folder / ref / "start.json").write_text(start)


def test_what_the_spawner_has_only_begun_is_not_seen(sessions: ProcessSessions) -> None:
    begun = sessions.folder / str(uuid4())
    begun.mkdir(parents=True)
    (begun / "wanted.json").write_text("{}")
    (begun / "start.tmp").write_text('{"pid": ')
    assert sessions.runtime.observe() == []
    assert begun.exists()


def test_records_that_cannot_be_listed_lead_to_no_conclusion(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("a file where the folder should be")
    with pytest.raises(RuntimeUnavailable):
        ProcessRuntime(tmp_path / "sessions", "test").observe()


@pytest.mark.parametrize("ref", ["", ".", "..", "../homes", "a/b", ".hidden", "a\0b"])
def test_p41_a_ref_cannot_lead_out_of_the_folder(tmp_path: Path, ref: str) -> None:
    kept = tmp_path / "homes"
    kept.mkdir()
    (tmp_path / "sessions").mkdir()
    with pytest.raises(ValueError, match="no name of a session"):
        ProcessRuntime(tmp_path / "sessions", "test").remove(ref)
    assert kept.exists()


def test_p04_a_keeper_killed_at_any_moment_leaves_whole_records(
    sessions: ProcessSessions,
) -> None:
    for number in range(10):
        ref, _ = sessions.start("exec sleep 0.05")
        time.sleep(number * 0.01)
        start = record(sessions, ref)
        pid = start["pid"]
        assert isinstance(pid, int)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda ref=ref: not sessions.runtime.is_running(ref))  # type: ignore[misc]
    assert all(one.finished_at is not None for one in fresh(sessions).observe())
