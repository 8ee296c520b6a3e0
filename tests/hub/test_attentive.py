"""A silent runtime or a slow server is not taken for an ended session."""

import asyncio
import socket
import time
from typing import Any

import pytest
from jupyterhub.spawner import Spawner

from hub import attentive
from hub.attentive import Attentive, AttentiveServer, Unseen
from hub.refusals import Refused
from tests.hub.spawning import hub_of


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Told(Attentive, Spawner):
    """Says what it was told to say."""

    answers: list[Any] = []  # noqa: RUF012 - set anew by each test

    async def start(self) -> None:
        """Nothing is started here."""

    async def stop(self, now: bool = False) -> None:
        """Nothing is stopped here."""

    async def look(self) -> int | None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer == "hangs":
            await asyncio.sleep(60)
        return answer  # type: ignore[no-any-return]


def polls(spawner: Any, *answers: Any) -> list[Any]:
    spawner.answers = list(answers)

    async def ask() -> list[Any]:
        return [await spawner.poll() for _ in answers]

    return asyncio.run(ask())


def test_p20_silence_keeps_what_was_last_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attentive, "_ANSWER_S", 0.05)
    with hub_of(Told) as hub:
        spawner = hub.spawner()
        silence = Unseen("connection refused")
        assert polls(spawner, silence, None, silence, "hangs") == [None, None, None, None]
        assert polls(spawner, 137, silence) == [137, 137]
        spawner.clear_state()
        assert polls(spawner, silence) == [None]


def test_silence_is_believed_only_for_so_long() -> None:
    with hub_of(Told) as hub:
        spawner = hub.spawner(patience_s=0.0)
        (status,) = polls(spawner, Unseen("connection refused"))
        assert "silent" in status
        assert polls(spawner, None) == [None], "and forgotten when it speaks again"


class Busy:
    """A session that a restarted hub checks, or one that is starting."""

    def __init__(self, *statuses: int | None, is_starting: bool = False) -> None:
        self._check_pending = not is_starting
        self.statuses = list(statuses)

    async def poll(self) -> int | None:
        return self.statuses.pop(0)


async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    await writer.drain()
    writer.close()


def test_p21_a_busy_server_is_waited_for_as_long_as_it_runs(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setattr(attentive, "_LOOK_EVERY_S", 0.2)
    spawner = Busy(None, None, None, None, None, None)
    server = AttentiveServer(ip="127.0.0.1", port=unused_port, spawner=spawner)

    async def wait() -> int:
        # With the hub's own time-out of 0.1 s it would be given up at once.
        waiting = asyncio.create_task(server.wait_up(timeout=0.1, http=True))
        while len(spawner.statuses) > 4:  # noqa: ASYNC110 - the code under test has no event
            await asyncio.sleep(0.02)
        async with await asyncio.start_server(answer, "127.0.0.1", unused_port):
            async with asyncio.timeout(10):
                response = await waiting
        return int(response.status)

    assert asyncio.run(wait()) == 200


def test_a_server_that_has_died_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setattr(attentive, "_LOOK_EVERY_S", 0.1)
    spawner = Busy(None, 1)
    server = AttentiveServer(ip="127.0.0.1", port=unused_port, spawner=spawner)
    with pytest.raises(TimeoutError):
        asyncio.run(server.wait_up(timeout=60, http=True))
    assert spawner.statuses == []


def test_a_start_is_noticed_at_once(unused_port: int) -> None:
    spawner = Busy(*[None] * 10, is_starting=True)
    server = AttentiveServer(ip="127.0.0.1", port=unused_port, spawner=spawner)

    async def noticed_after_s() -> float:
        waiting = asyncio.create_task(server.wait_up(timeout=30, http=True))
        # By now the hub's own looks would be up to 1.6 s apart.
        await asyncio.sleep(1.5)
        async with await asyncio.start_server(answer, "127.0.0.1", unused_port):
            began = time.monotonic()
            await waiting
            return time.monotonic() - began

    assert asyncio.run(noticed_after_s()) < 0.5


def test_a_session_that_ends_while_it_starts_is_told_at_once(unused_port: int) -> None:
    spawner = Busy(None, 137, is_starting=True)
    server = AttentiveServer(ip="127.0.0.1", port=unused_port, spawner=spawner)
    began = time.monotonic()
    with pytest.raises(Refused, match=r"ended while it was starting \(137\)"):
        asyncio.run(server.wait_up(timeout=60, http=True))
    assert time.monotonic() - began < 10


def test_a_silent_start_ends_with_its_time(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setattr(attentive, "_LOOK_AT_START_S", 0.05)
    spawner = Busy(*[None] * 100, is_starting=True)
    server = AttentiveServer(ip="127.0.0.1", port=unused_port, spawner=spawner)
    with pytest.raises(TimeoutError):
        asyncio.run(server.wait_up(timeout=0.5, http=True))


def test_the_address_follows_what_the_hub_saves() -> None:
    with hub_of(Told) as hub:
        spawner = hub.spawner()
        assert spawner.server is None
        hub.serve_at(spawner, "127.0.0.1", 4321)
        assert isinstance(spawner.server, AttentiveServer)
        assert spawner.server is spawner.server
        assert spawner.server.url == "http://127.0.0.1:4321/user/ada/"
        hub.serve_at(spawner, "127.0.0.1", 4322)
        assert spawner.server.url == "http://127.0.0.1:4322/user/ada/"
        spawner.server = None
        assert spawner.server is None
        assert spawner.orm_spawner.server is None
