"""The body of "create a container", field by field: what is not here is refused; pure.

What goes to the engine is written anew from what was checked. The engine takes field names in any
case and the last of two equal ones; neither helps here, since it never sees the original.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from gate.errors import Refused
from gate.policy import FLAVOR, HUB, LEASE, NAME_PREFIX, SERVER, USER, Policy, in_short

_MIB = 1024 * 1024
_NO_GPU = frozenset({"void", "none"})
_GPUS_WANTED = "NVIDIA_VISIBLE_DEVICES"
# The others configure the driver on the host's side.
_NVIDIA = frozenset({_GPUS_WANTED, "NVIDIA_DRIVER_CAPABILITIES"})
# Older NVIDIA toolkits hand these on to what they run as root outside the container
# (CVE-2025-23266).
_HELD_BACK = frozenset({"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"})

Empty: TypeAlias = Annotated[list[None], Field(max_length=0)] | None
EmptyMap: TypeAlias = Annotated[dict[str, None], Field(max_length=0)] | None
Off: TypeAlias = Literal[False] | None
EmptyText: TypeAlias = Literal[""] | None


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_pascal,
        validate_by_name=False, validate_by_alias=True,
    )  # fmt: skip


class _Ulimit(_Part):
    name: Literal["nofile", "core", "nproc"]
    soft: int = Field(ge=0)
    hard: int = Field(ge=0)


class _LogBounds(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    max_size: str = Field(alias="max-size", pattern=r"^[0-9]{1,3}[km]$")
    max_file: str = Field(alias="max-file", pattern=r"^[0-9]$")


class _LogConfig(_Part):
    # Other drivers send what sessions print to an address of their choice.
    type: Literal["json-file"]
    config: _LogBounds


class _RestartPolicy(_Part):
    # A session that starts again by itself is one that nobody pays for.
    name: Literal["no", ""]
    maximum_retry_count: Literal[0] | None = None


class _DeviceRequest(_Part):
    driver: Literal["", "nvidia", "cdi"] | None = None
    count: Literal[0] | None = None
    device_ids: list[str] = Field(alias="DeviceIDs", min_length=1, max_length=8)
    capabilities: list[list[Literal["gpu"]]] | None = None
    options: EmptyMap = None


class _HostConfig(_Part):
    # Bounds that every session has.
    memory: int = Field(gt=0)
    memory_swap: int = Field(gt=0)
    memory_reservation: int | None = None
    pids_limit: int = Field(gt=0)
    cpu_quota: int | None = Field(default=None, gt=0)
    cpu_period: int | None = Field(default=None, gt=0)
    nano_cpus: int | None = Field(default=None, gt=0)
    cpu_shares: int | None = Field(default=None, ge=0)
    shm_size: int | None = Field(default=None, ge=0)
    ulimits: list[_Ulimit] | None = None
    storage_opt: dict[Literal["size"], Annotated[str, Field(pattern=r"^\d+[kmgKMG]?$")]] | None = (
        None
    )
    # The box.
    cap_drop: Annotated[list[Literal["ALL"]], Field(min_length=1, max_length=1)]
    cap_add: Empty = None
    security_opt: Annotated[
        list[Literal["no-new-privileges:true", "no-new-privileges"]],
        Field(min_length=1, max_length=1),
    ]
    privileged: Off = None
    readonly_rootfs: bool | None = None
    network_mode: str
    ipc_mode: Literal["private", "none"] | None = None
    pid_mode: EmptyText = None
    uts_mode: EmptyText = Field(default=None, alias="UTSMode")
    userns_mode: EmptyText = None
    cgroupns_mode: Literal["", "private"] | None = None
    cgroup_parent: EmptyText = None
    runtime: EmptyText = None
    isolation: EmptyText = None
    group_add: Empty = None
    oom_kill_disable: Off = None
    oom_score_adj: int | None = Field(default=None, ge=0, le=1000)
    sysctls: EmptyMap = None
    # What it sees of the machine.
    binds: list[str] | None = None
    mounts: Empty = None
    volumes_from: Empty = None
    volume_driver: EmptyText = None
    tmpfs: dict[str, str] | None = None
    devices: Empty = None
    device_cgroup_rules: Empty = None
    device_requests: Annotated[list[_DeviceRequest], Field(max_length=1)] | None = None
    links: Empty = None
    port_bindings: EmptyMap = None
    publish_all_ports: Off = None
    dns: Empty = None
    extra_hosts: Empty = None
    # Its life.
    log_config: _LogConfig
    restart_policy: _RestartPolicy | None = None
    # Who removes a container before its time is in the books loses the record of it.
    auto_remove: Off = None
    init: bool | None = None


class _Creation(_Part):
    image: str
    labels: dict[str, str]
    host_config: _HostConfig
    env: list[str]
    cmd: list[str] | None = None
    entrypoint: list[str] | None = None
    user: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,8}(:[1-9][0-9]{0,8})?)?$")] | None = None
    working_dir: str | None = None
    hostname: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,63}$")] | None = None
    domainname: EmptyText = None
    exposed_ports: dict[str, EmptyMap] | None = None
    volumes: dict[str, EmptyMap] | None = None
    tty: bool | None = None
    open_stdin: Off = None
    stdin_once: Off = None
    attach_stdin: Off = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    network_disabled: Off = None
    networking_config: EmptyMap = None
    mac_address: EmptyText = None
    stop_signal: EmptyText = None
    stop_timeout: int | None = Field(default=None, ge=0, le=600)
    healthcheck: dict[str, Any] | None = None
    runtime: EmptyText = None


def checked_creation(body: bytes, name: str, policy: Policy) -> bytes:
    """Return the body that the engine gets, with the image by its id.

    Raises:
        Refused: something in it is not for the lab's sessions.

    """
    try:
        wanted = _Creation.model_validate_json(body)
    except ValidationError as error:
        raise Refused(f"a session's container cannot have {in_short(error)}") from error
    image = policy.image_id(wanted.image)
    if image is None:
        raise Refused(f"the image {wanted.image[:200]} is none of those that the lab started with")
    for fault in _faults(wanted, name, policy):
        raise Refused(fault)
    written = wanted.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.dumps({**written, "Image": image}).encode()


def _faults(wanted: _Creation, name: str, policy: Policy) -> Iterator[str]:
    yield from _who(wanted.labels, name, policy)
    yield from _bounds(wanted.host_config, policy)
    for bind in wanted.host_config.binds or ():
        yield from _bind(bind, policy)
    yield from _gpus(wanted, policy)


def _who(labels: Mapping[str, str], name: str, policy: Policy) -> Iterator[str]:
    missing = {HUB, LEASE, USER, SERVER, FLAVOR} - labels.keys()
    if missing:
        yield f"the label {min(missing)} is missing"
        return
    if labels[HUB] != policy.hub_id:
        yield f"the label {HUB} names another hub"
    if not _is_uuid(labels[LEASE]) or name != f"{NAME_PREFIX}{labels[LEASE]}":
        yield f"its name has to be {NAME_PREFIX} and the id of its lease"


def _bounds(host: _HostConfig, policy: Policy) -> Iterator[str]:
    if host.network_mode != policy.network:
        yield f"its network has to be {policy.network}"
    if host.memory > policy.most_memory_bytes:
        yield f"more than {policy.most_memory_bytes // _MIB} MiB of memory are not to be had"
    if host.memory_swap != host.memory:
        yield "its memory has to have an end: swap is not to be had"
    if host.pids_limit > policy.most_pids:
        yield f"more than {policy.most_pids} processes are not to be had"
    if host.cpu_quota is None and host.nano_cpus is None:
        yield "its share of the processors has to have an end"


def _bind(bind: str, policy: Policy) -> Iterator[str]:
    source, _, rest = bind.partition(":")
    target, _, mode = rest.partition(":")
    if not target.startswith("/") or ":" in mode:
        yield f"the bind {bind[:200]} cannot be read"
    elif source in policy.folders:
        if mode != "ro":
            yield f"the folder {source[:200]} can only be read"
    elif not policy.owns_volume(source):
        yield f"{source[:200]} is no volume or folder of the lab"
    elif mode not in {"rw", "ro", ""}:
        yield f"the volume {source[:200]} cannot be had as {mode[:50]}"


def _gpus(wanted: _Creation, policy: Policy) -> Iterator[str]:
    """See that a container gets no GPU but those that it asks for by name.

    Where the NVIDIA runtime is the engine's default, the variable alone is enough to get them
    all, and an image may bring it; so it has to be there, and to say the same.
    """
    asked = {gpu.rpartition("=")[2] for request in wanted.host_config.device_requests or ()
             for gpu in request.device_ids}  # fmt: skip
    if not asked <= policy.gpus:
        yield f"{min(asked - policy.gpus)[:100]} is none of the lab's GPUs"
    variables = [text.partition("=") for text in wanted.env]
    for name, _, _ in variables:
        if name in _HELD_BACK or (name.startswith("NVIDIA_") and name not in _NVIDIA):
            yield f"the variable {name[:50]} is not for sessions"
    named = [set(value.split(",")) for name, _, value in variables if name == _GPUS_WANTED]
    if len(named) != 1:
        yield f"the variable {_GPUS_WANTED} has to be there once"
    elif named[0] != asked and not named[0] <= _NO_GPU:
        yield f"the variable {_GPUS_WANTED} names other GPUs than the request"


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def checked_volume(body: bytes, policy: Policy) -> bytes:
    """Return the body of "create a volume": a plain one with one of the lab's names.

    Raises:
        Refused: it is anything else; options of a volume can name any folder of the machine.

    """
    try:
        wanted = _Volume.model_validate_json(body)
    except ValidationError as error:
        raise Refused(f"a volume of the lab cannot have {in_short(error)}") from error
    if not policy.owns_volume(wanted.name):
        raise Refused(f"{wanted.name[:200]} is not the name of a volume of the lab")
    return wanted.model_dump_json(by_alias=True, exclude_unset=True).encode()


class _Volume(_Part):
    name: str
    driver: Literal["local", ""] | None = None
    driver_opts: dict[Literal["size"], Annotated[str, Field(pattern=r"^\d+[kmgKMG]?$")]] | None = (
        None
    )
    labels: dict[str, str] | None = None
