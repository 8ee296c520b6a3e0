"""What the socket gate is told: the images, network, GPUs and bounds of this lab.

`python -m lab.gating` writes the policy's file, for labs that something else than the launcher
starts.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from pydantic import Field, ValidationError
from requests.exceptions import RequestException

from api.gpus.choose import choose_gpus
from api.gpus.devices import GpuDevice, InventoryUnavailable
from lab.engine import connect
from lab.errors import CannotStart
from lab.secret_files import write_private
from lab.session_settings import SharedFolders
from quota.lab import Lab
from quota.lab_file import LabFileError, load_lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Where the gate's policy is, and where it listens."""

    policy: Path
    socket: Path


def gate_policy(
    lab: Lab,
    devices: Iterable[GpuDevice],
    *,
    image_ids: Mapping[str, str],
    machine_memory_bytes: int,
    hub_id: str,
    network: str,
    folders: Iterable[Path] = (),
) -> dict[str, Any]:
    """Write down what the lab's programs may have of the engine; pure.

    Flavors may grow while the lab runs, so the machine's memory is the bound and not theirs.
    """
    return {
        "hub_id": hub_id,
        "network": network,
        "images": {image.docker: image_ids[image.docker] for image in lab.images.values()},
        "folders": sorted(map(str, folders)),
        "gpus": sorted(one.uuid for one in devices if one.kind != "virtual"),
        "most_memory_bytes": machine_memory_bytes,
    }


def write_gate_policy(
    path: Path, lab: Lab, devices: Iterable[GpuDevice], *, hub_id: str, network: str,
    folders: Iterable[Path] = (),
) -> dict[str, str]:  # fmt: skip
    """Look up which images lab.yaml's references stand for now, and write the policy.

    Returns the ids of the images, which stay the same until the next start of the lab.

    Raises:
        CannotStart: the engine does not answer, or lacks an image.

    """
    try:
        client = connect()
        try:
            ids = {image.docker: str(client.images.get(image.docker).id)
                   for image in lab.images.values()}  # fmt: skip
            memory_bytes = int(client.info()["MemTotal"])
        finally:
            client.close()
    except (DockerException, RequestException, OSError) as error:
        raise CannotStart(f"the Docker engine cannot say what the images are: {error}") from error
    policy = gate_policy(
        lab, devices, image_ids=ids, machine_memory_bytes=memory_bytes, hub_id=hub_id,
        network=network, folders=folders,
    )  # fmt: skip
    write_private(path, json.dumps(policy, indent=2) + "\n")
    return ids


def shared_folders(settings: SharedFolders) -> tuple[Path, ...]:
    """Return the folders of this machine that sessions may read.

    Raises:
        CannotStart: one is not there, or has a name that the engine would misread.

    """
    found = tuple(one for one in (settings.datasets_dir, settings.models_dir) if one is not None)
    for folder in found:
        # The spawner takes braces for a template, the engine a colon for the end of a path.
        if set(":{}") & set(str(folder)) or not folder.is_absolute() or not folder.is_dir():
            raise CannotStart(
                f"{folder} cannot be shared with sessions: it has to be a folder, by its whole "
                "path, without : { } in it; see GPULAB_DATASETS_DIR and GPULAB_MODELS_DIR"
            )
    return found


class GatingSettings(SharedFolders):
    """What `python -m lab.gating` reads."""

    lab_file: Path = Field(default=Path("lab.yaml"), description="The lab's policy.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    docker_network: str = Field(default="gpulab", description="Docker network of the sessions.")
    gate_policy: Path = Field(description="What the gate lets through, as the launcher wrote it.")


def main() -> int:
    """Write the policy; the exit status tells whether it could."""
    os.umask(0o077)
    try:
        settings = GatingSettings()
        lab = load_lab(settings.lab_file)
        inventory, _why = choose_gpus(lab.gpus.mode, lab.gpus.declared)
        write_gate_policy(settings.gate_policy, lab, inventory.devices(), hub_id=settings.hub_id,
                          network=settings.docker_network,
                          folders=shared_folders(settings))  # fmt: skip
    except (CannotStart, LabFileError, InventoryUnavailable, ValidationError) as error:
        print(f"gpulab: {error}", file=sys.stderr)  # noqa: T201 - for a person at a terminal
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
