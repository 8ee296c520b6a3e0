"""What the socket gate adds: to one call of the engine, and to all calls of a session's start."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker

from benchmarks.common import Figure, median, percentile, report
from lab.engine import engine_socket
from lab.trial.waiting import wait_for

_TARGET = 1.05
_CALLS = 200
_ROUNDS = 40
_IMAGE = "gpulab/base:latest"


def main(arguments: Sequence[str]) -> int:
    """Ask in turn through the gate and past it."""
    parser = argparse.ArgumentParser(prog="benchmarks gate")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    hub_id = f"bench-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        straight = stack.enter_context(_client(f"unix://{engine_socket(os.environ)}"))
        network = stack.enter_context(_network(straight, hub_id))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpulab-gate-")))
        gate = stack.enter_context(_gate(folder, straight, hub_id, network))
        guarded = stack.enter_context(_client(f"unix://{gate}"))
        stack.callback(_clear, straight, hub_id)
        _single_calls(guarded, straight, hub_id, network)
        with_gate, without = [], []
        for number in range(rounds):
            both = [(guarded, with_gate), (straight, without)]
            # Whoever comes second starts beside the end of the first one's container.
            for client, samples in reversed(both) if number % 2 else both:
                samples.append(_start(client, straight, hub_id, network))
    added_ms = [1000 * (one - other) for one, other in zip(with_gate, without, strict=True)]
    print(f"a start, pair by pair: the gate adds {median(added_ms):.0f} ms "
          f"({percentile(added_ms, 0.1):.0f} to {percentile(added_ms, 0.9):.0f})")  # fmt: skip
    print(f"calls of a start: through the gate {_spread(with_gate)}, past it {_spread(without)}")
    value, limit = median(with_gate), median(without)
    ratio = value / limit
    return report(Figure(bench="gate", value=value, unit="s", limit=limit, ratio=ratio,
                         target=_TARGET, ok=ratio <= _TARGET))  # fmt: skip


def _single_calls(guarded: Any, straight: Any, hub_id: str, network: str) -> None:
    made = straight.create_container_from_config(*reversed(_wanted(hub_id, network)))["Id"]
    label = {"label": [f"gpulab.hub={hub_id}"]}
    calls: dict[str, Callable[[Any], object]] = {
        "ping": lambda client: client.ping(),
        "inspect": lambda client: client.inspect_container(made),
        "list": lambda client: client.containers(all=True, filters=label),
        "stop of what does not run": lambda client: client.stop(made),
    }
    for name, call in calls.items():
        pairs = [(_timed(call, guarded), _timed(call, straight)) for _ in range(_CALLS)]
        added_ms = [1000 * (one - other) for one, other in pairs]
        print(f"{name}: the gate adds {median(added_ms):.2f} ms (p5 "
              f"{percentile(added_ms, 0.05):.2f}, p95 {percentile(added_ms, 0.95):.2f}) to "
              f"{1000 * median([other for _, other in pairs]):.2f} ms")  # fmt: skip


def _start(client: Any, straight: Any, hub_id: str, network: str) -> float:
    """Make the calls that the spawner makes for one session; removing it is not timed."""
    name, body = _wanted(hub_id, network)

    def calls(client: Any) -> None:
        client.inspect_image(_IMAGE)
        made = client.create_container_from_config(body, name)["Id"]
        client.start(made)
        client.inspect_container(made)

    took_s = _timed(calls, client)
    straight.remove_container(name, force=True, v=True)
    return took_s


def _wanted(hub_id: str, network: str) -> tuple[str, dict[str, Any]]:
    lease = str(uuid4())
    labels = {"gpulab.lease": lease, "gpulab.hub": hub_id, "gpulab.user": "bench",
              "gpulab.server": "", "gpulab.flavor": "cpu"}  # fmt: skip
    host = {
        "Memory": 256 << 20, "MemorySwap": 256 << 20, "PidsLimit": 256, "CpuQuota": 100_000,
        "CpuPeriod": 100_000, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"],
        "NetworkMode": network, "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }  # fmt: skip
    return f"gpulab-{lease}", {
        "Image": _IMAGE, "Cmd": ["sleep", "600"], "Labels": labels, "HostConfig": host,
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
    }  # fmt: skip


@contextmanager
def _client(url: str) -> Iterator[Any]:
    client = docker.APIClient(base_url=url, version="auto", timeout=60)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _network(client: Any, hub_id: str) -> Iterator[str]:
    name = f"gpulab-{hub_id}"
    client.create_network(name, driver="bridge")
    try:
        yield name
    finally:
        client.remove_network(name)


@contextmanager
def _gate(folder: Path, client: Any, hub_id: str, network: str) -> Iterator[Path]:
    path = folder / "gate.sock"
    (folder / "gate.json").write_text(json.dumps({
        "hub_id": hub_id, "network": network, "most_memory_bytes": 1 << 40,
        "images": {_IMAGE: client.inspect_image(_IMAGE)["Id"]},
    }))  # fmt: skip
    told = {"GPULAB_GATE_POLICY": str(folder / "gate.json"), "GPULAB_GATE_SOCKET": str(path),
            "GPULAB_GATE_ENGINE": str(engine_socket(os.environ))}  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "gate"], env={**os.environ, **told},
                                   stdout=log, stderr=log)  # fmt: skip
    try:
        wait_for("the gate", path.exists, within_s=30)
        yield path
    finally:
        process.terminate()
        process.wait(10)


def _clear(client: Any, hub_id: str) -> None:
    for one in client.containers(all=True, filters={"label": [f"gpulab.hub={hub_id}"]}):
        client.remove_container(one["Id"], force=True, v=True)


def _timed(call: Callable[[Any], object], client: Any) -> float:
    began = time.perf_counter()
    call(client)
    return time.perf_counter() - began


def _spread(samples: Sequence[float]) -> str:
    return f"{median(samples):.3f} s ({min(samples):.3f}-{max(samples):.3f})"
