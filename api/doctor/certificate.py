"""The worker's look at the certificate that people's browsers see: it ends some day."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from cryptography import x509

from api.doctor.watching import every_hour
from api.worker_metrics import WorkerMetrics

log = structlog.get_logger()

_WITHIN_S = 5.0


@contextmanager
def watched_certificate(
    metrics: WorkerMetrics, where: str, *, first_s: float = 10.0
) -> Iterator[None]:
    """Look soon, and then every hour, while the block runs; an empty address watches nothing."""
    if not where:
        yield
        return
    with every_hour(lambda: note_certificate(where, metrics), first_s=first_s):
        yield


def note_certificate(where: str, metrics: WorkerMetrics) -> None:
    """Set the metrics; what cannot be seen is logged and leaves what was seen last."""
    try:
        metrics.note_certificate(*certificate_times(where))
    except (OSError, ValueError) as error:
        log.warning("certificate_not_seen", where=where, error=str(error)[:200])


def certificate_times(where: str) -> tuple[datetime, datetime]:
    """Return from when and until when a certificate holds; `where` is `host:port/name`.

    Whether it is trusted is not asked: a browser tells that to everybody at once.

    Raises:
        OSError: nobody answers there, or not with TLS.
        ValueError: `where` is no such address.

    """
    place, _, name = where.partition("/")
    host, _, port = place.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=_WITHIN_S) as line,
        context.wrap_socket(line, server_hostname=name or host) as talk,
    ):
        shown = talk.getpeercert(binary_form=True)
    if shown is None:
        raise ConnectionError("no certificate was shown")
    found = x509.load_der_x509_certificate(shown)
    return found.not_valid_before_utc, found.not_valid_after_utc
