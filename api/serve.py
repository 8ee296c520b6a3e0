"""The service as a process: `python -m api.serve`."""

import uvicorn

from api.app import build_routes, create_app
from api.logs import configure_logs
from api.settings import ApiSettings
from api.starting import plain_exit, require_current
from quota.store.engine import open_engine

# Bounds for whoever connects: idle connections, header size, connections at once.
_KEEP_ALIVE_S = 30
_HEADERS_MOST_BYTES = 32_768
_CONNECTIONS_MOST = 512
_SHUTDOWN_S = 8


def server_config(settings: ApiSettings) -> uvicorn.Config:
    """Put the server together; only the proxy on this machine may say who a client was."""
    app = create_app(settings)
    build_routes(app)
    return uvicorn.Config(
        app,
        host=settings.service_host,
        port=settings.service_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        limit_concurrency=_CONNECTIONS_MOST,
        h11_max_incomplete_event_size=_HEADERS_MOST_BYTES,
        lifespan="on",
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logs("service")
    with plain_exit():
        settings = ApiSettings()
        _check_books(settings)
        uvicorn.Server(server_config(settings)).run()


def _check_books(settings: ApiSettings) -> None:
    engine = open_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        require_current(engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
