"""Every Prometheus name of the service. State is read from the books at scrape time.

No label carries a person's name. What grows with GPUs, sections and sessions is at an address of
its own, see `api.metrics_details`: the series here are as many in a large lab as in a small one.
"""

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.metrics_state import families_of
from api.problems import STATUS
from quota.errors import BooksUnavailable
from quota.help_queue import HelpRequest
from quota.service import Books

# With what is no refusal, and what an operator has to hear of: the database took no write.
REFUSAL_CODES = (*(refusal.code for refusal in STATUS), "unavailable")
_HELP_EDGES_S = (60, 180, 300, 600, 1200, 1800, 3600, 7200, 14_400, 86_400)


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
        build = GaugeMetricFamily("gpulab_build_info", "Which gpulab this is.", labels=["version"])
        build.add_metric([version("gpulab")], 1)
        yield build
        up = GaugeMetricFamily("gpulab_books_up", "1 when the books answered this scrape.")
        try:
            load = self._books.load()
        except BooksUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from families_of(load)

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read the books."""
        return []
