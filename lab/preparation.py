"""Everything that is decided and written before the first program starts."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from api.gpus.choose import choose_gpus
from api.gpus.devices import GpuDevice, InventoryUnavailable
from lab.checks import check_ports, find_proxy
from lab.engine import Choice, EngineLook, choose_spawner, engine_socket, look_at_engine
from lab.environment import program_environment
from lab.errors import CannotStart
from lab.gating import Gate, shared_folders, write_gate_policy
from lab.network import ensure_network
from lab.people import Person, people_of
from lab.programs import lab_programs, supervisor_config
from lab.proxy import proxy_command
from lab.secret_files import demo_passwords, make_secrets, write_private
from lab.securing import Shortcoming, secure_sessions
from lab.settings import PROJECT, LabSettings, venv_bin
from lab.state import State
from lab.supervised import socket_path
from quota.errors import BooksUnavailable
from quota.lab import Lab
from quota.store.engine import open_engine
from quota.store.migrate import is_current, upgrade

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lab that is ready to be started."""

    settings: LabSettings
    state: State
    lab: Lab
    choice: Choice
    devices: tuple[GpuDevice, ...]
    why_gpus: str
    accounts: Mapping[Person, str]
    environment: Mapping[str, str]
    shortcomings: tuple[Shortcoming, ...] = ()


def prepare_lab(
    settings: LabSettings, state: State, lab: Lab, tell: Callable[[str], None]
) -> Prepared:
    """Check, choose and write; what is wrong comes out before anything starts.

    Raises:
        CannotStart: with the reason.

    """
    node, program = find_proxy()
    if settings.hub_config is not None and not settings.hub_config.is_file():
        raise CannotStart(
            f"GPULAB_HUB_CONFIG names no file: {settings.hub_config}; leave it out, or put the "
            "hub's further configuration there"
        )
    choice = _choose(settings, lab)
    devices, why_gpus = _gpus(lab)
    uses_docker = choice.spawner == "docker"
    network = ensure_network(settings.docker_network) if uses_docker else None
    hub_host = network.gateway if network else _LOOPBACK
    check_ports({
        "GPULAB_PORT": (settings.host, settings.port),
        "GPULAB_HUB_PORT": (hub_host, settings.hub_port),
        "GPULAB_SERVICE_PORT": (_LOOPBACK, settings.service_port),
        "GPULAB_SESSION_LISTENER_PORT": (hub_host, settings.session_listener_port),
        "GPULAB_PROXY_API_PORT": (_LOOPBACK, settings.proxy_api_port),
    })  # fmt: skip
    make_secrets(state.secrets)
    accounts = _accounts(settings, state, lab)
    _migrate(settings.books_url, tell)
    engine = engine_socket(os.environ) if uses_docker else None
    gate = _gate(settings, state, lab, devices, tell) if uses_docker else None
    state.securing.unlink(missing_ok=True)
    shortcomings = secure_sessions(settings, state, network) if network else ()
    environment = program_environment(
        settings, state, spawner=choice.spawner, hub_host=hub_host, gate=gate,
        inherited=os.environ,
    )  # fmt: skip
    proxy = proxy_command(
        node, program, secret=state.secrets / "proxy_token", environment=environment
    )
    _write_supervisor_config(state, proxy, engine)
    return Prepared(
        settings=settings, state=state, lab=lab, choice=choice, devices=devices,
        why_gpus=why_gpus, accounts=accounts, environment=environment,
        shortcomings=shortcomings,
    )  # fmt: skip


def _choose(settings: LabSettings, lab: Lab) -> Choice:
    if settings.spawner == "process":
        return choose_spawner("process", EngineLook(trouble=""))
    images = [image.docker for image in lab.images.values()]
    return choose_spawner(settings.spawner, look_at_engine(images))


def _gpus(lab: Lab) -> tuple[tuple[GpuDevice, ...], str]:
    try:
        inventory, why = choose_gpus(lab.gpus.mode, lab.gpus.declared)
        return inventory.devices(), why
    except InventoryUnavailable as error:
        raise CannotStart(
            f"lab.yaml asks for NVIDIA GPUs, and {error}; mend the driver, or write "
            "'mode: auto' or 'mode: declared' below 'gpus'"
        ) from error


def _accounts(settings: LabSettings, state: State, lab: Lab) -> dict[Person, str]:
    """Return who may log in with which password; other authenticators have their own."""
    if settings.authenticator != "demo":
        return {}
    people = people_of(lab)
    words = demo_passwords(state.secrets, [person.name for person in people])
    return {person: words[person.name] for person in people}


def _migrate(url: str, tell: Callable[[str], None]) -> None:
    try:
        engine = open_engine(url, pool_size=1)
        try:
            if not is_current(engine):
                tell("Preparing the books of GPU time")
                upgrade(engine)
        finally:
            engine.dispose()
    except (BooksUnavailable, SQLAlchemyError) as error:
        # The driver's own words; SQLAlchemy's go on for lines.
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise CannotStart(
            f"the books of GPU time cannot be opened ({reason}); see GPULAB_DATABASE_URL, or put "
            "back a copy of books.sqlite in the state folder"
        ) from error


def _gate(
    settings: LabSettings, state: State, lab: Lab, devices: tuple[GpuDevice, ...],
    tell: Callable[[str], None],
) -> Gate:  # fmt: skip
    gate = Gate(policy=state.root / "gate.json", socket=socket_path(state, "gate"))
    ids = write_gate_policy(
        gate.policy, lab, devices, hub_id=settings.hub_id, network=settings.docker_network,
        folders=shared_folders(settings),
    )  # fmt: skip
    for reference, image_id in ids.items():
        tell(f"Sessions with {reference} get {image_id[:19]} until the lab starts again")
    return gate


def _write_supervisor_config(state: State, proxy: tuple[str, ...], engine: Path | None) -> None:
    text = supervisor_config(
        lab_programs(venv_bin() / "python", PROJECT, proxy=proxy, engine=engine),
        state_dir=state.root,
        logs=state.logs,
        socket=socket_path(state),
    )
    write_private(state.supervisor_config, text)
