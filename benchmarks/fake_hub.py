"""The little of a hub that people's pages ask: who signs in, and whose a token is."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

_ACCESS = "access:services!service=gpulab"


@contextmanager
def fake_hub(scopes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Answer on a free port; a person's code and token are their name. Yields the API's address.

    `scopes` are what people have beyond the right to use the service.
    """

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.headers.get("Authorization", "").removeprefix("token ")
            self._answer({"name": name, "kind": "user", "admin": False, "groups": [],
                          "scopes": [_ACCESS, *scopes.get(name, ())]})  # fmt: skip

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({"access_token": parse_qs(body)["code"][0], "token_type": "Bearer"})

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def _answer(self, value: object) -> None:
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hub/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
