"""The settings of the hub process: one frozen class, read once by jupyterhub_config.py."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from lab.session_settings import SessionSettings


class HubSettings(SessionSettings):
    """Where the hub finds things. Nothing is read at import time, no secret has a default."""

    state_dir: Path = Field(description="The lab's state folder.")
    lab_file: Path = Field(description="The lab's policy, lab.yaml.")
    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    spawner: Literal["process", "docker"] = Field(description="What the sessions run in.")
    service_url: str = Field(
        default="http://127.0.0.1:8090", description="The service, as the hub reaches it."
    )
    session_api: str = Field(
        default="", description="Where sessions reach the service's listener for them; empty for "
        "none.",
    )  # fmt: skip
    bind_url: str = Field(
        default="http://127.0.0.1:8000", description="The public address, as people type it."
    )
    public_host: str = Field(
        default="",
        description="Host for per-user subdomains, with scheme and port; empty for none.",
    )
    hub_bind_url: str = Field(
        default="http://127.0.0.1:8081", description="Where the hub listens for its sessions."
    )
    proxy_api_url: str = Field(
        default="http://127.0.0.1:8001", description="The REST API of the proxy."
    )
    authenticator: str = Field(
        default="demo",
        description="`demo`, or an authenticator of JupyterHub by name or dotted class.",
    )
    docker_network: str = Field(default="gpulab", description="The Docker network of the lab.")
    hub_config: Path | None = Field(
        default=None,
        description="The site's own configuration of JupyterHub, read last: what its "
        "authenticator needs, for example.",
    )

    @field_validator("hub_config", mode="before")
    @classmethod
    def _no_path_is_none(cls, value: object) -> object:
        return value or None

    @property
    def is_https(self) -> bool:
        """Tell whether people come by HTTPS, so that cookies may insist on it."""
        return (self.public_host or self.bind_url).startswith("https://")

    def secret(self, name: str) -> str:
        """Read one secret; a missing or empty one is an error, never a default."""
        path = self.secrets_dir / name
        text = path.read_text().strip()
        if not text:
            raise ValueError(f"the secret {name} is empty: {path}")
        return text
