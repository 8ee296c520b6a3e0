"""The worker's look at what it runs on: versions with known holes are an alarm and a metric."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import structlog

from api.doctor.floors import Part, holed
from api.doctor.parts import engine_parts, installed_parts
from api.worker_metrics import WorkerMetrics

log = structlog.get_logger()

_EVERY_S = 3600.0
# The worker's own start comes first.
_FIRST_S = 10.0


@contextmanager
def watched_parts(
    metrics: WorkerMetrics, spawner: Literal["process", "docker"], *, first_s: float = _FIRST_S
) -> Iterator[None]:
    """Look soon, and then every hour, while the block runs."""

    def look() -> None:
        note_parts([*installed_parts(), *_engine_parts(spawner)], metrics)

    with every_hour(look, first_s=first_s):
        yield


@contextmanager
def every_hour(look: Callable[[], None], *, first_s: float) -> Iterator[None]:
    """Look soon, and then every hour, in a thread of its own while the block runs."""
    stopped = threading.Event()

    def watch() -> None:
        wait_s = first_s
        while not stopped.wait(wait_s):
            look()
            wait_s = _EVERY_S

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=5)


def note_parts(parts: list[Part], metrics: WorkerMetrics) -> None:
    """Set the metric, and raise the alarm for each part with a known hole."""
    found = holed(parts)
    metrics.note_holes({name: bool(what) for name, what in found.items()})
    for name, what in found.items():
        if what:
            log.error("known_hole", part=name, detail=what, alarm=True)


def _engine_parts(spawner: Literal["process", "docker"]) -> list[Part]:
    if spawner != "docker":
        return []
    import docker  # noqa: PLC0415 - only where sessions are containers
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=10)
        try:
            return list(engine_parts(client.version()))
        finally:
            client.close()
    except (DockerException, OSError):
        return []
