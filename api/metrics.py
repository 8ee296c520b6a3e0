"""Every Prometheus name of the service, in one place. State is read from the books at scrape time.

No label carries a person's name.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.problems import STATUS
from quota.advancing import LAG_EDGES_S
from quota.errors import BooksUnavailable
from quota.help_queue import OPEN_STATES, HelpRequest
from quota.placement import FULL_MGPU
from quota.service import Books
from quota.views import LoadView

STATES = ("waiting", "held", "active", "stopping")
# With what is no refusal, and what an operator has to hear of: the database took no write.
REFUSAL_CODES = (*(refusal.code for refusal in STATUS), "unavailable")
_HELP_EDGES_S = (60, 180, 300, 600, 1200, 1800, 3600, 7200, 14_400, 86_400)
_MGPU_MS_PER_GPU_SECOND = 1_000_000


class Metrics(Collector):
    """The service's own counts, and the state of the books read at each scrape."""

    def __init__(self, books: Books) -> None:
        self.registry = CollectorRegistry()
        self._books = books
        self._refusals = Counter(
            "gpulab_requests_refused", "Requests refused, by code.", ["code"],
            registry=self.registry,
        )  # fmt: skip
        for code in REFUSAL_CODES:
            self._refusals.labels(code)
        self._help_waits = Histogram(
            "gpulab_help_wait_seconds", "Time from a raised hand to the TA who claims it.",
            buckets=_HELP_EDGES_S, registry=self.registry,
        )  # fmt: skip
        self.registry.register(self)

    def count_refusal(self, code: str) -> None:
        """Count one refusal."""
        self._refusals.labels(code).inc()

    def note_help_wait(self, request: HelpRequest) -> None:
        """Note how long somebody waited for the TA who has just claimed the request."""
        assert request.claimed_at is not None, "claimed"
        self._help_waits.observe((request.claimed_at - request.raised_at).total_seconds())

    def collect(self) -> Iterable[Metric]:
        """Read the books; when they do not answer, say that and nothing stale."""
        up = GaugeMetricFamily("gpulab_books_up", "1 when the books answered this scrape.")
        try:
            load = self._books.load()
        except BooksUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield _sessions(load)
        yield from _slots(load)
        yield from _charged(load)
        yield _lag(load)
        yield _ended(load)
        yield _help(load)
        yield from _emergencies(load)

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read the books."""
        return []


def _sessions(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_sessions", "Open leases by flavor and state.", labels=["flavor", "state"]
    )
    for flavor in load.flavors:
        for state in STATES:
            family.add_metric([flavor, state], load.sessions.get((flavor, state), 0))
    return family


def _slots(load: LoadView) -> Iterable[Metric]:
    total = GaugeMetricFamily("gpulab_gpus", "GPUs in service.")
    total.add_metric([], sum(1 for gpu in load.gpus if gpu.in_service))
    yield total
    used = GaugeMetricFamily(
        "gpulab_gpu_occupied_ratio", "Share of a GPU that leases occupy.", labels=["gpu"]
    )
    sharers = GaugeMetricFamily("gpulab_gpu_sharers", "Leases on a GPU.", labels=["gpu"])
    for gpu in load.gpus:
        used.add_metric([gpu.uuid], gpu.used_mgpu / FULL_MGPU)
        sharers.add_metric([gpu.uuid], gpu.sharers)
    yield used
    yield sharers


def _charged(load: LoadView) -> Iterable[Metric]:
    charged = CounterMetricFamily(
        "gpulab_charged_gpu_seconds", "GPU-seconds posted as charges, over all accounts."
    )
    posted = load.counters.get(("charged_mgpu_ms", ""), 0)
    charged.add_metric([], posted / _MGPU_MS_PER_GPU_SECOND)
    yield charged
    unposted = GaugeMetricFamily(
        "gpulab_unposted_gpu_seconds", "GPU-seconds used by running sessions and not posted yet."
    )
    unposted.add_metric([], load.unposted.mgpu_ms / _MGPU_MS_PER_GPU_SECOND)
    yield unposted
    tick = GaugeMetricFamily(
        "gpulab_tick_timestamp_seconds", "When the worker last brought the books up to date."
    )
    if load.oldest_tick_at is not None:
        tick.add_metric([], load.oldest_tick_at.timestamp())
    yield tick


def _lag(load: LoadView) -> Metric:
    family = HistogramMetricFamily(
        "gpulab_enforcement_lag_seconds",
        "Time from the last paid instant of a session to its end at the runtime.",
    )
    buckets, seen = [], 0
    for edge in (*LAG_EDGES_S, "+Inf"):
        seen += load.counters.get(("enforcement_lag_bucket", str(edge)), 0)
        buckets.append((str(edge), float(seen)))
    total_s = load.counters.get(("enforcement_lag_ms", "sum"), 0) / 1000
    family.add_metric([], buckets, total_s)
    return family


def _help(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_help_requests", "Open requests for help, by state.", labels=["state"]
    )
    for state in OPEN_STATES:
        family.add_metric([state], load.help_requests.get(state, 0))
    return family


def _emergencies(load: LoadView) -> Iterable[Metric]:
    is_open = GaugeMetricFamily(
        "gpulab_emergency_open", "1 while an emergency is open that the hub has told of."
    )
    is_open.add_metric([], int(load.emergency_is_open))
    yield is_open
    starts = CounterMetricFamily(
        "gpulab_emergency_starts", "GPU sessions that were started without the books."
    )
    starts.add_metric([], load.emergency_starts)
    yield starts


def _ended(load: LoadView) -> Metric:
    family = CounterMetricFamily(
        "gpulab_sessions_ended", "Leases ended by the worker, by reason.", labels=["reason"]
    )
    for (name, label), value in sorted(load.counters.items()):
        if name == "sessions_ended":
            family.add_metric([label], value)
    return family
