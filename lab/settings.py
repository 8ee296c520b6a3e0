"""Settings of the launcher: flags, else environment `GPULAB_*`, else what suits one machine."""

import re
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from lab.egress import networks_in
from lab.session_settings import SessionSettings

Spawner = Literal["auto", "docker", "process"]

PROJECT = Path(__file__).resolve().parent.parent


class LabSettings(SessionSettings):
    """One lab on one machine."""

    state_dir: Path = Field(default=Path(".state"), description="Where everything is kept.")
    lab_file: Path = Field(default=Path("lab.yaml"), description="The lab's policy.")
    spawner: Spawner = Field(default="auto", description="What sessions run in.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback only.")
    port: int = Field(default=8000, description="Port that people use.", ge=1, le=65535)
    hub_port: int = Field(default=8081, description="The hub's own port.", ge=1, le=65535)
    proxy_api_port: int = Field(default=8001, description="Where the hub tells the proxy.",
                                ge=1, le=65535)  # fmt: skip
    service_port: int = Field(default=8090, description="The service's port.", ge=1, le=65535)
    session_listener_port: int = Field(
        default=8091, description="Where sessions reach the service.", ge=1, le=65535
    )
    public_host: str | None = Field(
        default=None, description="Address with a name of its own per person; empty for none."
    )
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    authenticator: str = Field(default="demo", description="`demo`, or one of JupyterHub's.")
    hub_config: Path | None = Field(
        default=None, description="The site's own configuration of JupyterHub, read last."
    )
    docker_network: str = Field(default="gpulab", pattern=r"^[a-zA-Z0-9][\w.-]{0,63}$",
                                description="Docker network of the sessions.")  # fmt: skip
    database_url: str | None = Field(
        default=None, description="The books; in the state folder if left out."
    )
    sessions_reach: str = Field(
        default="", description="Private addresses or networks that sessions may reach all the "
        "same, with commas between them.",
    )  # fmt: skip

    @field_validator("state_dir", "lab_file", "hub_config", "datasets_dir", "models_dir")
    @classmethod
    def _whole_path(cls, path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    @field_validator("public_host")
    @classmethod
    def _has_scheme(cls, address: str | None) -> str | None:
        if address and not re.match(r"^https?://[^/]+$", address):
            raise ValueError("write it like http://lab.localhost:8000")
        return address

    @field_validator("sessions_reach")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks_in(text)
        return text

    @property
    def address(self) -> str:
        """Where people go."""
        return self.shared_host or self.bind_url

    @property
    def shared_host(self) -> str:
        """The host of which every person's server is a subdomain; empty for none."""
        # Browsers send every name below localhost to this machine, so that it works without DNS.
        return (
            f"http://lab.localhost:{self.port}" if self.public_host is None else self.public_host
        )

    @property
    def bind_url(self) -> str:
        """Where the proxy listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def books_url(self) -> str:
        """The SQLAlchemy URL of the books."""
        return self.database_url or f"sqlite:///{self.state_dir / 'books.sqlite'}"


def venv_bin() -> Path:
    """Return the folder of the interpreter that runs this, where its programs are too."""
    return Path(sys.executable).parent
