"""Prove that a session keeps its visitors, with the jupyter-collaboration that is in this image.

`python /srv/smoke/visitors.py`. What an observer sends is dropped before a private part of
jupyter-collaboration sees it, so every version of that has to pass this.
"""

# ruff: noqa: N802, T201 - http.server wants these names; what it prints is what it is run for

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import base
from pycrdt import (
    Doc,
    Text,
    YMessageType,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

ROOT = f"http://127.0.0.1:{base.SESSION_PORT}{base.PREFIX}"
SCOPE = "access:servers!server=smoke/"
NOTE = Path.home() / "note.txt"
# What is promised for the end of an attachment.
OUT_WITHIN_S = 10.0
_SAVE = b"\x02\x04save\x01"


class Hub(base.Hub):
    """Knows two people by their tokens, and who visits."""

    mode: ClassVar[str | None] = "observe"
    told: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Tell whose a token is."""
        if not self.path.endswith("/user"):
            super().do_GET()
            return
        name = self.headers["Authorization"].removeprefix("token ")
        self._answer({"name": name, "kind": "user", "scopes": [SCOPE]})  # type: ignore[dict-item]

    def do_PUT(self) -> None:
        """Tell a session who visits it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append(body["no_observing"])
        visits = [] if self.mode is None else [{"ta": "tomas", "mode": self.mode, "until": ""}]
        self._answer({"visits": visits})  # type: ignore[dict-item]


class Reader:
    """Somebody with the note open."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.doc = Doc()
        self.text: Any = self.doc.get("source", type=Text)
        self.is_closed = False
        self.following: asyncio.Future[None] | None = None

    async def follow(self) -> None:
        """Take over what others change, as the page does."""
        await self.socket.write_message(create_sync_message(self.doc), binary=True)
        while (message := await self.socket.read_message()) is not None:
            if message[0] == YMessageType.SYNC:
                reply = handle_sync_message(message[1:], self.doc)
                if reply is not None:
                    await self.socket.write_message(reply, binary=True)
        self.is_closed = True

    async def write(self, words: str) -> None:
        """Add something to the note."""
        before = self.doc.get_state()
        self.text += words
        update = create_update_message(self.doc.get_update(before))
        await self.socket.write_message(update, binary=True)


async def ask(who: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask the session as somebody."""
    reply = await AsyncHTTPClient().fetch(
        HTTPRequest(ROOT + path, method=method, headers={"Authorization": f"token {who}"},
                    body=None if body is None else json.dumps(body),
                    allow_nonstandard_methods=True), raise_error=False,
    )  # fmt: skip
    return reply.code, json.loads(reply.body) if reply.code in (200, 201) else None


async def read_note(who: str, room: dict[str, str]) -> Reader:
    """Open the note as somebody."""
    url = f"{ROOT.replace('http', 'ws', 1)}api/collaboration/room/text:file:{room['fileId']}"
    socket = await websocket_connect(
        HTTPRequest(
            f"{url}?sessionId={room['sessionId']}", headers={"Authorization": f"token {who}"}
        )
    )
    reader = Reader(socket)
    reader.following = asyncio.ensure_future(reader.follow())
    return reader


async def until(what: str, is_so: Callable[[], bool], within_s: float = 30) -> float:
    """Wait for something; return how long it took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s, f"not in {within_s} s: {what}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def visit() -> None:
    """Observe, edit together, and be sent out."""
    await until("the session says that it keeps visitors", lambda: bool(Hub.told))
    assert Hub.told[0] == "", f"it cannot be observed: {Hub.told[0]}"
    note = {"type": "file", "format": "text", "content": "begin"}
    assert (await ask("smoke", "PUT", "api/contents/note.txt", note))[0] == 201
    asked = {"format": "text", "type": "file"}
    status, room = await ask("tomas", "PUT", "api/collaboration/session/note.txt", asked)
    assert status in (200, 201), status
    fork = f"api/collaboration/fork/text:file:{room['fileId']}"
    for method, path in (("PUT", "api/contents/x"), ("POST", "api/kernels"), ("PUT", fork)):
        assert (await ask("tomas", method, path, note))[0] == 403, (method, path)
    owner, tomas = await read_note("smoke", room), await read_note("tomas", room)
    await until("both read", lambda: str(owner.text) == str(tomas.text) == "begin")

    await tomas.write(" EVIL")
    await tomas.socket.write_message(_SAVE, binary=True)
    await owner.write(" mine")
    await until("it is saved", lambda: "mine" in NOTE.read_text())
    await until("the observer sees it", lambda: "mine" in str(tomas.text))
    assert "EVIL" not in NOTE.read_text() + str(owner.text), "an observer has written"
    print("an observer reads along and changes nothing")

    Hub.mode = "co_edit"
    await asyncio.sleep(OUT_WITHIN_S / 2)  # the session believes the earlier answer so long
    # Anew: what builds on a dropped change cannot be used.
    tomas.socket.close()
    tomas = await read_note("tomas", room)
    await until("the note is read", lambda: "mine" in str(tomas.text))
    await tomas.write(" together")
    await until("co-editing is saved", lambda: "together" in NOTE.read_text())
    print("who edits together does")

    Hub.mode = None
    took_s = await until("the visitor is out", lambda: tomas.is_closed, OUT_WITHIN_S)
    assert (await ask("tomas", "GET", "api/contents"))[0] == 403
    assert not owner.is_closed
    print(f"a visitor is out after {took_s:.1f} s")
    owner.socket.close()
    await until("the owner has gone", lambda: owner.is_closed)


def main() -> None:
    """Start a session with a visitor."""
    hub = ThreadingHTTPServer(("127.0.0.1", base.HUB_PORT), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    os.environ["JUPYTERHUB_OAUTH_ACCESS_SCOPES"] = json.dumps([SCOPE])
    session = base.start_session()
    try:
        base.wait_for(session)
        asyncio.run(visit())
    finally:
        session.kill()
        session.wait(timeout=30)
        hub.shutdown()
    print("visitors: ok")


if __name__ == "__main__":
    main()
