"""What the lab's programs are told: one set of variables for all of them; pure."""

from collections.abc import Mapping

from api.session_side.place import PREFIX as SESSION_PREFIX
from lab.gating import Gate
from lab.settings import LabSettings, venv_bin
from lab.state import State

_LOOPBACK = "127.0.0.1"
# Left over from a shell inside a session or another lab; programs of this one must not see them.
_FOREIGN = ("GPULAB_", "JUPYTERHUB_", "CONFIGPROXY_", "JPY_")


def program_environment(
    settings: LabSettings,
    state: State,
    *,
    spawner: str,
    hub_host: str = _LOOPBACK,
    gate: Gate | None = None,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of every program; `hub_host` is where sessions reach hub and service.

    With a gate, its socket is the only address of an engine that they are told.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(_FOREIGN)}
    hub_url = f"http://{hub_host}:{settings.hub_port}"
    path = f"{venv_bin()}:{kept.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    told = {
        "STATE_DIR": state.root,
        "LAB_FILE": settings.lab_file,
        "HUB_ID": settings.hub_id,
        "SECRETS_DIR": state.secrets,
        "SPAWNER": spawner,
        "DATABASE_URL": settings.books_url,
        "HUB_API_URL": f"{hub_url}/hub/api",
        "HUB_BIND_URL": hub_url,
        **_service(settings.service_port),
        **_session_listener(hub_host, settings.session_listener_port),
        "HOST": settings.host,
        "PORT": settings.port,
        "BIND_URL": settings.bind_url,
        "PUBLIC_HOST": settings.shared_host,
        "PROXY_API_PORT": settings.proxy_api_port,
        "PROXY_API_URL": f"http://{_LOOPBACK}:{settings.proxy_api_port}",
        "AUTHENTICATOR": settings.authenticator,
        "HUB_CONFIG": settings.hub_config or "",
        "DOCKER_NETWORK": settings.docker_network,
        "HOME_GIB": settings.home_gib,
        "DATASETS_DIR": settings.datasets_dir or "",
        "MODELS_DIR": settings.models_dir or "",
        "GPU_REQUESTS": settings.gpu_requests,
        "PROGRAM": "supervisor",
        **_metrics_ports(settings.metrics_port),
    }
    if gate is not None:
        told |= {"GATE_POLICY": gate.policy, "GATE_SOCKET": gate.socket}
        kept["DOCKER_HOST"] = f"unix://{gate.socket}"
    named = {f"GPULAB_{name}": str(value) for name, value in told.items()}
    # Unbuffered, so that a program's last words before a crash are in its log.
    return {**kept, **named, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _service(port: int) -> dict[str, object]:
    return {"SERVICE_HOST": _LOOPBACK, "SERVICE_PORT": port,
            "SERVICE_URL": f"http://{_LOOPBACK}:{port}"}  # fmt: skip


def _session_listener(host: str, port: int) -> dict[str, object]:
    """Tell the service where it listens to sessions, and the hub what it tells them of that."""
    return {"SESSION_LISTENER_HOST": host, "SESSION_LISTENER_PORT": port,
            "SESSION_API": f"http://{host}:{port}{SESSION_PREFIX}"}  # fmt: skip


def _metrics_ports(first: int) -> dict[str, int]:
    names = ("WORKER", "WATCHDOG", "PROXY")
    return {f"{name}_METRICS_PORT": first + number
            for number, name in enumerate(names if first else ())}  # fmt: skip
