"""The real client, with its real budget, against real sockets that misbehave (P27, P28)."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from hub.client import ServiceUnavailable, open_client
from hub.hooks import Admission
from hub.refusals import Refused
from quota.clock import ManualClock
from quota.leases import LeaseRequest
from tests.hub.doubles import FakeSpawner, FixedLab, Stopwatch
from tests.quota.books import NOON

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def say(answer: bytes, *, then_hang: bool = False) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if then_hang:
            await reader.read()
            await asyncio.sleep(60)

    return talk


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then: each read is quick, the answer never ends."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Content-Length: 100000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


WAYS: dict[str, Talk] = {
    "frozen": say(b"", then_hang=True),
    "half an answer": say(OK + b"Content-Length: 100\r\n\r\n{", then_hang=True),
    "drips": drip,
    "hangs up": say(b""),
    "500": say(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOops"),
    "garbage": say(b"\x00\x01\x02 not http at all\r\n\r\n"),
    "html": say(OK + b"Content-Length: 6\r\nConnection: close\r\n\r\n<html>"),
}


async def budget_of(ask: Callable[[Any], Awaitable[object]], port: int) -> float:
    client = open_client(f"http://127.0.0.1:{port}", "secret", hub_id="main")
    began = time.monotonic()
    try:
        with pytest.raises(ServiceUnavailable):
            await ask(client)
    finally:
        await client.aclose()
    return time.monotonic() - began


def a_request(client: Any) -> Awaitable[object]:
    wanted = LeaseRequest(hub_id="main", account="ada", server_name="", flavor="whole",
                          image="base")  # fmt: skip
    answer: Awaitable[object] = client.request_lease(uuid4(), wanted)
    return answer


async def with_servers(ask: Callable[[Any], Awaitable[object]]) -> dict[str, float]:
    servers = {}
    try:
        for name, talk in WAYS.items():
            servers[name] = await asyncio.start_server(closing(talk), "127.0.0.1", 0)
        ports = {name: one.sockets[0].getsockname()[1] for name, one in servers.items()}
        ports["refused"] = free_port()
        spent = await asyncio.gather(*(budget_of(ask, port) for port in ports.values()))
        return dict(zip(ports, spent, strict=True))
    finally:
        for one in servers.values():
            one.close()


def closing(talk: Talk) -> Talk:
    async def talk_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return talk_and_close


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_p27_p28_every_kind_of_broken_service_is_known_within_five_seconds() -> None:
    spent = asyncio.run(with_servers(a_request))
    assert spent.keys() == {*WAYS, "refused"}
    assert max(spent.values()) <= 5, spent


def test_pages_do_not_wait_even_that_long() -> None:
    spent = asyncio.run(with_servers(lambda client: client.spawn_options("ada")))
    assert max(spent.values()) <= 4, spent


def test_p27_a_gpu_start_is_refused_in_time_and_a_cpu_start_goes_on() -> None:
    async def both() -> float:
        client = open_client(f"http://127.0.0.1:{free_port()}", "secret", hub_id="main")
        hooks = Admission(client, FixedLab(), hub_id="main", home_url="/hub/home",
                          clock=ManualClock(NOON), sleep=Stopwatch().sleep)  # fmt: skip
        gpu, cpu = FakeSpawner(flavor="whole"), FakeSpawner(flavor="cpu")
        began = time.monotonic()
        with pytest.raises(Refused, match="cannot be reached"):
            await hooks.pre_spawn(gpu)
        await hooks.pre_spawn(cpu)
        spent = time.monotonic() - began
        assert cpu.lease_id
        assert cpu.admitted_title == "CPU"
        assert gpu.admitted_title is None
        await hooks.settle()
        await client.aclose()
        return spent

    assert asyncio.run(both()) <= 5
