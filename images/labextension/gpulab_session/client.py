"""Asks the lab's service from within a session: for its own scholar, and for harmless things.

Whatever the service does (nothing, nonsense, megabytes), an answer or a sentence is there after a
few seconds. The token of the session's own server says who asks.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from gpulab_session.words import clean

# One question; then patience, since a service that restarts is back within seconds.
_ONE_S = 4.0
PATIENCE_S = 8.0
# Who has gone home and left "done" to a script cannot say it again.
LONG_PATIENCE_S = 90.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.3, 5.0
_MOST_BYTES = 1_000_000

_AWAY = "The lab does not answer now. Your session goes on; try again in a minute."
_NO_SESSION = (
    "This is no session of a lab, or its lab does not say where it can be asked: "
    "GPULAB_SESSION_API and JUPYTERHUB_API_TOKEN have to be set."
)


class Problem(Exception):
    """Something was not done; the message is a sentence for the scholar."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Refused(Problem):
    """The lab has answered, and the answer is no."""


class NoSession(Problem):
    """There is no lab to ask."""

    def __init__(self) -> None:
        super().__init__(_NO_SESSION, "no_session")


class Away(Problem):
    """The lab did not answer, or not in a way that can be understood."""

    def __init__(self, message: str = _AWAY, *, code: str = "away", after_s: float = 0.0) -> None:
        super().__init__(message, code)
        self.after_s = after_s


class Client:
    """Asks the service for the session that this program runs in."""

    def __init__(
        self,
        address: str,
        token: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._parts = urlsplit(address)
        self._token = token
        self._monotonic = monotonic
        self._pause = pause

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> "Client":
        """Return a client for this session.

        Raises:
            NoSession: there is no lab around this program.

        """
        found = os.environ if environment is None else environment
        address, token = found.get("GPULAB_SESSION_API", ""), found.get("JUPYTERHUB_API_TOKEN", "")
        if not token or urlsplit(address).scheme not in ("http", "https"):
            raise NoSession
        return cls(address, token)

    def facts(self, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return what the lab knows about this session, its scholar and the hours left."""
        return self._ask("GET", "facts", patience_s=patience_s)

    def why(self) -> dict[str, Any]:
        """Return the lines that sum to the balance."""
        return self._ask("GET", "why")

    def ask_for_help(
        self, request_id: UUID, message: str, path: str | None = None
    ) -> dict[str, Any]:
        """Put a request into the TAs' line; saying it again with the same id changes nothing."""
        return self._ask("PUT", f"help/{request_id}", {"message": message, "path": path})

    def take_back(self, request_id: str) -> dict[str, Any]:
        """Take a request for help out of the line."""
        return self._ask("PUT", f"help/{quote(request_id, safe='')}/withdraw")

    def keep(self) -> dict[str, Any]:
        """Keep the GPU for a while although nobody uses it."""
        return self._ask("PUT", "keep")

    def done(self, *, patience_s: float = LONG_PATIENCE_S) -> dict[str, Any]:
        """Save, stop this session and give its GPU back."""
        return self._ask("PUT", "done", patience_s=patience_s)

    def passed(self, lab: str, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Tell that a lab is passed; the first time counts."""
        return self._ask("PUT", f"labs/{quote(lab, safe='')}/passed", patience_s=patience_s)

    def _ask(
        self, method: str, path: str, body: object = None, *, patience_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Ask until there is an answer or patience ends: all questions can be repeated."""
        until, pause_s = self._monotonic() + patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return judged(*self._within(_ONE_S, method, path, body))
            except Away as away:
                wait_s = max(pause_s, away.after_s)
                if self._monotonic() + wait_s >= until:
                    raise
            self._pause(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _within(self, seconds: float, *question: Any) -> tuple[int, bytes, str]:
        """Ask once, in a thread: neither names nor single bytes that trickle have time limits."""
        found: SimpleQueue[tuple[int, bytes, str] | Exception] = SimpleQueue()

        def exchange() -> None:
            try:
                found.put(self._exchange(*question))
            except (OSError, HTTPException, ValueError) as error:
                found.put(error)

        Thread(target=exchange, name="gpulab-ask", daemon=True).start()
        try:
            answer = found.get(timeout=seconds)
        except Empty:
            raise Away from None
        if isinstance(answer, Exception):
            raise Away from answer
        return answer

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes, str]:
        """Ask once. No proxies, since the lab is near; no redirects, since the token is secret."""
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        host = self._parts.hostname or ""
        connection = kind(host, self._parts.port, timeout=_ONE_S)
        headers = {"Authorization": f"token {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, f"{self._parts.path.rstrip('/')}/{path}",
                               None if body is None else json.dumps(body), headers)  # fmt: skip
            reply = connection.getresponse()
            return reply.status, reply.read(_MOST_BYTES + 1), reply.getheader("Retry-After") or ""
        finally:
            connection.close()


def judged(status: int, data: bytes, retry_after: str = "") -> dict[str, Any]:
    """Take an answer for what it is. Pure.

    Raises:
        Refused: the lab says no.
        Away: the lab cannot answer, or this is not the lab's answer.

    """
    body = _read(data)
    if 200 <= status < 300 and body is not None:
        return body
    told = clean((body or {}).get("detail") or (body or {}).get("title") or "")
    code = clean((body or {}).get("code") or "") or f"http_{status}"
    if status == 429 or status >= 500:
        after_s = float(retry_after) if retry_after.isdecimal() else 0.0
        raise Away(f"The lab cannot do that now: {told}" if told else _AWAY,
                   code=code, after_s=after_s)  # fmt: skip
    if 400 <= status < 500 and body is not None:
        raise Refused(told or f"The lab refuses that ({code}).", code)
    raise Away(code="nonsense")


def _read(data: bytes) -> dict[str, Any] | None:
    """Read an answer; None where it is no answer of the service's. Nothing is an empty one."""
    if not data:
        return {}
    if len(data) > _MOST_BYTES:
        return None
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
