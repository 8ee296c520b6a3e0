"""A small session listener that keeps the contract, and can be made to misbehave."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "key-of-this-session"
NOW = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)
_HELP = re.compile(r"help/([0-9a-f-]{36})(/withdraw)?")
_LAB = re.compile(r"labs/([^/]+)/passed")


class Listener:
    """One session as the service knows it; the test changes what it likes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        # What it does instead of answering: a status, raw bytes, or a name from `_misbehave`.
        self.instead: list[Any] = []
        self.always: Any = None
        self.now = NOW
        self.ends_at: datetime | None = NOW + timedelta(hours=2, minutes=13)
        self.state = "active"
        self.end_text: str | None = None
        self.is_gpu = True
        self.use: dict[str, Any] | None = None
        self.help: dict[str, Any] | None = None
        self.passed: list[str] = []
        self.labs = ("week-1", "week-2", "week-3", "week-4")
        self.may_keep = True
        self.is_done = False
        self.has_lease = True
        self.held_ms = 0
        self.lines: list[tuple[str, int]] = [("week 5", 36_000), ("charged", -24_300)]
        self.poll_after_s: Any = 30
        self.stopped = threading.Event()

    def facts(self) -> dict[str, Any]:
        at = None if self.ends_at is None else self.ends_at.isoformat()
        flavor = {"name": "quarter", "title": "A quarter of a GPU", "is_gpu": self.is_gpu,
                  "weight_mgpu": 250}  # fmt: skip
        return {
            "server_time": self.now.isoformat(), "poll_after_s": self.poll_after_s,
            "scholar": "ada", "server_name": "", "section": "utc", "flavor": flavor,
            "balance": {"available_hours": "3.25", "granted_hours": "10.00",
                        "resets_at": (self.now + timedelta(days=6)).isoformat()},
            "session": {"lease_id": "x", "state": self.state, "charged_hours": "0.50",
                        "ends_at": at, "end_text": self.end_text},
            "use": self.use, "help": self.help, "labs_passed": self.passed,
        }  # fmt: skip

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if not self.has_lease:
            return problem(404, "no_such_thing", "There is no such thing.")
        if (method, path) == ("GET", "facts"):
            return 200, self.facts()
        if (method, path) == ("GET", "why"):
            lines = [{"text": text, "hours": f"{ms / 10_000:.2f}", "amount_mgpu_ms": ms}
                     for text, ms in self.lines]  # fmt: skip
            total = sum(ms for _, ms in self.lines)
            left = total - self.held_ms
            return 200, {"lines": lines, "balance_hours": f"{total / 10_000:.2f}",
                         "balance_mgpu_ms": total, "available_hours": f"{left / 10_000:.2f}",
                         "available_mgpu_ms": left}  # fmt: skip
        if method != "PUT":
            return problem(405, "method_not_allowed", "Only PUT.")
        return self._put(path, body)

    def _put(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if path == "keep" and not self.may_keep:
            return problem(409, "may_not_keep", "Somebody waits for this GPU.")
        if path == "keep":
            return 200, {"kept_until": (self.now + timedelta(minutes=30)).isoformat()}
        if path == "done":
            self.is_done = True
            return 202, {"state": "stopping"}
        if (found := _LAB.fullmatch(path)) and found[1] in self.labs:
            self.passed = sorted({*self.passed, found[1]})
            return 200, {"lab": found[1], "passed_at": self.now.isoformat()}
        if found := _HELP.fullmatch(path):
            self.help = None if found[2] else {
                "id": found[1], "state": "waiting", "place": 2, **body,
            }  # fmt: skip
            return 200, self.help or {"id": found[1], "state": "withdrawn"}
        return problem(404, "no_such_thing", "There is no such thing.")


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"type": "about:blank", "title": code, "status": status, "code": code,
                    "detail": detail}  # fmt: skip


@contextmanager
def serving(listener: Listener) -> Iterator[str]:
    """Serve it on a port of its own; yields the base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _handle(listener, self)

        def do_PUT(self) -> None:
            _handle(listener, self)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/session/v1"
    finally:
        listener.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handle(listener: Listener, request: BaseHTTPRequestHandler) -> None:
    listener.asked.append(f"{request.command} {request.path}")
    request.close_connection = True
    data = request.rfile.read(int(request.headers.get("Content-Length") or 0))
    instead = listener.instead.pop(0) if listener.instead else listener.always
    with suppress(ConnectionError):
        if instead is not None:
            _misbehave(listener, request, instead)
            return
        if request.headers["Authorization"] != f"token {KEY}":
            _send(request, *problem(401, "not_signed_in", "This key is not known."))
            return
        path = request.path.removeprefix("/session/v1/")
        body = json.loads(data) if data else None
        _send(request, *listener.answer(request.command, path, body))


def _misbehave(listener: Listener, request: BaseHTTPRequestHandler, how: Any) -> None:
    if isinstance(how, int):
        _send(request, *problem(how, "away", "The books do not answer."))
    elif isinstance(how, bytes):
        request.wfile.write(how)
    elif how == "huge":
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 10_000_000)
    elif how == "trickle":
        while not listener.stopped.wait(0.05):
            request.wfile.write(b"H")
    elif how == "silent":
        listener.stopped.wait()
    else:
        raise AssertionError(how)


def _send(request: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(data)))
    if status == 503:
        request.send_header("Retry-After", "1")
    request.end_headers()
    request.wfile.write(data)
