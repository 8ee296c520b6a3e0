"""All looks, one after the other; none depends on another."""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator

from api.channels import AppriseNotifier
from api.cli_settings import CliSettings, database, unknown_variables
from api.doctor.engine import look_at_engine
from api.doctor.findings import Finding
from api.doctor.floors import judge
from api.doctor.machine import (
    look_at_clock,
    look_at_driver,
    look_at_folders,
    look_at_names,
    look_at_ports,
)
from api.doctor.parts import installed_parts
from api.doctor.securing import look_at_securing
from api.gpus.choose import choose_gpus
from api.gpus.devices import GpuDevice, InventoryUnavailable
from api.settings import CannotStart
from quota.errors import BooksUnavailable
from quota.gpu_sharing import sharing_in_force, warnings_for_operators
from quota.lab_file import LabFileError, load_lab
from quota.lab_gpus import GpuPolicy
from quota.lab_people import AttachRules
from quota.store.engine import journal_mode, ping
from quota.store.migrate import is_current


def examine(settings: CliSettings) -> list[Finding]:
    """Look at everything."""
    looks: tuple[Callable[[CliSettings], Iterator[Finding]], ...] = (
        _versions, _variables, look_at_folders, _books, _policy_and_gpus, look_at_driver,
        _channels, look_at_engine, look_at_securing, look_at_ports, look_at_names, look_at_clock,
    )  # fmt: skip
    return [finding for look in looks for finding in look(settings)]


def _versions(_settings: CliSettings) -> Iterator[Finding]:
    yield Finding("ok", f"Python {sys.version.split()[0]}")
    yield from map(judge, installed_parts())


def _variables(_settings: CliSettings) -> Iterator[Finding]:
    for name in unknown_variables():
        yield Finding("warn", f"{name} is no setting of the lab",
                      "docs/reference.md lists the settings")  # fmt: skip


def _books(settings: CliSettings) -> Iterator[Finding]:
    try:
        with database(settings) as engine:
            ping(engine)
            is_right, kind = is_current(engine), engine.dialect.name
    except (CannotStart, BooksUnavailable) as error:
        yield Finding("fail", f"the books do not open: {error}",
                      "start the lab once, or see that its database runs")  # fmt: skip
        return
    if is_right:
        yield Finding("ok", f"the books are in {kind}, at the version of this program")
    else:
        yield Finding("fail", "the books are of another version", "gpulab migrate")
    if kind == "sqlite":
        mode = journal_mode(sqlite3.sqlite_version_info[:3])
        why = "" if mode == "WAL" else " (WAL loses commits in this version)"
        yield Finding("ok", f"SQLite {sqlite3.sqlite_version}, journal mode {mode}{why}")


def sharing_findings(
    policy: GpuPolicy, devices: Iterable[GpuDevice], *, in_containers: bool
) -> Iterator[Finding]:
    """Say how GPUs are shared, and what is wrong or dangerous about that; pure."""
    known = [(one.uuid, one.kind, one.parent) for one in devices]
    modes = sorted({sharing_in_force(policy, uuid, kind) for uuid, kind, _ in known})
    yield Finding("ok", f"GPUs are shared: {', '.join(modes) or 'none are there'}")
    for what, remedy in warnings_for_operators(policy, known, in_containers=in_containers):
        yield Finding("warn", what, remedy)


def attach_findings(rules: AttachRules) -> Iterator[Finding]:
    """Warn of what TAs risk when they open scholars' sessions; pure."""
    if rules.accept_shared_origin:
        yield Finding(
            "warn",
            "lab.yaml accepts that TAs attach without subdomains: a scholar's page can then act "
            "as the TA who opens it",
            "set GPULAB_PUBLIC_HOST and take attach.accept_shared_origin away",
        )


def _policy_and_gpus(settings: CliSettings) -> Iterator[Finding]:
    try:
        lab = load_lab(settings.lab_file)
    except LabFileError as error:
        yield Finding("fail", str(error), "gpulab lab-file says it in full")
        return
    yield Finding("ok", f"{settings.lab_file} is right")
    yield from attach_findings(lab.attach)
    try:
        inventory, why = choose_gpus(lab.gpus.mode, lab.gpus.declared)
        devices = inventory.devices()
    except InventoryUnavailable as error:
        yield Finding("fail", f"lab.yaml wants real GPUs: {error}",
                      "mend the driver, or set gpus: mode: auto")  # fmt: skip
        return
    names = ", ".join(sorted({device.name for device in devices}))
    yield Finding("ok", f"{len(devices)} GPU(s): {names} ({why})")
    yield from sharing_findings(lab.gpus, devices, in_containers=settings.spawner == "docker")
    for name in lab.unplaceable(devices):
        yield Finding("warn", f"no GPU here can hold the flavor {name}",
                      f"change its gpu_models or memory_mib in {settings.lab_file}")  # fmt: skip


def _channels(settings: CliSettings) -> Iterator[Finding]:
    try:
        channels = load_lab(settings.lab_file).channels
    except LabFileError:
        return  # said already
    notifier = AppriseNotifier(settings.secrets)
    for name, channel in channels.items():
        fault = notifier.fault_of(channel)
        if fault is None:
            yield Finding("ok", f"the channel {name} has an address; to try it: "
                          f"gpulab notify --test {name}")  # fmt: skip
        else:
            yield Finding("fail", f"the channel {name} cannot be used: {fault}",
                          "see Notifications in docs/organizers.md")  # fmt: skip
