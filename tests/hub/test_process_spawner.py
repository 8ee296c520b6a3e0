"""Sessions as real processes of this machine."""

import asyncio
import contextlib
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from api.runtimes.process import ProcessRuntime
from hub.refusals import Refused
from hub.spawners import ProcessSpawner
from tests.containers import SLEEPS
from tests.hub.spawning import Spawning, hub_of
from tests.runtimes.sessions import eventually


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Spawning]:
    with hub_of(ProcessSpawner) as hub:
        yield hub
    runtime = ProcessRuntime(tmp_path / "sessions", "main")
    for one in runtime.observe():
        runtime.kill(one.ref)


def test_a_process_session_starts_runs_and_stops(processes: Spawning, tmp_path: Path) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, flavor_name="quarter-gpu")

    async def live() -> None:
        assert await spawner.poll() == 0
        ip, port = await spawner.start()
        assert (ip, port > 0) == ("127.0.0.1", True)
        assert await spawner.poll() is None
        (one,) = ProcessRuntime(tmp_path / "sessions", "main").observe()
        assert one.lease_id == UUID(spawner.lease_id)
        assert (one.account, one.flavor, one.server_name) == ("ada", "quarter-gpu", "")
        await spawner.stop()
        assert await spawner.poll() == 143
        await spawner.stop()

    asyncio.run(live())


@pytest.mark.parametrize("saved", ["after the start", "before the start"])
def test_p23_a_restarted_hub_finds_the_session(
    processes: Spawning, tmp_path: Path, saved: str
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)

    async def live() -> None:
        early = spawner.get_state()
        _, port = await spawner.start()
        state = spawner.get_state() if saved == "after the start" else early
        again = processes.restarted(spawner, state, state_dir=str(tmp_path))
        processes.serve_at(again, "", 0)
        assert await again.poll() is None
        assert await again.get_url() == f"http://127.0.0.1:{port}/user/ada/"
        assert again.lease_id == spawner.lease_id
        await again.stop()
        assert await spawner.poll() == 143

    asyncio.run(live())


def test_p46_a_session_gets_no_secret_of_the_hub(
    processes: Spawning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPULAB_SECRETS_DIR", "canary")
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "canary")
    spawner = processes.spawner(
        state_dir=str(tmp_path), cmd=["sh", "-c", "env; pwd; echo done; exec sleep 600"]
    )
    asyncio.run(spawner.start())
    log = spawner.folder / "session.log"
    eventually(lambda: log.read_text().endswith("done\n"))
    assert "canary" not in log.read_text()
    assert f"JUPYTERHUB_ROOT_DIR={tmp_path}/homes/ada\n" in log.read_text()
    assert log.read_text().splitlines()[-2] == f"{tmp_path}/homes/ada"
    for private in (log, tmp_path / "homes" / "ada", spawner.folder):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0
    asyncio.run(spawner.stop(now=True))


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, "1"), (1.0, "1"), (6.5, "6")])
def test_a_session_starts_no_more_threads_than_it_has_cores(
    processes: Spawning, tmp_path: Path, cpus: float, threads: str
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, cpus=cpus)
    assert spawner.get_env()["OMP_NUM_THREADS"] == threads


def test_a_session_that_ignores_sigterm_is_made_to_end(
    processes: Spawning, tmp_path: Path
) -> None:
    script = "trap '' TERM; echo ready; while true; do sleep 600; done"
    spawner = processes.spawner(
        state_dir=str(tmp_path), cmd=["sh", "-c", script], stop_grace_s=0.2
    )

    async def live() -> None:
        await spawner.start()
        while not (spawner.folder / "session.log").read_text():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
        await spawner.stop()
        assert await spawner.poll() == 137

    asyncio.run(live())


def test_a_cancelled_start_leaves_nothing_running(processes: Spawning, tmp_path: Path) -> None:
    async def live(after_s: float) -> None:
        spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)
        starting = asyncio.create_task(spawner.start())
        await asyncio.sleep(after_s)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
            await spawner.stop(now=True)

    for after_s in (0.0, 0.01, 0.03, 0.05):
        asyncio.run(live(after_s))
    runtime = ProcessRuntime(tmp_path / "sessions", "main")
    eventually(lambda: not any(one.is_running for one in runtime.observe()))


def test_a_start_that_fails_is_refused_in_plain_words(processes: Spawning, tmp_path: Path) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=["/no/such/program"])
    with pytest.raises(Refused, match="could not start on this machine: /no/such/program: No"):
        asyncio.run(spawner.start())
    again = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, lease_id=spawner.lease_id)
    with pytest.raises(Refused, match="could not start"):
        asyncio.run(again.start())


@pytest.mark.parametrize("lease_id", ["../../etc", "a/b", "x"])
def test_p41_only_a_uuid_becomes_a_name(
    processes: Spawning, tmp_path: Path, lease_id: str
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS, lease_id=lease_id)
    with pytest.raises(ValueError, match="UUID"):
        asyncio.run(spawner.start())
    assert list(tmp_path.iterdir()) == []


def test_p20_a_record_that_cannot_be_read_ends_nothing(
    processes: Spawning, tmp_path: Path
) -> None:
    spawner = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)

    async def live() -> None:
        await spawner.start()
        assert await spawner.poll() is None
        record = spawner.folder / "start.json"
        text = record.read_text()
        record.write_text(text[:10])
        assert await spawner.poll() is None
        record.write_text(text)
        await spawner.stop(now=True)

    asyncio.run(live())


def test_a_session_of_an_emergency_says_where_it_is_and_until_when(
    processes: Spawning, tmp_path: Path
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    plain = processes.spawner(state_dir=str(tmp_path), cmd=SLEEPS)
    spawner = processes.spawner("blaise", state_dir=str(tmp_path), cmd=SLEEPS, gpu_uuid="GPU-1",
                                emergency_until=until.isoformat())  # fmt: skip

    async def live() -> None:
        lease_id, runtime = spawner.lease_id, ProcessRuntime(tmp_path / "sessions", "main")
        assert await spawner.trace(lease_id, "") == "nowhere"
        await asyncio.gather(plain.start(), spawner.start())
        waits = processes.spawner("chen", state_dir=str(tmp_path))
        assert await waits.trace(lease_id, "") == "running", "one that has no session itself"
        (one,) = runtime.started_without_books()
        assert (one.account, one.gpu_uuid, one.emergency_until) == ("blaise", "GPU-1", until)
        await asyncio.gather(plain.stop(), spawner.stop())
        assert await plain.trace("any", lease_id) == "ended"
        assert runtime.started_without_books() == []

    asyncio.run(live())
