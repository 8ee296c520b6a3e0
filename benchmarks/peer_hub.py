"""A real hub with a peer's billing in its event loop, told what to do by lines of JSON.

Run by `benchmarks.peer_credit` with the interpreter of an environment that has the peer's package;
not a benchmark by itself. Real: JupyterHub's application with its database file, users and
spawners, each session spawned by the hub; the peer's authenticator and spawner classes, its
tables and its billing coroutine, unchanged. Made up: the proxy, which is told of routes and
forwards nothing, and the sessions, which are one small web server that says it is all of them.
"""

import asyncio
import json
import logging
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.proxy import Proxy
from jupyterhub.utils import utcnow
from jupyterhub_credit_service import CreditsAuthenticator, CreditsSpawner
from jupyterhub_credit_service.orm import CreditsUser
from sqlalchemy import event
from tornado.web import Application, RequestHandler
from traitlets.config import Config

_BEAT_S = 0.005
# Its defaults: a pass each minute, ten minutes paid at a time.
_PASS_EVERY_S, _UNIT_S = 60, 600


class Ready(RequestHandler):
    def get(self) -> None:
        self.set_header("X-JupyterHub-Version", "6.1.1")


class NoProxy(Proxy):
    should_start = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return self.routes


class BillingAuthenticator(CreditsAuthenticator, DummyAuthenticator):
    pass


class Standing(CreditsSpawner):
    runs = False

    async def start(self) -> tuple[str, int]:
        self.runs = True
        return "127.0.0.1", SESSIONS_PORT

    async def poll(self) -> int | None:
        return None if self.runs else 0

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002
        self.runs = False


class Heart:
    """Beats in the hub's event loop; the longest pause is what people wait for."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_BEAT_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - before)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SESSIONS_PORT = free_port()


async def started_hub(folder: Path) -> JupyterHub:
    config = Config()
    config.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
    config.JupyterHub.cookie_secret_file = f"{folder}/cookie_secret"
    config.JupyterHub.bind_url = f"http://127.0.0.1:{free_port()}"
    config.JupyterHub.hub_bind_url = f"http://127.0.0.1:{free_port()}"
    config.JupyterHub.authenticator_class = BillingAuthenticator
    config.JupyterHub.spawner_class = Standing
    config.JupyterHub.proxy_class = NoProxy
    config.JupyterHub.log_level = logging.ERROR
    config.Authenticator.allow_all = True
    config.DummyAuthenticator.password = "x" * 20
    # Passes begin when this program says so.
    config.CreditsAuthenticator.credits_task_interval = 86_400
    config.CreditsAuthenticator.credits_user = {
        "name": "default", "cap": 1_000_000, "grant_value": 1, "grant_interval": _UNIT_S,
    }  # fmt: skip
    config.CreditsSpawner.billing_interval = _UNIT_S
    hub = JupyterHub(config=config)
    await hub.initialize([])
    await hub.start()
    return hub


async def spawn_all(hub: JupyterHub, count: int) -> None:
    """Let each person log in and spawn, as the hub's pages do it."""
    for number in range(count):
        person = orm.User(name=f"s{number}")
        hub.db.add(person)
        hub.db.commit()
        user = hub.users[person]
        await hub.authenticator.run_post_auth_hook(None, {"name": user.name, "auth_state": None})
        await user.spawn("")


def let_due(hub: JupyterHub, how: str) -> None:
    """Set when each was billed last: all a unit ago, or at any time of the last unit."""
    for spawner in hub.db.query(orm.Spawner):
        # What was billed before its session began is taken for another session's.
        spawner.started = utcnow(with_tz=False) - timedelta(seconds=10 * _UNIT_S)
    people = hub.db.query(CreditsUser).all()
    for number, person in enumerate(people):
        ago_s = _UNIT_S if how == "all" else _PASS_EVERY_S + _UNIT_S * number / len(people)
        at = utcnow(with_tz=False) - timedelta(seconds=ago_s)
        for key in list(person.spawner_bills):
            person.spawner_bills[key] = at.isoformat()
        for values in person.credits_user_values:
            values.grant_last_update = at
            values.balance = values.cap // 2
    hub.db.commit()


def paid(hub: JupyterHub) -> int:
    return sum(
        values.cap // 2 - values.balance > 0
        for person in hub.db.query(CreditsUser).all()
        for values in person.credits_user_values
    )


async def one_pass(hub: JupyterHub, heart: Heart) -> dict[str, float]:
    """Run the peer's coroutine for one pass; it tells its end by its own hook."""
    commits, done = [0], asyncio.Event()
    hub.authenticator.credits_task_post_hook = done.set

    def count(_session: Any) -> None:
        commits[0] += 1

    event.listen(hub.db, "after_commit", count)
    await asyncio.sleep(0.1)
    heart.longest_s = 0.0
    began = time.perf_counter()
    running = asyncio.create_task(hub.authenticator.credit_reconciliation_task())
    await done.wait()
    seconds = time.perf_counter() - began
    await asyncio.sleep(0.05)
    longest_s = heart.longest_s
    event.remove(hub.db, "after_commit", count)
    running.cancel()
    return {"pass_s": seconds, "blocked_s": longest_s, "commits": commits[0], "paid": paid(hub)}


async def serve(folder: Path, count: int) -> None:
    Application([(".*", Ready)]).listen(SESSIONS_PORT, address="127.0.0.1")
    hub, heart = await started_hub(folder), Heart()
    beating = asyncio.create_task(heart.beat())
    await spawn_all(hub, count)
    await one_pass(hub, heart)
    loop = asyncio.get_running_loop()
    say({"ready": count})
    while (line := await loop.run_in_executor(None, sys.stdin.readline)).strip():
        told = json.loads(line)
        if "pass" in told:
            let_due(hub, told["pass"])
            say(await one_pass(hub, heart))
        elif told["watch"] == "begin":
            heart.longest_s = 0.0
            say({})
        else:
            say({"blocked_s": heart.longest_s})
    beating.cancel()


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
