"""What each scholar has left, for operators who ask for it: names are not told, but pseudonyms.

Only where the secret `people_metrics_token` is there, and only for who brings it. A pseudonym is
made with that secret, so that who reads Prometheus cannot guess names, and the operator can find
one again.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.metrics_state import MGPU_MS_PER_GPU_SECOND
from quota.errors import BooksUnavailable
from quota.service import Books
from quota.standings import lab_standing

SECRET = "people_metrics_token"  # noqa: S105 - the name of a file
_LENGTH = 12


class PeopleMetrics(Collector):
    """Reads everybody's balance at each scrape: a second for some ten thousand people."""

    def __init__(self, books: Books, secret: str) -> None:
        self.registry = CollectorRegistry()
        self._books = books
        self.secret = secret
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Read the books; nothing is told when they do not answer."""
        family = GaugeMetricFamily(
            "gpulab_scholar_left_gpu_seconds", "GPU-seconds that somebody has left, by pseudonym.",
            labels=["scholar", "section"],
        )  # fmt: skip
        try:
            people = lab_standing(self._books).people
        except BooksUnavailable:
            return
        for one in people:
            left = one.balance.mgpu_ms / MGPU_MS_PER_GPU_SECOND
            family.add_metric([pseudonym(one.account, self.secret), one.section or ""], left)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read the books."""
        return []


def people_metrics(books: Books, secrets_dir: Path) -> PeopleMetrics | None:
    """Turn it on where the secret is there."""
    path = secrets_dir / SECRET
    secret = path.read_text().strip() if path.is_file() else ""
    return PeopleMetrics(books, secret) if secret else None


def pseudonym(name: str, secret: str) -> str:
    """Return what stands for a name."""
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha256)
    return digest.hexdigest()[:_LENGTH]
