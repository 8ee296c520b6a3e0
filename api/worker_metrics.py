"""What the worker and its ticks look like to Prometheus; a registry of their own.

An alarm is whatever is logged with `alarm=True`: somebody has to look at it.
"""

from collections import Counter as Counted
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from shutil import disk_usage
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from api.doctor.floors import HOLES
from api.gpu_metrics import OUTCOMES, GpuMetrics
from api.gpus.devices import GpuLook
from api.letter_metrics import LETTER_ALARMS, LetterMetrics
from quota.session_states import STATE_NAMES

ALARMS = (
    "session_not_stopped", "stop_broken", "hub_did_not_stop", "session_adopted", "tick_broken",
    "known_hole", "sightings_half_full", "sightings_lost", "sightings_not_written",
    "sightings_not_read", "session_vanished", "session_record_unreadable", "clock_jumped",
    "look_broken", "gpu_lost", "memory_not_held", "session_forgotten", "shares_broken",
    "census_broken",
    *LETTER_ALARMS,
)  # fmt: skip
_TICK_EDGES_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15)


class HasRegistry(Protocol):
    """The counts of one process."""

    @property
    def registry(self) -> CollectorRegistry:
        """Where they are registered."""


class WorkerMetrics:
    """The worker's counts; every label value is there from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ticks = Counter(
            "gpulab_worker_ticks", "Passes of the worker, by outcome.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._tick_seconds = Histogram(
            "gpulab_worker_tick_seconds", "How long a pass of the worker took.",
            buckets=_TICK_EDGES_S, registry=self.registry,
        )  # fmt: skip
        self._alarms = Counter(
            "gpulab_worker_alarms", "Events that want a person, by event.", ["event"],
            registry=self.registry,
        )  # fmt: skip
        self._overdue = Gauge(
            "gpulab_worker_sessions_to_stop", "Sessions that had to end at the last pass.",
            registry=self.registry,
        )  # fmt: skip
        self._forgotten = Gauge(
            "gpulab_worker_forgotten_sessions", "Running sessions that the hub does not list.",
            registry=self.registry,
        )  # fmt: skip
        self._holes = Gauge(
            "gpulab_worker_known_holes", "Whether a part's version has a known hole.", ["part"],
            registry=self.registry,
        )  # fmt: skip
        self._disk = {
            name: Gauge(f"gpulab_disk_{name}_bytes", text, registry=self.registry)
            for name, text in (("free", "What is free on the disk of the lab's state."),
                               ("size", "The disk of the lab's state."))
        }  # fmt: skip
        self._certificate = Gauge(
            "gpulab_certificate_timestamp_seconds",
            "From when and until when the certificate holds that browsers see.", ["edge"],
            registry=self.registry,
        )  # fmt: skip
        self._gpus = GpuMetrics(self.registry)
        self.letters = LetterMetrics(self.registry)
        for part in HOLES:
            self._holes.labels(part)
        for outcome in OUTCOMES:
            self._ticks.labels(outcome)
        for event in ALARMS:
            self._alarms.labels(event)

    def watch_disk(self, folder: Path) -> None:
        """Tell from now on, at each scrape, what is free where a folder lies."""
        self._disk["free"].set_function(lambda: disk_usage(folder).free)
        self._disk["size"].set_function(lambda: disk_usage(folder).total)

    def note_certificate(self, begins_at: datetime, ends_at: datetime) -> None:
        """Note from when and until when the certificate holds."""
        self._certificate.labels("begin").set(begins_at.timestamp())
        self._certificate.labels("end").set(ends_at.timestamp())

    def count_tick(self, outcome: str, took_s: float) -> None:
        """Count one pass."""
        self._ticks.labels(outcome).inc()
        self._tick_seconds.observe(took_s)

    def count_alarm(self, event: str) -> None:
        """Count one alarm."""
        self._alarms.labels(event).inc()

    def note_holes(self, found: Mapping[str, bool]) -> None:
        """Note which parts have a known hole; the others keep what was known of them."""
        for part, has_hole in found.items():
            self._holes.labels(part).set(has_hole)

    def count_look(self, outcome: str) -> None:
        """Count one look at what sessions do."""
        self._gpus.looks.labels(outcome).inc()

    def note_forgotten(self, count: int) -> None:
        """Note how many running sessions the hub does not list."""
        self._forgotten.set(count)

    def note_states(self, states: Iterable[str]) -> None:
        """Note what the sessions on GPUs do."""
        counted = Counted(states)
        for state in STATE_NAMES:
            self._gpus.states.labels(state).set(counted[state])

    def note_gpus(self, look: GpuLook) -> None:
        """Note what runs on each GPU that tells; the others disappear."""
        self._gpus.note(look)

    def note_stops(self, count: int) -> None:
        """Note how many sessions had to end."""
        self._overdue.set(count)


@contextmanager
def served(metrics: HasRegistry, port: int, *, host: str = "127.0.0.1") -> Iterator[None]:
    """Serve the metrics while the block runs; port 0 serves nothing."""
    if not port:
        yield
        return
    server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
