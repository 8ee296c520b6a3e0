"""The service as a process: `python -m api.serve`.

It listens at two places: at one for the hub, people and programs, at the other for sessions, which
reach that one alone.
"""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.app import build_routes, create_app
from api.logs import configure_logs
from api.session_side.app import create_session_side
from api.session_side.connections import BoundedConnection
from api.settings import ApiSettings
from api.starting import plain_exit, require_current
from quota.store.engine import open_engine

# Bounds for whoever connects: idle connections, header size, connections at once.
_KEEP_ALIVE_S = 30
_SESSION_KEEP_ALIVE_S = 5
_HEADERS_MOST_BYTES = 32_768
_CONNECTIONS_MOST = 512
_SHUTDOWN_S = 8


def server_config(settings: ApiSettings, app: FastAPI) -> uvicorn.Config:
    """Put the server together; only the proxy on this machine may say who a client was."""
    return _config(
        app, settings.service_host, settings.service_port,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_keep_alive=_KEEP_ALIVE_S,
        limit_concurrency=_CONNECTIONS_MOST,
    )  # fmt: skip


def session_config(settings: ApiSettings, app: FastAPI) -> uvicorn.Config:
    """Put the session listener together; nobody may say that a client was another."""
    return _config(
        app, settings.session_listener_host, settings.session_listener_port,
        http=BoundedConnection,
        proxy_headers=False,
        timeout_keep_alive=_SESSION_KEEP_ALIVE_S,
    )  # fmt: skip


def _config(app: FastAPI, host: str, port: int, **more: Any) -> uvicorn.Config:
    build_routes(app)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_SHUTDOWN_S,
        h11_max_incomplete_event_size=_HEADERS_MOST_BYTES,
        lifespan="on",
        **more,
    )


class _Server(uvicorn.Server):
    """A server that leaves the signals to whoever runs several of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(settings: ApiSettings) -> None:
    """Serve at both places until a signal, or until one of them cannot go on."""
    app = create_app(settings)
    sessions = create_session_side(app, settings)
    servers = (_Server(server_config(settings, app)),
               _Server(session_config(settings, sessions)))  # fmt: skip

    def stop(number: int) -> None:
        for one in servers:
            one.handle_exit(number, None)

    async def until_end(server: uvicorn.Server) -> None:
        try:
            await server.serve()
        finally:
            for one in servers:
                one.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    await asyncio.gather(*map(until_end, servers))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logs("service")
    with plain_exit():
        settings = ApiSettings()
        _check_books(settings)
        asyncio.run(serve(settings))


def _check_books(settings: ApiSettings) -> None:
    engine = open_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        require_current(engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
