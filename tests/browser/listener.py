"""A session listener that says what a test wants, or answers as no listener should."""

import copy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

HOUR_MGPU_MS = 1000 * 3_600_000
HUGE_BYTES = 10 * 1024 * 1024
Mood = Literal["well", "500", "garbage", "silent", "huge", "no lease"]


class FakeListener:
    """Keeps one session's facts, and what was asked and told; `mood` is how it answers."""

    def __init__(self) -> None:
        self.mood: Mood = "well"
        self.asked: list[float] = []
        self.told: list[tuple[str, Any]] = []
        self.is_gone = threading.Event()
        self._facts = _plain_facts()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"its": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/session/v1"

    @contextmanager
    def running(self) -> Iterator["FakeListener"]:
        self._thread.start()
        try:
            yield self
        finally:
            self.is_gone.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def reset(self) -> None:
        """Answer well again, with hours enough and nobody there."""
        with self._lock:
            self._facts = _plain_facts()
        self.mood = "well"
        self.asked.clear()
        self.told.clear()

    def say(self, **changed: Any) -> None:
        """Change some of the facts; parts are merged."""
        with self._lock:
            for name, value in changed.items():
                old = self._facts.get(name)
                if isinstance(value, dict) and isinstance(old, dict):
                    self._facts[name] = {**old, **value}
                else:
                    self._facts[name] = value

    def end_in(self, left: timedelta, *, poll_after_s: int = 5) -> None:
        """Let the session end soon."""
        self.say(session={"ends_at": _text(datetime.now(UTC) + left)}, poll_after_s=poll_after_s)

    def hand_in(self) -> dict[str, Any]:
        with self._lock:
            found = copy.deepcopy(self._facts)
        found["server_time"] = _text(datetime.now(UTC))
        return found


class _Door(BaseHTTPRequestHandler):
    its: FakeListener

    def do_GET(self) -> None:
        self.its.asked.append(time.monotonic())
        self._answer(200, self.its.hand_in())

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        path = self.path.removeprefix("/session/v1/")
        self.its.told.append((path, body))
        self._answer(*self._done(path.split("/"), body))

    def _done(self, path: list[str], body: Any) -> tuple[int, Any]:
        its = self.its
        if path[0] == "help" and path[-1] == "withdraw":
            its.say(help=None)
            return 200, {}
        if path[0] == "help":
            raised = {"id": path[1], "state": "waiting", "place": 2, "message": body["message"],
                      "claimed_by": None, "raised_at": _text(datetime.now(UTC))}  # fmt: skip
            its.say(help=raised)
            return 200, raised
        if path[0] == "attachments":
            its.say(attached=[])
            return 204, None
        return (202, {"state": "stopping"}) if path == ["done"] else (200, {"kept_until": ""})

    def _answer(self, status: int, body: Any) -> None:
        mood = self.its.mood
        if mood == "silent":
            self.its.is_gone.wait(20)
            return
        data = {"500": b"oh", "garbage": b'{"half": [', "huge": b"x" * HUGE_BYTES}.get(
            mood, b"" if body is None else json.dumps(body).encode()
        )
        if mood == "no lease":
            status, data = 404, b'{"code": "no_such_thing", "title": "No lease"}'
        try:
            self.send_response(500 if mood == "500" else status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was too much for who asked

    def log_message(self, *_words: object) -> None:
        pass


def _text(at: datetime) -> str:
    return at.isoformat()


def _plain_facts() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "poll_after_s": 30, "scholar": "ada", "server_name": "", "section": "americas",
        "flavor": {"name": "quarter-gpu", "title": "A quarter of a GPU", "is_gpu": True,
                   "weight_mgpu": 250},
        "gpu": {"name": "Virtual GPU", "share_mgpu": 250, "memory_mib": 4096, "virtual": True},
        "balance": {"available_mgpu_ms": 0, "granted_mgpu_ms": 10 * HOUR_MGPU_MS,
                    "charged_mgpu_ms": 0, "resets_at": _text(now + timedelta(days=3)),
                    "lasts_until": None},
        "session": {"lease_id": "l-1", "state": "active", "started_at": _text(now),
                    "charged_mgpu_ms": HOUR_MGPU_MS // 4, "ends_at": None, "end_text": None},
        "warn_min": [60, 15, 5, 1],
        "use": {"state": "active", "since": _text(now), "gpu_ratio": 0.42, "memory_mib": 1536,
                "release_at": None, "kept_until": None},
        "attached": [], "help": None, "labs_passed": [], "can": {"keep": True, "ask": True},
        "links": {"hours": "", "hub_home": "", "start": ""},
    }  # fmt: skip
