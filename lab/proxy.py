"""The proxy program: becomes configurable-http-proxy, whose secret comes from a file."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.checks import proxy_command


class ProxySettings(BaseSettings):
    """Where the proxy listens and whom it serves."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, description="Port that people use.")
    proxy_api_port: int = Field(default=8001, description="Where the hub tells it what is where.")
    public_host: str = Field(default="", description="Host with a subdomain for each person.")
    hub_bind_url: str = Field(default="http://127.0.0.1:8081", description="The hub.")


def arguments(settings: ProxySettings) -> tuple[str, ...]:
    """Return the proxy's arguments: those that JupyterHub would give to a proxy of its own."""
    routing = ("--host-routing",) if settings.public_host else ()
    return (
        "--ip", settings.host, "--port", str(settings.port),
        "--api-ip", "127.0.0.1", "--api-port", str(settings.proxy_api_port),
        "--error-target", f"{settings.hub_bind_url}/hub/error",
        "--log-level", "warn", *routing,
    )  # fmt: skip


def main() -> None:
    """Replace this process by the proxy."""
    settings = ProxySettings()
    node, program = proxy_command()
    secret = (settings.secrets_dir / "proxy_token").read_text().strip()
    environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": secret}
    command = [str(node), str(program), *arguments(settings)]
    os.execve(node, command, environment)  # noqa: S606 - nothing of it comes from outside


if __name__ == "__main__":
    main()
