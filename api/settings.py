"""Settings of service and worker: environment `GPULAB_*`, secrets from files of mode 0600."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CannotStart(Exception):
    """Something outside the program is not as it has to be; the text says what to do."""


class BooksSettings(BaseSettings):
    """Where the books are. Nothing is read at import time, no secret has a default."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(description="SQLAlchemy URL of the books.")


class DeskSettings(BooksSettings):
    """What it takes to use the books: whose they are, and the policy."""

    lab_file: Path = Field(description="The lab's policy, lab.yaml.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")


class _LabSettings(DeskSettings):
    """What service and worker share."""

    hub_api_url: str = Field(
        default="http://127.0.0.1:8081/hub/api", description="The REST API of JupyterHub."
    )
    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")

    def secret(self, name: str) -> str:
        """Read one secret; there is never a default.

        Raises:
            CannotStart: it is missing, empty or cannot be read.

        """
        path = self.secrets_dir / name
        try:
            text = path.read_text().strip()
        except OSError as error:
            raise CannotStart(f"The secret {path} cannot be read: {error.strerror}.") from error
        if not text:
            raise CannotStart(f"The secret {path} is empty; put one line into it.")
        return text


class ApiSettings(_LabSettings):
    """The service."""

    service_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    service_port: int = Field(default=8090, ge=1, le=65535, description="Port to listen on.")
    session_listener_host: str = Field(
        default="127.0.0.1", description="Address at which sessions reach the service: a listener "
        "of its own, with what is theirs.",
    )  # fmt: skip
    session_listener_port: int = Field(
        default=8091, ge=1, le=65535, description="Port of that listener."
    )
    public_host: str = Field(
        default="", pattern=r"^(https?://[^/\s]+)?$",
        description="Host for per-user subdomains, with scheme and port; empty for none: then "
        "TAs cannot attach.",
    )  # fmt: skip
    body_limit_bytes: int = Field(
        default=65_536, ge=1024, le=1_048_576, description="Largest request body."
    )
    requests_per_s: int = Field(
        default=10, ge=0, le=1000, description="How many requests a second each person may make, "
        "in the long run; 0: without end.",
    )  # fmt: skip
    requests_burst: int = Field(
        default=30, ge=1, le=10_000, description="How many requests at once each person may make."
    )
    identity_cache_s: int = Field(
        default=30, ge=0, le=300, description="How long a token's owner is remembered."
    )
    answer_within_s: float = Field(
        default=4.0,
        ge=0.1,
        le=30,
        description="When a caller is told 503 although the database has not answered yet.",
    )


class WorkerSettings(_LabSettings):
    """The worker."""

    state_dir: Path = Field(description="The lab's state folder, an absolute path.")
    spawner: Literal["process", "docker"] = Field(description="What the sessions run in.")
    worker_metrics_host: str = Field(
        default="127.0.0.1", description="Address of the worker's metrics."
    )
    worker_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the worker's metrics; 0: none."
    )
    worker_sends: bool = Field(
        default=True, description="Send notifications; false where a notifier runs."
    )
    hub_stop_budget_s: float = Field(
        default=8.0, ge=0, le=60, description="How long the hub gets to stop a session."
    )


class NotifierSettings(DeskSettings):
    """The notifier, where it is a program of its own: the books, and the channels' addresses."""

    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")
    notifier_metrics_host: str = Field(
        default="127.0.0.1", description="Address of the notifier's metrics."
    )
    notifier_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the notifier's metrics; 0: none."
    )


class WatchdogSettings(BaseSettings):
    """The watchdog: it knows the worker's file and the runtime, and no more."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    state_dir: Path = Field(description="The lab's state folder, an absolute path.")
    spawner: Literal["process", "docker"] = Field(description="What the sessions run in.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    watch_every_s: float = Field(default=5.0, ge=0.1, le=60, description="How often to look.")
    watch_grace_s: int = Field(default=20, ge=0, le=600, description="Time to stop by itself.")
    watchdog_metrics_host: str = Field(
        default="127.0.0.1", description="Address of the watchdog's metrics."
    )
    watchdog_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the watchdog's metrics; 0: none."
    )
    foreign_gpus: Literal["alarm", "stop"] = Field(
        default="alarm", description="What is done about containers with a GPU, not the lab's."
    )


# What only the hub, the launcher and the gate read; named here so that `gpulab check` can find a
# misspelled variable although the service knows nothing of their code.
OTHER_VARIABLES = frozenset(
    f"GPULAB_{name}"
    for name in (
        "SERVICE_URL", "BIND_URL", "HUB_BIND_URL", "PROXY_API_URL",
        "AUTHENTICATOR", "DOCKER_NETWORK", "HUB_CONFIG", "HOST", "PORT", "HUB_PORT",
        "PROXY_API_PORT", "PROGRAM", "SESSIONS_REACH", "SESSION_CALLERS",
        "SESSION_BRIDGE", "SESSION_API", "SESSION_LISTENER_AT",
        "HOME_GIB", "DATASETS_DIR", "MODELS_DIR", "GPU_REQUESTS",
        "GATE_POLICY", "GATE_SOCKET", "GATE_ENGINE", "GATE_SOCKET_MODE",
    )
)  # fmt: skip


def known_variables() -> frozenset[str]:
    """Name every environment variable of the lab."""
    own = {
        f"GPULAB_{name.upper()}"
        for settings in (ApiSettings, WorkerSettings, WatchdogSettings, NotifierSettings)
        for name in settings.model_fields
    }
    return OTHER_VARIABLES | own
