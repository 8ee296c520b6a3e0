"""P18, P19: what the worker takes a hub's answer, or its silence, to a stop for."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from api import hubclient
from api.hubclient import HubClient
from tests.api.processes import free_port


@contextmanager
def _hub(answer: bytes) -> Iterator[str]:
    """Answer one request, or take it and say nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(10)
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65_536).startswith(b"DELETE /users/ada%20l/servers/a%2Fb ")
                if answer:
                    connection.sendall(answer)
                over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def _asked(url: str) -> bool:
    hub = HubClient(url, "secret")
    with closing(hub):
        return hub.stop_server("ada l", "a/b")


def _status(code: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % code


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [(_status(202), True), (_status(204), True), (_status(404), False), (_status(500), False),
     (b"not HTTP at all\r\n\r\n", False)],
)  # fmt: skip
def test_p18_what_a_hub_says_to_a_stop(answer: bytes, is_taken: bool) -> None:
    with _hub(answer) as url:
        assert _asked(url) is is_taken


def test_p19_a_silent_hub_may_be_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubclient, "_TIMEOUT_S", 0.2)
    with _hub(b"") as url:
        assert _asked(url)


def test_p19_a_dead_hub_is_known_at_once() -> None:
    assert not _asked(f"http://127.0.0.1:{free_port()}")
