"""What the launcher prints; pure."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from api.gpus.devices import GpuDevice
from lab.engine import Choice
from lab.people import Person
from lab.secret_files import DEMO_PASSWORDS
from lab.securing import Shortcoming
from lab.settings import LabSettings
from lab.state import State

# More than this many accounts scroll the address away; the file has them all.
_MOST_ACCOUNTS = 24


def ready_text(
    settings: LabSettings,
    state: State,
    choice: Choice,
    devices: Sequence[GpuDevice],
    *,
    why_gpus: str,
    accounts: Mapping[Person, str],
    shortcomings: Sequence[Shortcoming] = (),
) -> str:
    """Say where the lab is, who may come in, what sessions run in, and how to stop it."""
    lines = [
        "",
        f"The lab is ready: {settings.address}",
        "",
        *_account_lines(accounts, state.secrets / DEMO_PASSWORDS),
        *spawner_lines(choice),
        *(f"    Warning: {one.what}; {one.remedy}." for one in shortcomings),
        f"GPUs: {gpu_text(devices)}: {why_gpus}.",
        f"State and logs are in {_shown(state.root)}. Ctrl-C stops the lab and all sessions.",
    ]
    return "\n".join(lines)


def spawner_lines(choice: Choice) -> list[str]:
    """Say what sessions run in and why, with a warning where that is no protection."""
    if choice.spawner == "docker":
        return [f"Sessions run in Docker containers: {choice.why}."]
    return [
        f"Sessions run as local processes: {choice.why}.",
        "    Warning: processes are not isolated from each other or from this machine; that is",
        "    for trying out, with people whom you trust.",
    ]


def gpu_text(devices: Sequence[GpuDevice]) -> str:
    """Count the GPUs by name: `2 x Virtual GPU (virtual)`."""
    if not devices:
        return "none"
    kinds: dict[str, int] = {}
    for one in devices:
        name = f"{one.name} ({one.memory_mib:,} MiB{', virtual' * (one.kind == 'virtual')})"
        kinds[name] = kinds.get(name, 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in kinds.items())


def _account_lines(accounts: Mapping[Person, str], file: Path) -> Iterator[str]:
    if not accounts:
        return
    rows = [("user", "password", "")]
    rows += [(who.name, password, who.role) for who, password in accounts.items()]
    shown = rows[: _MOST_ACCOUNTS + 1]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    for user, password, role in shown:
        yield f"    {user:<{widths[0]}}  {password:<{widths[1]}}  {role}".rstrip()
    if (more := len(rows) - len(shown)) > 0:
        yield f"    ... and {more} more"
    yield f"    (kept in {_shown(file)})"
    yield ""


def _shown(path: Path) -> str:
    """Write a path as short as it can be from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
