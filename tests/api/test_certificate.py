"""The certificate that browsers see is watched before it ends."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.doctor.certificate import certificate_times, note_certificate, watched_certificate
from api.worker_metrics import WorkerMetrics
from lab.trial.waiting import wait_for

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=90)


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab.example.org")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(BEGIN).not_valid_after(END).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@contextmanager
def answering(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}/lab.example.org"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(metrics: WorkerMetrics, edge: str) -> float | None:
    return metrics.registry.get_sample_value(
        "gpulab_certificate_timestamp_seconds", {"edge": edge}
    )


def test_its_times_are_read_whoever_signed_it(tmp_path: Path) -> None:
    with answering(tmp_path) as where:
        assert certificate_times(where) == (BEGIN, END)


def test_it_is_looked_at_soon(tmp_path: Path) -> None:
    metrics = WorkerMetrics()
    with answering(tmp_path) as where, watched_certificate(metrics, where, first_s=0.01):
        wait_for("the end of it", lambda: told(metrics, "end"), within_s=20)
    assert told(metrics, "end") == END.timestamp()
    assert told(metrics, "begin") == BEGIN.timestamp()


@pytest.mark.parametrize("where", ["127.0.0.1:1/lab.example.org", "nowhere"])
def test_where_nobody_answers_nothing_is_told(where: str) -> None:
    metrics = WorkerMetrics()
    with structlog.testing.capture_logs() as lines:
        note_certificate(where, metrics)
    assert [one["event"] for one in lines] == ["certificate_not_seen"]
    assert told(metrics, "end") is None
