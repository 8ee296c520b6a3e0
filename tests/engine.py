"""A Docker engine, the base image and a throw-away network for tests.

What is missing is a failure in CI and a skip with its reason elsewhere. Everything that a test
makes carries the label of a hub of its own, by which it is found and removed.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import docker
import pytest
from docker.errors import DockerException, NotFound
from docker.utils import kwargs_from_env

BASE_IMAGE = "gpulab/base:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine with the base image, and the hub id of whoever uses it."""

    client: docker.APIClient
    hub_id: str


@contextmanager
def throwaway_engine() -> Iterator[Engine]:
    """Open the engine; at the end, remove containers and volumes that were made with it."""
    client = _open()
    engine = Engine(client=client, hub_id=f"test-{uuid4().hex[:12]}")
    try:
        yield engine
    finally:
        _clear(engine)
        client.close()


@contextmanager
def throwaway_network(engine: Engine) -> Iterator[str]:
    """Make a network as the lab's: sessions cannot reach each other, frames fit the uplink."""
    name = f"gpulab-{engine.hub_id}"
    options = {"com.docker.network.bridge.enable_icc": "false"}
    options["com.docker.network.driver.mtu"] = str(uplink_mtu())
    engine.client.create_network(name, driver="bridge", options=options)
    try:
        yield name
    finally:
        _clear(engine)
        engine.client.remove_network(name)


def gateway_of(engine: Engine, network: str) -> str:
    """Return this machine's address on a network: where containers reach the hub."""
    config = engine.client.inspect_network(network)["IPAM"]["Config"]
    gateway: str = config[0]["Gateway"]
    return gateway


def uplink_mtu() -> int:
    """Return the frame size of the default route's device: larger frames would be lost."""
    routes = json.loads(_output("ip", "-json", "route", "show", "default"))
    if not routes:
        return 1500
    device = routes[0]["dev"]
    links = json.loads(_output("ip", "-json", "link", "show", "dev", device))
    mtu: int = links[0]["mtu"]
    return mtu


def _open() -> docker.APIClient:
    try:
        client = docker.APIClient(version="auto", timeout=30, **kwargs_from_env())
    except DockerException as error:
        _missing(f"no Docker engine answers (scripts/engine.sh starts one): {error}")
    try:
        client.inspect_image(BASE_IMAGE)
    except NotFound:
        client.close()
        _missing(f"the image {BASE_IMAGE} is not here: scripts/build-image.sh base")
    return client


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def _clear(engine: Engine) -> None:
    labels = {"label": [f"gpulab.hub={engine.hub_id}"]}
    for one in engine.client.containers(all=True, filters=labels):
        engine.client.remove_container(one["Id"], v=True, force=True)
    for volume in engine.client.volumes(filters={"name": f"gpulab.{engine.hub_id}."})["Volumes"]:
        engine.client.remove_volume(volume["Name"])


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@contextmanager
def sick_engine(folder: Path, answer: bytes) -> Iterator[str]:
    """A socket that answers the version well, and everything else with `answer` or never."""
    path = folder / "engine.sock"
    stopped = threading.Event()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0.05)
        thread = threading.Thread(target=_serve, args=(listener, answer, stopped))
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            stopped.set()
            thread.join()


def _serve(listener: socket.socket, answer: bytes, stopped: threading.Event) -> None:
    opened: list[socket.socket] = []
    while not stopped.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        opened.append(connection)
        connection.settimeout(5)
        request = connection.recv(65_536)
        if b" /version" in request:
            body = b'{"ApiVersion": "1.41"}'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.close()
        elif answer:
            connection.sendall(answer)
            connection.close()
    for connection in opened:
        connection.close()
