"""The machine under the lab: disk, ports, names, clock, driver."""

import ctypes
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import disk_usage
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from api.cli_settings import CliSettings
from api.doctor.findings import Finding
from api.doctor.floors import version_in
from api.doctor.parts import said_by

_LEAST_FREE_BYTES = 1_000_000_000
_LEAST_FREE_FILES = 100_000
# From this driver on the kernel holds sessions to their share of a GPU's memory.
_HOLDS_MEMORY = 615
# What adjtimex answers when nothing keeps the clock right.
_CLOCK_IS_FREE = 5
_TIMEX_BYTES = 512
# The engine writes it into every container.
_IN_CONTAINER = Path("/.dockerenv")


class PlaceSettings(CliSettings):
    """Where the lab listens, as the launcher is told."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, description="Port that people use.")
    hub_port: int = Field(default=8081, description="The hub's own port.")
    proxy_api_port: int = Field(default=8001, description="Where the hub tells the proxy.")
    service_port: int = Field(default=8090, description="The service's port.")
    session_listener_port: int = Field(default=8091, description="The sessions' way to it.")
    public_host: str | None = Field(default=None, description="Address with subdomains.")


def look_at_folders(settings: CliSettings) -> Iterator[Finding]:
    """See that the state is private, and that there is room."""
    root = settings.state_dir
    if not root.is_dir():
        yield Finding("fail", f"the state folder {root} is not there",
                      "run this in the lab's folder, or set GPULAB_STATE_DIR")  # fmt: skip
        return
    yield _private(root, "the state folder", "700")
    if not os.access(root, os.W_OK):
        yield Finding("fail", f"the state folder {root} cannot be written",
                      "run as the user whom it belongs to")  # fmt: skip
    secrets = root / "secrets"
    for path in sorted(secrets.iterdir()) if os.access(secrets, os.R_OK) else ():
        yield _private(path, "the secret", "600")
    yield room_of(root, "where the state folder is")


def room_of(folder: Path, place: str) -> Finding:
    """Judge the room on the disk of a folder."""
    room = os.statvfs(folder)
    free_files = room.f_favail if room.f_files else None
    return room_finding(disk_usage(folder).free, free_files, place)


def room_finding(free_bytes: int, free_files: int | None, place: str) -> Finding:
    """Judge the room at a place; pure."""
    if free_bytes < _LEAST_FREE_BYTES:
        return Finding("warn", f"{free_bytes // 1_000_000} MB are free {place}",
                       "make room; a full disk stops new sessions")  # fmt: skip
    if free_files is not None and free_files < _LEAST_FREE_FILES:
        return Finding("warn", f"{free_files} more files fit {place}",
                       "remove some; a full disk stops new sessions")  # fmt: skip
    return Finding("ok", f"{free_bytes // 1_000_000_000} GB are free {place}")


def _private(path: Path, what: str, mode: str) -> Finding:
    open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
    if open_to:
        return Finding("fail", f"{what} {path} is open to other users", f"chmod {mode} {path}")
    return Finding("ok", f"{what} {path.name} is private")


def look_at_ports(settings: CliSettings) -> Iterator[Finding]:
    """See that nobody else has the lab's ports; a lab that runs has them itself."""
    if _IN_CONTAINER.exists():
        yield Finding("ok", "in containers the engine gives the ports")
        return
    if _lab_runs(settings.state_dir / "launcher.lock"):
        yield Finding("ok", "the lab runs, and has its ports")
        return
    place = PlaceSettings()
    ports = {
        "PORT": place.port, "HUB_PORT": place.hub_port, "SERVICE_PORT": place.service_port,
        "SESSION_LISTENER_PORT": place.session_listener_port,
        "PROXY_API_PORT": place.proxy_api_port,
    }  # fmt: skip
    taken = {name: port for name, port in ports.items() if _is_taken(place.host, port)}
    for name, port in taken.items():
        yield Finding("fail", f"port {port} is in use by another program",
                      f"stop that one, or set GPULAB_{name}")  # fmt: skip
    if not taken:
        yield Finding("ok", f"the ports {', '.join(map(str, ports.values()))} are free")


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _lab_runs(lock: Path) -> bool:
    try:
        with lock.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def look_at_names(_settings: CliSettings) -> Iterator[Finding]:
    """See that each person's own name leads here."""
    yield from name_findings(PlaceSettings().public_host, _resolves)


def name_findings(address: str | None, resolves: Callable[[str], bool]) -> Iterator[Finding]:
    """Judge the public address."""
    if address is None:
        yield Finding("ok", "lab.localhost and all names below it are this machine to browsers")
        return
    if not address:
        yield Finding("warn", "all sessions share one address, so one page can act as another",
                      "set GPULAB_PUBLIC_HOST; without it TAs cannot attach")  # fmt: skip
        return
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        yield Finding("ok", f"{host} and all names below it are this machine to browsers")
        return
    for name in (host, f"somebody.{host}"):
        if not resolves(name):
            yield Finding("fail", f"the name {name} leads nowhere",
                          f"add {host} and *.{host} to your DNS")  # fmt: skip
            return
    yield Finding("ok", f"{host} and the names below it are known")
    if parts.scheme != "https":
        yield Finding("warn", f"{address} is not encrypted: passwords travel in the clear",
                      "put HTTPS before it, see docs/docker-host.md")  # fmt: skip


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def look_at_clock(_settings: CliSettings) -> Iterator[Finding]:
    """See that something keeps the clock right."""
    ask = getattr(ctypes.CDLL(None), "adjtimex", None)
    if ask is not None:
        yield clock_finding(ask(ctypes.create_string_buffer(_TIMEX_BYTES)))


def clock_finding(answer: int) -> Finding:
    """Judge the kernel's answer; pure."""
    if answer == _CLOCK_IS_FREE:
        return Finding("warn", "nothing keeps the clock of this machine right",
                       "start an NTP service, such as systemd-timesyncd or chrony")  # fmt: skip
    return Finding("ok", "the clock is kept right")


def look_at_driver(_settings: CliSettings) -> Iterator[Finding]:
    """Say what the NVIDIA driver can do."""
    asked = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if found := driver_finding(said_by(asked)):
        yield found


def driver_finding(said: str) -> Finding | None:
    """Judge the driver's version; None when there is no driver; pure."""
    number = version_in(said)
    if not number:
        return None
    holds: Literal["holds sessions to", "only advises sessions of"] = (
        "holds sessions to" if int(number.split(".")[0]) >= _HOLDS_MEMORY
        else "only advises sessions of"
    )  # fmt: skip
    return Finding("ok", f"NVIDIA driver {number}, which {holds} their share of GPU memory")
