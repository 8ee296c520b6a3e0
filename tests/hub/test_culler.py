"""Which sessions the idle culler may stop: those without a GPU, by the service's word only."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from hub.culler import Arbiter

HOUR = timedelta(hours=1)
RUNNING = {"cpu_idle_s": 3600, "sessions": [
    {"account": "ada", "server_name": "", "has_gpu": False, "state": None},
    {"account": "blaise", "server_name": "", "has_gpu": True, "state": "unknown"},
    {"account": "a.b@c", "server_name": "two", "has_gpu": False, "state": None},
]}  # fmt: skip


def server(who: str, name: str = "") -> dict[str, Any]:
    """A server as JupyterHub 6.1 shows it; whose it is stands in addresses only."""
    path = f"servers/{name}" if name else "server"
    return {"name": name, "url": f"//{who}.lab.localhost/user/{who}/",
            "progress_url": f"/hub/api/users/{who}/{path}/progress"}  # fmt: skip


def arbiter(answer: Any = RUNNING) -> Arbiter:
    def reply(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(200, json=answer)

    http = httpx2.Client(transport=httpx2.MockTransport(reply), base_url="http://service")
    return Arbiter(http)


def judged(one: Arbiter, inactive: timedelta | None, model: dict[str, Any]) -> bool:
    # The culler's own limit is far shorter, and does not count.
    return one(inactive=inactive, inactive_limit=600, server=model)


def test_idle_sessions_without_a_gpu_may_be_stopped_after_the_labs_time() -> None:
    one = arbiter()
    assert judged(one, HOUR, server("ada"))
    assert judged(one, HOUR, server("a.b%40c", "two"))
    assert not judged(one, HOUR - timedelta(seconds=1), server("ada"))
    assert not judged(one, None, server("ada"))


@pytest.mark.parametrize("model", [server("blaise"), server("chen"), server("ada", "two"), {}])
def test_idle_sessions_on_gpus_and_unknown_ones_stay(model: dict[str, Any]) -> None:
    assert not judged(arbiter(), HOUR * 100, model)


@pytest.mark.parametrize(
    "answer",
    [httpx2.ConnectError("refused"), {"detail": "x"}, [], RUNNING | {"cpu_idle_s": 0}],
)
def test_idle_never_without_the_services_word(answer: Any) -> None:
    assert not judged(arbiter(answer), HOUR * 100, server("ada"))
