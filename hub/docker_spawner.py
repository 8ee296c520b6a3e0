"""Sessions as Docker containers, each boxed in and with no more than its lease grants."""

import asyncio
import inspect
import resource
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, LogConfig, Ulimit
from dockerspawner import DockerSpawner

from hub.attentive import Attentive, Unseen
from hub.leased import Leased
from hub.names import safe_name
from hub.refusals import Refused

HOME = "/home/scholar"
# Enough for any notebook, too few for a fork bomb to matter to the others.
_PIDS = 4096
# Where this machine itself allows fewer, its engine cannot give more.
_OPEN_FILES = 65_536
_MIB = 1024 * 1024
# One slow pull must not hold up everybody's starts and looks (DockerSpawner has one thread).
_THREADS = 8
_SILENT = (APIError, DockerException, requests.RequestException, OSError)


class LabDockerSpawner(Attentive, Leased, DockerSpawner):
    """Each server is a container that carries its lease id in its name and labels.

    Containers are not removed here: the worker does that, after their end is in the books.
    """

    volumes: Any
    extra_create_kwargs: Any
    extra_host_config: Any

    _undoing: asyncio.Future[None] | None = None
    _executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.remove = False

    @property
    def will_resume(self) -> bool:
        """No container is ever started twice, so its access token ends with it."""
        return False

    # -- start ------------------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Make and start the container; return where its server listens.

        Raises:
            Refused: the engine could not.

        """
        # The hook chose these from the lab's own lists; nothing else of what people ask counts.
        if self.docker_image:
            self.image = self.docker_image
        self.object_id = ""
        self.object_name = f"gpulab-{self.sure_lease_id()}"
        self.mem_limit = f"{self.ram_mib}M"
        self.cpu_limit = self.cpus
        self.volumes = {**self.volumes, self.home_volume: HOME}
        starting: asyncio.Future[tuple[str, int]] = asyncio.ensure_future(super().start())
        try:
            return await asyncio.shield(starting)
        except _SILENT as error:
            self.log.error("container %s: %s", self.object_name, error)
            raise _could_not_start(error, self.image) from error
        except asyncio.CancelledError:
            # The engine goes on with what it was asked; whoever cancels does not stop that.
            self._undoing = asyncio.ensure_future(self._undo(starting, self.object_name))
            raise

    @property
    def home_volume(self) -> str:
        """The volume of the scholar's own files; it outlives every container."""
        return f"gpulab.{self.hub_id}.{safe_name(self.user.name)}"

    async def check_allowed(self, _image: str) -> str:
        """Take the image that the hook chose, whatever the options say."""
        chosen: str = self.image
        return chosen

    async def create_object(self) -> Any:
        """Make the container, with the lab's own rules over anything configured."""
        theirs = await _value_of(self, self.extra_create_kwargs)
        host = await _value_of(self, self.extra_host_config)
        kept = self.extra_create_kwargs, self.extra_host_config
        self.extra_create_kwargs = {**theirs, "labels": self._labels(theirs.get("labels", {}))}
        self.extra_host_config = {**host, **self._box(), **self._gpu()}
        try:
            return await super().create_object()
        finally:
            self.extra_create_kwargs, self.extra_host_config = kept

    def get_env(self) -> dict[str, str]:
        """Return the container's environment; what the image says about GPUs does not count."""
        env: dict[str, str] = super().get_env()
        env |= {
            "NVIDIA_VISIBLE_DEVICES": self.real_gpu() or "void",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
            "GPULAB_LEASE": self.lease_id,
            "GPULAB_FLAVOR": self.flavor_name,
        }
        return env | self.gpu_advice()

    def _labels(self, theirs: dict[str, str]) -> dict[str, str]:
        ours = {
            "gpulab.lease": self.lease_id,
            "gpulab.hub": self.hub_id,
            "gpulab.user": self.user.name,
            "gpulab.server": self.name,
            "gpulab.flavor": self.flavor_name,
        }
        return {**theirs, **{key: _literal(text) for key, text in ours.items()}}

    def _box(self) -> dict[str, Any]:
        """Keep what scholars run away from the machine and from each other."""
        ram_bytes = self.ram_mib * _MIB
        files = _open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        return {
            "privileged": False,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "pids_limit": _PIDS,
            "memswap_limit": ram_bytes,
            "shm_size": ram_bytes // 4,
            "ulimits": [
                Ulimit(name="nofile", soft=files, hard=files),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "init": True,
            "log_config": LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
            "tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=4g,mode=1777"},  # noqa: S108 - inside
            "restart_policy": {"Name": "no"},
            "ipc_mode": "private",
            "network_mode": self.network_name,
        }

    def _gpu(self) -> dict[str, Any]:
        """Give exactly the GPU of the lease, by its UUID, or none."""
        gpu = self.real_gpu()
        if not gpu:
            return {"device_requests": []}
        return {"device_requests": [DeviceRequest(device_ids=[gpu], capabilities=[["gpu"]])]}

    # -- look and stop ----------------------------------------------------------------------

    async def look(self) -> int | str | None:
        """Ask the engine whether the container runs."""
        # A hub that died in mid-start knows the lease, and by it the name, but not the id.
        name = self.object_id or (f"gpulab-{self.lease_id}" if self.lease_id else "")
        if not name:
            return 0
        try:
            found = await self.docker("inspect_container", name)
        except NotFound:
            return 0
        except _SILENT as error:
            raise Unseen(str(error)) from error
        self.object_id, self.object_name = found["Id"], found["Name"].removeprefix("/")
        state = found["State"]
        if state["Running"]:
            return None
        return "ExitCode={ExitCode}, Error='{Error}', FinishedAt={FinishedAt}".format(**state)

    async def get_url(self) -> str:
        """Return where a container listens that a restarted hub has found running."""
        try:
            ip, port = await self.get_ip_and_port()
        except _SILENT:
            url: str = self.server.url
            return url
        return f"http://{ip}:{port}{self.server.base_url}"

    async def _undo(self, starting: asyncio.Future[tuple[str, int]], name: str) -> None:
        try:
            await starting
        except _SILENT as error:
            self.log.info("a cancelled start of container %s failed: %s", name, error)
            return
        try:
            await self.docker("stop", name, timeout=0)
        except _SILENT as error:
            # The worker sees a container whose lease has ended, and ends it.
            self.log.warning("a cancelled start of container %s was not undone: %s", name, error)


def _open_files(machine_limit: int) -> int:
    """Bound a container's open files; an engine cannot give more than its machine allows."""
    if machine_limit == resource.RLIM_INFINITY:
        return _OPEN_FILES
    return min(_OPEN_FILES, machine_limit)


async def _value_of(spawner: Any, setting: Any) -> dict[str, Any]:
    value = setting(spawner) if callable(setting) else setting
    found = await value if inspect.isawaitable(value) else value
    return dict(found or {})


def _literal(text: str) -> str:
    """Keep braces as they are: DockerSpawner takes every text for a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _could_not_start(error: Exception, image: str) -> Refused:
    if isinstance(error, ImageNotFound) or (isinstance(error, NotFound) and "image" in str(error)):
        sentence = f"The image {image} is not on this machine, and it could not be fetched."
    elif isinstance(error, APIError):
        sentence = f"The container could not start: {error.explanation or error}."
    else:
        sentence = "The Docker engine of the lab does not answer just now. Try again in a minute."
    return Refused(sentence[:500], reason="docker", status_code=503)
