"""P40 and P43 where they need an engine of their own: restarts, and storage that keeps quotas."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from hub.spawners import LabDockerSpawner
from lab.securing import _can_bound_volumes
from tests.containers import Containers, containers_of
from tests.private_engine import IMAGE, PrivateEngine, private_engine
from tests.runtimes.world import listening

pytestmark = [pytest.mark.docker, pytest.mark.long]

NETWORK, PORT = "gltest", "18099"


def firewall(engine: PrivateEngine, what: str) -> int:
    told = {"DOCKER_HOST": engine.url, "GPULAB_DOCKER_NETWORK": NETWORK,
            "GPULAB_HUB_PORT": "18081"}  # fmt: skip
    words = [*engine.within, sys.executable, "-m", "lab.firewall", what]
    return subprocess.run(words, check=False, env={**os.environ, **told}).returncode


def reaches(engine: PrivateEngine, container: str, address: str) -> bool:
    """Ask from within a container's network, by a program of this machine."""
    pid = str(engine.client.inspect_container(container)["State"]["Pid"])
    words = f"import socket; socket.create_connection(({address!r}, {PORT}), 1)"
    done = subprocess.run(["nsenter", "-t", pid, "-n", sys.executable, "-c", words], check=False,
                          stderr=subprocess.DEVNULL)  # fmt: skip
    return done.returncode == 0


def test_p40_the_rules_outlive_the_engine() -> None:
    with private_engine() as engine:
        options = {"com.docker.network.bridge.enable_icc": "false"}
        engine.client.create_network(NETWORK, driver="bridge", options=options)
        gateway = engine.client.inspect_network(NETWORK)["IPAM"]["Config"][0]["Gateway"]
        made = engine.client.create_container(
            IMAGE, ["/bin/sleep", "600"],
            host_config=engine.client.create_host_config(network_mode=NETWORK),
        )["Id"]  # fmt: skip
        engine.client.start(made)
        with listening(f"{gateway}:{PORT}", within=engine.within):
            assert reaches(engine, made, gateway)
            assert firewall(engine, "check") == 1
            assert firewall(engine, "apply") == 0
            assert not reaches(engine, made, gateway)
            for number in (signal.SIGTERM, signal.SIGKILL):
                engine.end(number)
                engine.start()
                assert firewall(engine, "check") == 0
                assert not reaches(engine, made, gateway)
            assert firewall(engine, "remove") == 0
            assert reaches(engine, made, gateway)


@pytest.fixture
def roomy() -> Iterator[Containers]:
    with private_engine(with_quotas=True) as private:
        private.client.create_network(NETWORK, driver="bridge")
        assert private.engine is not None
        LabDockerSpawner._client = docker.APIClient(base_url=private.url, version="auto")
        LabDockerSpawner._keeps_quotas = False
        try:
            with containers_of(private.engine, NETWORK) as some:
                some.traits |= {"docker_image": IMAGE, "ram_mib": 2048, "cpus": 2.0}
                yield some
        finally:
            LabDockerSpawner._keeps_quotas = False


def written_mib(containers: Containers, spawner: Any, place: str) -> int:
    """Let a session write two GiB into a place, and return how much of it is there."""
    user = "" if place.startswith("/home") else "0"
    words = ["/bin/dd", "if=/dev/zero", f"of={place}/hog", "bs=1048576", "count=2048"]
    made = containers.engine.client.exec_create(spawner.object_name, words, user=user)
    said = containers.engine.client.exec_start(made["Id"]).decode()
    done = int(said.split(" bytes")[0].rsplit("\n", 1)[-1]) // 2**20
    assert (done == 2048) != ("No space left" in said or "quota exceeded" in said), said
    return done


def test_p43_a_home_and_a_layer_have_an_end_where_the_storage_keeps_quotas(
    roomy: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.docker_box.LAYER_SIZE", "256m")
    ada = roomy.started(home_gib=1)
    assert 1000 <= written_mib(roomy, ada, "/home/scholar") <= 1024
    blaise = roomy.started("blaise", home_gib=1)
    assert roomy.inside(
        blaise, "/bin/sh", "-c", "echo well > /home/scholar/x; cat /home/scholar/x"
    )
    assert 200 <= written_mib(roomy, blaise, "/srv") <= 256
    # Without the setting nothing ends it but the disk.
    chen = roomy.started("chen", home_gib=0)
    assert written_mib(roomy, chen, "/home/scholar") > 1024


def test_p43_what_the_storage_can_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for with_quotas in (True, False):
        with private_engine(with_quotas=with_quotas) as engine:
            monkeypatch.setenv("DOCKER_HOST", engine.url)
            assert _can_bound_volumes() is with_quotas
            assert not engine.client.volumes()["Volumes"]
