"""The state folder: everything that a lab keeps, readable by its owner only."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotStart

_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class State:
    """Names the places in a state folder."""

    root: Path

    @property
    def secrets(self) -> Path:
        """Folder of the secrets, one file each."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """Folder of the programs' logs."""
        return self.root / "logs"

    @property
    def supervisor_config(self) -> Path:
        """What supervisord reads."""
        return self.root / "supervisord.conf"

    @property
    def securing(self) -> Path:
        """What keeps sessions from this machine, and what does not; the doctor reads it."""
        return self.root / "securing.json"

    @property
    def lock(self) -> Path:
        """Held by the launcher for as long as it lives."""
        return self.root / "launcher.lock"


def prepare(root: Path) -> State:
    """Make the folder and its parts, private to this user.

    Raises:
        CannotStart: it cannot be made or written.

    """
    state = State(root)
    try:
        for folder in (root, state.secrets, state.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
            _make_private(folder)
        probe = root / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"the state folder {root} cannot be used ({error.strerror}); make it writable for "
            "this user, or choose another one with --state-dir"
        ) from error
    return state


def _make_private(folder: Path) -> None:
    if stat.S_IMODE(folder.stat().st_mode) != _PRIVATE:
        folder.chmod(_PRIVATE)


@contextmanager
def sole_launcher(state: State) -> Iterator[None]:
    """Hold the folder for this launcher; the lock goes with the process, however it ends.

    Raises:
        CannotStart: another launcher holds it.

    """
    with state.lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            who = handle.read().strip() or "?"
            raise CannotStart(
                f"a lab already runs from {state.root} (process {who}); stop that one with "
                "Ctrl-C first, or give this one its own folder with --state-dir and its own ports"
            ) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
