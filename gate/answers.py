"""What the gate says itself, and what it reads of the engine's answers; pure."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gate.errors import EngineSilent, Refused
from gate.policy import HUB, Policy

_WHO = "the lab's gate refuses this"


def answer(status: HTTPStatus, body: bytes) -> bytes:
    """Write a whole answer; every connection has one."""
    head = (f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")  # fmt: skip
    return head.encode() + body


def refusal(error: Refused) -> bytes:
    """Write a refusal as the engine writes its own errors."""
    said = str(error) if isinstance(error, EngineSilent) else f"{_WHO}: {error}"
    return answer(error.status, json.dumps({"message": said}).encode())


def status_and_body(data: bytes) -> tuple[int, bytes]:
    """Take an answer apart that the engine ended by closing.

    Raises:
        EngineSilent: it is no answer.

    """
    head, found, body = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if not found or len(words) < 2 or not words[1].isdigit():
        raise EngineSilent("the Docker engine's answer cannot be read")
    return int(words[1]), body


def own_container(body: bytes, policy: Policy) -> str:
    """Return the id of an inspected container of the lab.

    Raises:
        Refused: it is not the lab's.
        EngineSilent: it cannot be read.

    """
    try:
        found: Any = json.loads(body)
        container_id, labels = str(found["Id"]), found["Config"]["Labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineSilent("the Docker engine's answer cannot be read") from error
    if not isinstance(labels, Mapping) or labels.get(HUB) != policy.hub_id:
        raise Refused("that container is not one of the lab's")
    return container_id
