"""What the lab's programs may have of the engine: a small file that the launcher writes."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ImageId = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
NAME_PREFIX = "gpulab-"
HUB, LEASE, USER, SERVER, FLAVOR = (
    f"gpulab.{word}" for word in ("hub", "lease", "user", "server", "flavor")
)


class PolicyUnusable(Exception):
    """The policy's file cannot be used; the text says why."""


class Policy(BaseModel):
    """The lab's images, places and bounds. Whatever is not named here is not to be had."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hub_id: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    network: str = Field(pattern=r"^[a-zA-Z0-9][\w.-]{0,63}$")
    # A reference of lab.yaml, and the one image that it stood for when the lab was started.
    images: dict[str, ImageId]
    # Folders of this machine that sessions may read.
    folders: frozenset[str] = frozenset()
    # GPUs by their UUIDs, MIG instances too.
    gpus: frozenset[str] = frozenset()
    most_memory_bytes: int = Field(gt=0)
    most_pids: int = Field(default=4096, gt=0)

    @property
    def volume_prefix(self) -> str:
        """How the names of the lab's volumes begin."""
        return f"gpulab.{self.hub_id}."

    @property
    def label(self) -> str:
        """The label by which the engine finds the lab's containers."""
        return f"{HUB}={self.hub_id}"

    def owns_volume(self, name: str) -> bool:
        """Tell whether a name can only be that of a volume of the lab."""
        rest = name.removeprefix(self.volume_prefix)
        return rest != name and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}", rest) is not None

    def image_id(self, reference: str) -> str | None:
        """Return which image a reference stands for in this lab; None for none."""
        if reference in self.images.values():
            return reference
        return self.images.get(reference)


def read_policy(path: Path) -> Policy:
    """Read the file.

    Raises:
        PolicyUnusable: it is not there or not right.

    """
    try:
        return Policy.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PolicyUnusable(
            f"the gate's policy {path} cannot be read: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise PolicyUnusable(f"the gate's policy {path}: {in_short(error)}") from error


def in_short(error: ValidationError) -> str:
    """Say the first fault with its place."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the text'}: {first['msg']}"
