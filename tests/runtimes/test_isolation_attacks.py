"""P37, P43: a session that takes all it can hurts itself; hub and neighbours do not notice."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.cli_settings import CliSettings
from api.doctor.securing import look_at_securing
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from tests.containers import Containers, containers_of
from tests.engine import BASE_IMAGE, Engine, throwaway_engine, throwaway_network
from tests.runtimes.world import needs_root

# A busy machine takes minutes for four thousand processes.
pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(900)]

# Each takes what it is told and says how far it came and what stopped it; one that the kernel ends
# says nothing.
ATTACKS = {
    "processes": """
import errno, os, signal, sys
made, why = [], ""
while len(made) < int(sys.argv[1]) and not why:
    try:
        made.append(os.posix_spawn("/bin/sleep", ["sleep", "300"], {}))
    except OSError as error:
        why = errno.errorcode[error.errno]
print(len(made), why)
for child in made:
    os.kill(child, signal.SIGKILL)
""",
    "memory": """
import sys
parts = []
for _ in range(int(sys.argv[1])):
    parts.append(b"x" * 2**20)
print(len(parts), "")
""",
    "shared memory": """
import errno, sys
done, why = 0, ""
with open("/dev/shm/hog", "wb", buffering=0) as hog:
    while done < int(sys.argv[1]) and not why:
        try:
            done += hog.write(b"x" * 2**20) // 2**20
        except OSError as error:
            why = errno.errorcode[error.errno]
print(done, why)
""",
    "files": """
import errno, os, sys
done, why = 0, ""
os.mkdir("/tmp/many")
while done < int(sys.argv[1]) and not why:
    try:
        os.close(os.open(f"/tmp/many/{done}", os.O_CREAT | os.O_WRONLY))
        done += 1
    except OSError as error:
        why = errno.errorcode[error.errno]
print(done, why)
""",
}
# What is asked for, what a session of two GiB gets at most, and what says no.
BOUNDS = {
    "processes": (5000, 4096, "EAGAIN"),
    "memory": (4096, 2048, ""),
    "shared memory": (100 * 1024, 512, "ENOSPC"),
    "files": (1_000_000, 262_144, "ENOSPC"),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as one:
        yield one


@pytest.fixture(scope="module")
def lab(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    folder = tmp_path_factory.mktemp("attacks")
    data = folder / "data"
    data.mkdir()
    (data / "set.csv").write_text("1,2")
    for one in (data, *data.parents[:3]):
        one.chmod(0o755)
    fixed = 'images:\n  fixed: {title: Fixed, docker: "gpulab/base:latest", read_only: true}\n'
    text = lab_text().replace("images:\n", fixed).replace("ram_mib: 1024", "ram_mib: 2048")
    with RunningLab(folder, text=text, spawner="docker", hub_id=engine.hub_id,
                    environment={"GPULAB_DATASETS_DIR": str(data)}) as running:  # fmt: skip
        yield running


def attack(engine: Engine, container: str, name: str, amount: int) -> tuple[int, str]:
    """Run one attack in a container; return how far it came and what stopped it."""
    words = ["timeout", "-k", "5", "120", "python", "-c", ATTACKS[name], str(amount)]
    made = engine.client.exec_create(container, words)
    said = engine.client.exec_start(made["Id"]).decode().split()
    if not said:
        return 0, f"ended with {engine.client.exec_inspect(made['Id'])['ExitCode']}"
    return int(said[0]), " ".join(said[1:])


class Watch:
    """Asks again and again, meanwhile, and keeps how long each answer took."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self.took_s: list[float] = []
        self.failed = 0

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                began = time.monotonic()
                self.failed += not self._ask()
                self.took_s.append(time.monotonic() - began)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    @property
    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


def answers(client: httpx2.Client, url: str, **how: Any) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return client.get(url, **how).status_code == 200
        except httpx2.HTTPError:
            return False

    return ask


def test_p37_an_attack_hurts_the_attacker_alone(lab: RunningLab, engine: Engine) -> None:
    names = {}
    for person in ("ada", "blaise"):
        visitor = lab.logged_in(person)
        assert visitor.spawn("cpu").status_code in (201, 202)
        wait_for(f"{person}'s session", visitor.is_running, within_s=90)
        labels = [f"gpulab.hub={engine.hub_id}", f"gpulab.user={person}"]
        (one,) = engine.client.containers(filters={"label": labels})
        names[person] = one["Id"]
    before = engine.client.inspect_container(names["blaise"])["State"]
    at = f"http://127.0.0.1:{lab.port}"
    host = urlsplit(visitor.session_url).netloc
    client = httpx2.Client(timeout=10, trust_env=False)
    hub = Watch(answers(client, f"{at}/hub/health"))
    neighbour = Watch(answers(client, f"{at}/user/blaise/api", headers={"Host": host}))
    with client, hub.watching(), neighbour.watching():
        for name, (amount, most, stop) in BOUNDS.items():
            done, why = attack(engine, names["ada"], name, amount)
            print(f"{name}: {done} of {amount}, {why}; hub p99 {hub.p99_s:.3f} s, "
                  f"neighbour p99 {neighbour.p99_s:.3f} s")  # fmt: skip
            assert done <= most, name
            # Where its memory ends first, the kernel ends the attacker.
            assert why in (stop, "ended with 137"), (name, why)
    assert (hub.failed, neighbour.failed) == (0, 0)
    assert len(hub.took_s) > 50
    assert hub.p99_s < 1
    assert engine.client.inspect_container(names["blaise"])["State"] == before


_LOOKS_AROUND = """
import json, os, socket
def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
def reached(host, port):
    with socket.create_connection((host, int(port)), 3):
        return "open"
hub = os.environ["JUPYTERHUB_API_URL"].split("/")[2].split(":")
print(json.dumps([
    tried(lambda: open("/shared/datasets/set.csv").read()),
    tried(lambda: open("/shared/datasets/mine", "w")),
    tried(lambda: open("/srv/mine", "w")),
    tried(lambda: open("/home/scholar/mine", "w").write("well")),
    tried(lambda: reached(*hub)),
    tried(lambda: reached(hub[0], 22)),
]))
"""


def test_p40_a_whole_lab_holds_its_sessions_to_all_of_it(lab: RunningLab) -> None:
    needs_root()
    visitor = lab.logged_in("chen")
    assert visitor.spawn("cpu", image="fixed").status_code in (201, 202)
    wait_for("chen's session", visitor.is_running, within_s=90)
    # Silence and not a refusal: packets are dropped.
    assert json.loads(visitor.run_cell(_LOOKS_AROUND)) == [
        "1,2", "OSError", "OSError", 4, "open", "TimeoutError",
    ]  # fmt: skip
    visitor.stop()
    told = json.loads(lab.state.securing.read_text())
    assert told["guarded"]
    found = {one.level for one in look_at_securing(CliSettings(state_dir=lab.state.root))}
    assert "fail" not in found
    assert "until the lab starts again" in lab.output


@pytest.mark.parametrize("name", BOUNDS)
def test_p37_without_the_bounds_the_same_attack_goes_through(engine: Engine, name: str) -> None:
    _, most, _ = BOUNDS[name]
    host = engine.client.create_host_config(
        network_mode="none", shm_size="1g", tmpfs={"/tmp": "size=1g,mode=1777"}
    )
    made = engine.client.create_container(
        BASE_IMAGE, ["sleep", "300"], host_config=host, labels={"gpulab.hub": engine.hub_id}
    )["Id"]
    engine.client.start(made)
    try:
        amount = most + most // 10
        assert attack(engine, made, name, amount) == (amount, "")
    finally:
        engine.client.remove_container(made, v=True, force=True)


@pytest.fixture
def containers(engine: Engine) -> Iterator[Containers]:
    with throwaway_network(engine) as network, containers_of(engine, network) as some:
        yield some


def test_p43_a_flood_of_output_is_cut(containers: Containers) -> None:
    words = ["sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 120m; sleep 600"]
    spawner = containers.started(cmd=words, cpus=2.0)
    log = Path(containers.inspect(spawner)["LogPath"])
    if not log.is_relative_to("/") or not log.parent.exists():
        pytest.skip("the engine's files are not this user's to see")
    containers.inside(spawner, "sh", "-c", "while pgrep yes; do sleep 0.2; done")
    kept = sum(one.stat().st_size for one in log.parent.glob("*-json.log*"))
    assert kept < 31 * 2**20, json.dumps([one.name for one in log.parent.iterdir()])


def test_p43_scratch_ends_with_the_sessions_own_memory(containers: Containers) -> None:
    spawner, neighbour = containers.started(), containers.started("blaise")
    words = "dd if=/dev/zero of=/tmp/hog bs=1M count=2048; stat -c %s /tmp/hog"
    said = containers.inside(spawner, "sh", "-c", words)
    assert str(2048 * 2**20) not in said.split()
    assert containers.inside(neighbour, "sh", "-c", "echo 1 > /tmp/x; cat /tmp/x") == "1\n"
    assert containers.inspect(neighbour)["State"]["Running"]
