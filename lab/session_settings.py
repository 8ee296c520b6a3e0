"""What launcher, hub and gate are told of sessions, said once: the same names and bounds."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SharedFolders(BaseSettings):
    """Folders of the machine that all sessions can read."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    datasets_dir: Path | None = Field(
        default=None, description="Folder that all sessions can read, as /shared/datasets."
    )
    models_dir: Path | None = Field(
        default=None, description="Cache of Hugging Face that all sessions can read, as "
        "/shared/models.",
    )  # fmt: skip

    @field_validator("datasets_dir", "models_dir", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        return value or None


class SessionSettings(SharedFolders):
    """What a session in a container gets."""

    home_gib: int = Field(default=20, ge=0, le=1_000_000, description="GiB that each person may "
                          "keep, where the engine's storage has quotas; 0: no end.")  # fmt: skip
    gpu_requests: Literal["uuid", "cdi"] = Field(
        default="uuid", description="How the engine is asked for a GPU: `uuid`, by NVIDIA's "
        "runtime; `cdi`, by the names that `nvidia-ctk cdi generate` writes.",
    )  # fmt: skip
