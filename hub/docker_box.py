"""What a session's container is held to, as the engine is told; pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from docker.types import DeviceRequest, LogConfig, Ulimit

HOME = "/home/scholar"
DATASETS = "/shared/datasets"
MODELS = "/shared/models"

# What a container may write beside its home and scratch, where the storage keeps quotas: room for
# packages that are installed for a session.
LAYER_SIZE = "10g"

GpuRequests = Literal["uuid", "cdi"]

# Enough for any notebook, too few for a fork bomb to matter to the others.
_PIDS = 4096
_MIB = 1024 * 1024
# In memory, and counted as the session's; without an end of their number, files of no size would
# take the kernel's memory.
_SCRATCH = "rw,exec,nosuid,nodev,size=4g,nr_inodes=256k,mode=1777"
_SMALL_SCRATCH = "rw,exec,nosuid,nodev,size=256m,nr_inodes=16k,mode=1777"


def box(*, ram_mib: int, network: str, is_read_only: bool, open_files: int) -> dict[str, Any]:
    """Keep what scholars run away from the machine and from each other."""
    ram_bytes = ram_mib * _MIB
    tmpfs = {"/tmp": _SCRATCH}  # noqa: S108 - inside
    if is_read_only:
        tmpfs |= {"/var/tmp": _SMALL_SCRATCH}  # noqa: S108 - inside
    return {
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": _PIDS,
        "memswap_limit": ram_bytes,
        "shm_size": ram_bytes // 4,
        "ulimits": [
            Ulimit(name="nofile", soft=open_files, hard=open_files),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "init": True,
        "log_config": LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
        "tmpfs": tmpfs,
        "read_only": is_read_only,
        "restart_policy": {"Name": "no"},
        "ipc_mode": "private",
        "network_mode": network,
    }


def gpu_request(gpu: str, how: GpuRequests) -> list[DeviceRequest]:
    """Ask for exactly one GPU or MIG instance, by its UUID; for none if there is none."""
    if not gpu:
        return []
    if how == "cdi":
        return [DeviceRequest(driver="cdi", device_ids=[f"nvidia.com/gpu={gpu}"])]
    return [DeviceRequest(device_ids=[gpu], capabilities=[["gpu"]])]


def gpu_variables(gpu: str, how: GpuRequests) -> dict[str, str]:
    """Say to NVIDIA's runtime what the session has; what the image says does not count."""
    # By CDI the engine gives the device itself, and the runtime's own way has to be shut.
    visible = gpu if gpu and how == "uuid" else "void"
    return {"NVIDIA_VISIBLE_DEVICES": visible, "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}


def shared(datasets: str, models: str) -> dict[str, dict[str, str]]:
    """Name the folders of the machine that every session can read, as DockerSpawner wants them."""
    places = ((datasets, DATASETS), (models, MODELS))
    return {source: {"bind": target, "mode": "ro"} for source, target in places if source}


def shared_variables(datasets: str, models: str) -> dict[str, str]:
    """Tell a session where the shared folders are."""
    found = {"GPULAB_DATASETS": datasets and DATASETS, "GPULAB_MODELS": models and MODELS}
    return {name: place for name, place in found.items() if place}


def raw_name(sources: Iterable[str]) -> str:
    """Return a volume or folder that is named by people's own words; empty for none.

    DockerSpawner puts these in as they are: `..` in a name would lead out of the folder.
    """
    return next((one for one in sources if "{raw_" in one), "")


def literal(text: str) -> str:
    """Keep braces as they are: DockerSpawner takes every text for a template."""
    return text.replace("{", "{{").replace("}", "}}")


def labels(theirs: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Label a container, with the lab's own labels over all others."""
    return {**theirs, **{key: literal(text) for key, text in ours.items()}}
