"""Metrics of single GPUs, sessions and sections, apart from those that every lab has as many of.

Sessions are named by their leases' ids, sections by name; nobody's name is here.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.metrics_state import MGPU_MS_PER_GPU_SECOND
from quota.census import AMOUNTS, BANDS, SectionFigures, sections_in
from quota.errors import BooksUnavailable
from quota.placement import FULL_MGPU, GpuUse
from quota.service import Books
from quota.views import SessionOnGpu


class DetailMetrics(Collector):
    """Read at each scrape; what was counted of sections is read ready-made."""

    def __init__(self, books: Books) -> None:
        self.registry = CollectorRegistry()
        self._books = books
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Read the books; nothing is told when they do not answer."""
        try:
            view = self._books.details()
        except BooksUnavailable:
            return
        yield from gpu_families(view.gpus)
        yield session_family(view.sessions)
        yield from section_families(sections_in(view.counters))

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read the books."""
        return []


def gpu_families(gpus: Iterable[GpuUse]) -> Iterator[Metric]:
    """Show what leases take of each GPU, and what it is."""
    info = GaugeMetricFamily(
        "gpulab_gpu_info", "What a GPU is.", labels=["gpu", "name", "kind", "in_service"]
    )
    used = GaugeMetricFamily(
        "gpulab_gpu_occupied_ratio", "Share of a GPU that leases occupy.", labels=["gpu"]
    )
    sharers = GaugeMetricFamily("gpulab_gpu_sharers", "Leases on a GPU.", labels=["gpu"])
    for gpu in gpus:
        info.add_metric([gpu.uuid, gpu.name, gpu.kind, "yes" if gpu.in_service else "no"], 1)
        used.add_metric([gpu.uuid], gpu.used_mgpu / FULL_MGPU)
        sharers.add_metric([gpu.uuid], gpu.sharers)
    yield from (info, used, sharers)


def session_family(sessions: Iterable[SessionOnGpu]) -> Metric:
    """Tell which session is on which GPU, to join what the driver tells of GPUs."""
    family = GaugeMetricFamily(
        "gpulab_session_gpu_info", "A running session, its GPU, and what it does with it.",
        labels=["session", "flavor", "section", "gpu", "does"],
    )  # fmt: skip
    for one in sessions:
        labels = [str(one.lease_id), one.flavor, one.section, one.gpu_uuid, one.does]
        family.add_metric(labels, 1)
    return family


def section_families(sections: dict[str, SectionFigures]) -> Iterator[Metric]:
    """Show how each section's week goes, as it was counted last."""
    quota = GaugeMetricFamily(
        "gpulab_section_gpu_seconds",
        "GPU-seconds of a section's week: given, used, left; promised and possible until its end.",
        labels=["section", "kind"],
    )
    scholars = GaugeMetricFamily(
        "gpulab_section_scholars", "Scholars by how much of what they were given is left.",
        labels=["section", "band"],
    )  # fmt: skip
    running = GaugeMetricFamily(
        "gpulab_section_sessions_running", "Running sessions of a section.", labels=["section"]
    )
    elapsed = GaugeMetricFamily(
        "gpulab_section_week_elapsed_seconds", "How much of a section's week is over.",
        labels=["section"],
    )  # fmt: skip
    length = GaugeMetricFamily(
        "gpulab_section_week_length_seconds", "How long a section's week is.", labels=["section"]
    )
    for name, one in sections.items():
        for kind in AMOUNTS:
            if kind in one.amounts:
                quota.add_metric([name, kind], one.amounts[kind] / MGPU_MS_PER_GPU_SECOND)
        for band in BANDS:
            scholars.add_metric([name, band], one.scholars.get(band, 0))
        running.add_metric([name], one.running)
        if one.elapsed_ms is not None and one.length_ms is not None:
            elapsed.add_metric([name], one.elapsed_ms / 1000)
            length.add_metric([name], one.length_ms / 1000)
    yield from (quota, scholars, running, elapsed, length)
