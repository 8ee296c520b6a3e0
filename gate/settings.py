"""Settings of the gate: environment `GPULAB_*`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GateSettings(BaseSettings):
    """Where the gate finds its policy and the engine, and where it listens."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    gate_policy: Path = Field(description="What the gate lets through, as the launcher wrote it.")
    gate_socket: Path = Field(description="The socket that hub and worker are given.")
    gate_engine: Path = Field(
        default=Path("/var/run/docker.sock"), description="The Docker engine's own socket."
    )
    gate_socket_mode: str = Field(
        default="600", pattern=r"^0?[0-7]{3}$", description="Who may use the gate's socket."
    )
