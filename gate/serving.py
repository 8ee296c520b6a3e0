"""The gate itself: one request for each connection, read whole, decided, and asked anew."""

import asyncio
import contextlib
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from gate.answers import answer, own_container, refusal, status_and_body
from gate.errors import EngineSilent, Malformed, Refused, TooLarge, TooMany
from gate.heads import MOST_HEAD_BYTES, Request, parse_head
from gate.policy import Policy
from gate.rules import Ask, AskForSession, Look, Step, decide, look_at

log = logging.getLogger("gate")

# A request that is not there whole by then will not come.
_REQUEST_S = 10.0
_CONNECT_S = 5.0
_HEAR_OUT_S = 1.0
_LOOK_S = 60.0
# Longest answer: a stream of events, a wait for an end, a pull. Clients leave earlier.
_ANSWER_S = 3600.0
_MOST_AT_ONCE = 256
_MOST_LOOK_BYTES = 8_388_608
_CHUNK_BYTES = 65_536
_MOST_KNOWN = 20_000
_ID = re.compile(r"[0-9a-f]{64}")


class Gate:
    """Answers connections to the gate's socket."""

    def __init__(self, policy: Policy, engine: Path) -> None:
        self._policy = policy
        self._engine = engine
        self._open = 0
        # Labels of a container never change, and its id is never another's.
        self._known: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection; whatever goes wrong is that connection's trouble alone."""
        self._open += 1
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.info("a connection ended early: %s", type(error).__name__)
        except Exception:
            log.exception("a connection was dropped")
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request: Request | None = None
        try:
            if self._open > _MOST_AT_ONCE:
                raise TooMany("too many requests at once")
            async with asyncio.timeout(_REQUEST_S):
                request = parse_head(await _head(reader))
                body = await reader.readexactly(request.body_bytes)
            await self._act(decide(request, body, self._policy), request, reader, writer)
        except Refused as error:
            _note(error, request, writer)
            await _refuse(error, reader, writer)

    async def _act(
        self, step: Step, request: Request, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        match step:
            case Look():
                writer.write(await self._look(step.ask))
                await writer.drain()
            case AskForSession():
                found = await self._own_id(step.ref, request.version)
                if isinstance(found, bytes):
                    writer.write(found)
                    await writer.drain()
                    return
                await self._relay(step.ask(found), reader, writer)
            case Ask():
                await self._relay(step, reader, writer)

    async def _own_id(self, ref: str, version: str) -> str | bytes:
        """Return a container's id, or the engine's answer if there is none."""
        if ref in self._known:
            return ref
        status, body = await self._ask(look_at(ref, version))
        if status != HTTPStatus.OK:
            return answer(HTTPStatus(status), body)
        return self._learn(own_container(body, self._policy))

    async def _look(self, ask: Ask) -> bytes:
        status, body = await self._ask(ask)
        if status == HTTPStatus.OK:
            self._learn(own_container(body, self._policy))
        return answer(HTTPStatus(status), body)

    def _learn(self, container_id: str) -> str:
        if _ID.fullmatch(container_id) is None:
            raise EngineSilent("the Docker engine's answer cannot be read")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(container_id)
        return container_id

    async def _ask(self, ask: Ask) -> tuple[int, bytes]:
        """Ask the engine and read its whole answer, which by HTTP/1.0 ends with the connection."""
        try:
            async with asyncio.timeout(_LOOK_S), self._connected() as (reader, writer):
                writer.write(_written(ask, "HTTP/1.0"))
                await writer.drain()
                parts, size = [], 0
                while part := await reader.read(_CHUNK_BYTES):
                    parts.append(part)
                    size += len(part)
                    if size > _MOST_LOOK_BYTES:
                        raise EngineSilent("the Docker engine's answer is too long")
        except TimeoutError as error:
            raise EngineSilent("the Docker engine does not answer in time") from error
        return status_and_body(b"".join(parts))

    async def _relay(
        self, ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Ask the engine and pass its answer on as it comes, until one side has enough."""
        async with asyncio.timeout(_ANSWER_S), self._connected() as (engine_reader, engine_writer):
            engine_writer.write(_written(ask, "HTTP/1.1"))
            await engine_writer.drain()
            passing = asyncio.ensure_future(_pass_on(engine_reader, writer))
            # Whoever asked has said everything: what comes now is the end, or not welcome.
            leaving = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                passing.cancel()
                await asyncio.gather(passing, leaving, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_unix_connection(self._engine)
        except (OSError, TimeoutError) as error:
            raise EngineSilent(
                f"the Docker engine does not answer at {self._engine}: {error}"
            ) from error
        try:
            yield reader, writer
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise TooLarge("the head of the request is too long") from error
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise
        raise Malformed("the head of the request has no end") from error


async def _refuse(
    error: Refused, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer, and hear out for a moment whoever still talks: else the answer would be lost."""
    writer.write(refusal(error))
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(_HEAR_OUT_S):
        while await reader.read(_CHUNK_BYTES):
            pass


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(_CHUNK_BYTES):
        writer.write(part)
        await writer.drain()


def _written(ask: Ask, protocol: str) -> bytes:
    lines = [f"{ask.method} {ask.target} {protocol}", "Host: docker", "Connection: close"]
    if ask.method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(ask.body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + ask.body


def _note(error: Refused, request: Request | None, writer: asyncio.StreamWriter) -> None:
    """Leave a line of what was refused, and to whom."""
    pid, uid, _gid = _peer(writer)
    log.warning("%s", json.dumps({
        "event": "refused" if not isinstance(error, EngineSilent) else "engine_silent",
        "status": error.status.value, "request": request.shown if request else "",
        "why": str(error)[:300], "pid": pid, "uid": uid,
    }))  # fmt: skip


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int, int]:
    connection: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, gid = struct.unpack("3i", found)
    return pid, uid, gid


async def listen(gate: Gate, path: Path, *, mode: int, stopped: asyncio.Event) -> None:
    """Listen until told to stop; connections that are open then are dropped."""
    server = await asyncio.start_unix_server(gate.serve, path, limit=MOST_HEAD_BYTES)
    async with server:
        await asyncio.to_thread(path.chmod, mode)
        log.info("the gate listens at %s", path)
        await stopped.wait()
