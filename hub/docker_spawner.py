"""Sessions as Docker containers, each boxed in and with no more than its lease grants."""

import asyncio
import inspect
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound
from dockerspawner import DockerSpawner
from traitlets import Enum, Int, Unicode

from hub import docker_box
from hub.attentive import Attentive, Unseen, ended_early
from hub.docker_errors import ENGINE_ERRORS, could_not_start, unsafe_volume
from hub.leased import Leased
from hub.names import safe_name

# Where this machine itself allows fewer, its engine cannot give more.
_OPEN_FILES = 65_536
# One slow pull must not hold up everybody's starts and looks (DockerSpawner has one thread).
_THREADS = 8


class LabDockerSpawner(Attentive, Leased, DockerSpawner):
    """Each server is a container that carries its lease id in its name and labels.

    Containers are not removed here: the worker does that, after their end is in the books.
    """

    volumes: Any
    read_only_volumes: Any
    extra_create_kwargs: Any
    extra_host_config: Any

    home_gib = Int(0, help="What a home may grow to, where the storage can; 0: no end.").tag(
        config=True
    )
    datasets_dir = Unicode("", help="Folder of the machine that sessions can read.").tag(
        config=True
    )
    models_dir = Unicode("", help="Cache of Hugging Face that sessions can read.").tag(config=True)
    gpu_requests = Enum(("uuid", "cdi"), "uuid", help="How a GPU is asked for.").tag(config=True)

    _undoing: asyncio.Future[None] | None = None
    _executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
    # What a reference of lab.yaml meant when it was first asked for, for this hub's whole life:
    # a tag that is moved changes no session until the lab starts again.
    _pins: dict[str, str] = {}  # noqa: RUF012 - one for all spawners
    _told_of_homes = False
    # Whether the engine's storage keeps quotas; seen when it makes a home that has an end.
    _keeps_quotas = False

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
        # The hook chose it from the lab's own list; nothing else of what people ask counts.
        reference = self.docker_image or self.image
        self.object_id = ""
        name = f"gpulab-{self.sure_lease_id()}"
        self.mem_limit = f"{self.ram_mib}M"
        self.cpu_limit = self.cpus
        starting: asyncio.Future[tuple[str, int]] = asyncio.ensure_future(
            self._start(reference, name)
        )
        try:
            return await asyncio.shield(starting)
        except ENGINE_ERRORS as error:
            self.log.error("container %s: %s", name, error)
            raise could_not_start(error, reference) from error
        except asyncio.CancelledError:
            # The engine goes on with what it was asked; whoever cancels does not stop that.
            self._undoing = asyncio.ensure_future(self._undo(starting, name))
            raise

    async def get_ip_and_port(self) -> tuple[str, int]:
        """Return where the container's server listens; one that has ended is nowhere."""
        ip, port = await super().get_ip_and_port()
        if not ip:
            raise ended_early(await self.poll() or "it has no address")
        return ip, port

    @property
    def home_volume(self) -> str:
        """The volume of the scholar's own files; it outlives every container."""
        return f"gpulab.{self.hub_id}.{safe_name(self.user.name)}"

    async def _start(self, reference: str, name: str) -> tuple[str, int]:
        if raw := docker_box.raw_name([*self.volumes, *self.read_only_volumes]):
            raise unsafe_volume(raw)
        self.image = await self._pinned(reference)
        # A change of the image gives the container another name: ours comes after it.
        self.object_name = name
        await self._make_home()
        shared = docker_box.shared(self.datasets_dir, self.models_dir)
        self.volumes = {**self.volumes, **shared, self.home_volume: docker_box.HOME}
        found: tuple[str, int] = await super().start()
        return found

    async def _pinned(self, reference: str) -> str:
        if known := self._pins.get(reference):
            return known
        await self.pull_image(reference)
        found = await self.docker("inspect_image", reference)
        image_id: str = self._pins.setdefault(reference, found["Id"])
        self.log.info("%s is %s until the lab starts again", reference, image_id)
        return image_id

    async def pull_image(self, image: str) -> None:
        """Fetch an image that is not here, if the policy is to do so."""
        # What was found by its id can be had nowhere else; a start says whether it is still here.
        if image.startswith("sha256:"):
            return
        if self.pull_policy != "always":
            try:
                await self.docker("inspect_image", image)
            except ImageNotFound:
                if self.pull_policy == "never":
                    raise
            else:
                return
        self.log.info("fetching %s", image)
        await self.docker("pull", image)

    async def _make_home(self) -> None:
        """Make the home's volume with an end, where the engine's storage keeps quotas."""
        if not self.home_gib:
            return
        size = {"size": f"{self.home_gib}g"}
        try:
            made = await self.docker("create_volume", self.home_volume, driver_opts=size)
            LabDockerSpawner._keeps_quotas |= "size" in (made.get("Options") or {})
        except APIError as error:
            if "quota" not in str(error.explanation).lower():
                raise
            if not self._told_of_homes:
                LabDockerSpawner._told_of_homes = True
                self.log.warning("homes have no end here: %s", error.explanation)

    async def check_allowed(self, _image: str) -> str:
        """Take the image that the hook chose, whatever the options say."""
        chosen: str = self.image
        return chosen

    async def create_object(self) -> Any:
        """Make the container, with the lab's own rules over anything configured."""
        theirs = await _value_of(self, self.extra_create_kwargs)
        host = await _value_of(self, self.extra_host_config)
        kept = self.extra_create_kwargs, self.extra_host_config
        labels = docker_box.labels(theirs.get("labels", {}), self._labels())
        self.extra_create_kwargs = {**theirs, "labels": labels}
        self.extra_host_config = {**host, **self._box()}
        try:
            return await self._create()
        finally:
            self.extra_create_kwargs, self.extra_host_config = kept

    async def _create(self) -> Any:
        if not self._keeps_quotas:
            return await super().create_object()
        boxed = self.extra_host_config
        try:
            self.extra_host_config = {**boxed, "storage_opt": {"size": docker_box.LAYER_SIZE}}
            return await super().create_object()
        except APIError as error:
            if not re.search("storage.opt", str(error.explanation), re.IGNORECASE):
                raise
        # It keeps them for volumes alone.
        LabDockerSpawner._keeps_quotas = False
        self.extra_host_config = boxed
        return await super().create_object()

    def get_env(self) -> dict[str, str]:
        """Return the container's environment; what the image says about GPUs does not count."""
        env: dict[str, str] = super().get_env()
        env |= docker_box.gpu_variables(self.real_gpu(), self.gpu_requests)
        env |= docker_box.shared_variables(self.datasets_dir, self.models_dir)
        return env | self.lab_variables() | self.gpu_advice()

    def _labels(self) -> dict[str, str]:
        return {
            "gpulab.lease": self.lease_id,
            "gpulab.hub": self.hub_id,
            "gpulab.user": self.user.name,
            "gpulab.server": self.name,
            "gpulab.flavor": self.flavor_name,
        }

    def _box(self) -> dict[str, Any]:
        boxed = docker_box.box(
            ram_mib=self.ram_mib, network=self.network_name, is_read_only=self.root_is_read_only,
            open_files=_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        )  # fmt: skip
        return {
            **boxed,
            "device_requests": docker_box.gpu_request(self.real_gpu(), self.gpu_requests),
        }

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
        except ENGINE_ERRORS as error:
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
        except ENGINE_ERRORS:
            url: str = self.server.url
            return url
        return f"http://{ip}:{port}{self.server.base_url}"

    async def _undo(self, starting: asyncio.Future[tuple[str, int]], name: str) -> None:
        try:
            await starting
        except ENGINE_ERRORS as error:
            self.log.info("a cancelled start of container %s failed: %s", name, error)
            return
        try:
            await self.docker("stop", name, timeout=0)
        except ENGINE_ERRORS as error:
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
