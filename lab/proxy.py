"""How the proxy is started: as JupyterHub would start one of its own; pure."""

from collections.abc import Mapping
from pathlib import Path

# configurable-http-proxy takes its secret from the environment only. Read from its file at each
# start, it stands in no configuration and in no other program's environment. A shell does that
# at once, where an interpreter would keep everybody offline for another second after a crash.
_READ_SECRET = 'CONFIGPROXY_AUTH_TOKEN=$(cat "$0") exec "$@"'  # noqa: S105 - no secret


def proxy_command(
    node: Path, program: Path, *, secret: Path, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the command that becomes the proxy."""
    port = environment.get("GPULAB_PROXY_METRICS_PORT", "")
    metrics = ("--metrics-ip", "127.0.0.1", "--metrics-port", port) if port else ()
    routing = ("--host-routing",) if environment["GPULAB_PUBLIC_HOST"] else ()
    return (
        "/bin/sh", "-c", _READ_SECRET, str(secret),
        str(node), str(program),
        "--ip", environment["GPULAB_HOST"], "--port", environment["GPULAB_PORT"],
        "--api-ip", "127.0.0.1", "--api-port", environment["GPULAB_PROXY_API_PORT"],
        "--error-target", f"{environment['GPULAB_HUB_BIND_URL']}/hub/error",
        "--log-level", "warn", *metrics, *routing,
    )  # fmt: skip
