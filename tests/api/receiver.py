"""A chat service for tests: takes what Apprise posts as JSON, on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What was posted, and how the next posts are answered."""

    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200
    refused: set[str] = field(default_factory=set)
    """Paths that are answered with 500."""
    open: threading.Event = field(default_factory=threading.Event)
    """Until it is set nobody is answered."""
    reached: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def url(self, path: str = "", *, login: str = "", query: str = "") -> str:
        return f"json://{login}127.0.0.1:{self.port}/{path}{query}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.got]

    @property
    def texts(self) -> list[str]:
        return [str(body["message"]) for _, body in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.got.append((self.path, body))
            receiver.reached.set()
            receiver.open.wait(timeout=30)
            is_refused = self.path in receiver.refused
            self.send_response(500 if is_refused else receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
