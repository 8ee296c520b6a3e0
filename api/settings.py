"""Settings of service and worker: environment `GPULAB_*`, secrets from files of mode 0600."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class _LabSettings(BaseSettings):
    """What service and worker share. Nothing is read at import time, no secret has a default."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(description="SQLAlchemy URL of the books.")
    lab_file: Path = Field(description="The lab's policy, lab.yaml.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    hub_api_url: str = Field(
        default="http://127.0.0.1:8081/hub/api", description="The REST API of JupyterHub."
    )
    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")

    def secret(self, name: str) -> str:
        """Read one secret; a missing or empty one is an error, never a default."""
        text = (self.secrets_dir / name).read_text().strip()
        if not text:
            raise ValueError(f"the secret {name} is empty: {self.secrets_dir / name}")
        return text


class ApiSettings(_LabSettings):
    """The service."""

    service_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    service_port: int = Field(default=8090, ge=1, le=65535, description="Port to listen on.")
    body_limit_bytes: int = Field(
        default=65_536, ge=1024, le=1_048_576, description="Largest request body."
    )
    identity_cache_s: int = Field(
        default=30, ge=0, le=300, description="How long a token's owner is remembered."
    )


class WorkerSettings(_LabSettings):
    """The worker."""

    state_dir: Path = Field(description="The lab's state folder.")
    spawner: Literal["process", "docker"] = Field(description="What the sessions run in.")
    worker_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the worker's metrics; 0: none."
    )
    hub_stop_budget_s: float = Field(
        default=8.0, ge=0, le=60, description="How long the hub gets to stop a session."
    )
