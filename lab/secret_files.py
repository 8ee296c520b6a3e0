"""Secrets: made on first use, kept in files that only their owner can read."""

import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.errors import CannotStart
from lab.passwords import hash_password

_GENERATED: dict[str, Callable[[], str]] = {
    "admission_token": lambda: secrets.token_hex(32),
    # JupyterHub takes at most 64 characters for a service's token.
    "service_token": lambda: secrets.token_hex(32),
    "culler_token": lambda: secrets.token_hex(32),
    "proxy_token": lambda: secrets.token_hex(32),
    "cookie_secret": lambda: secrets.token_hex(32),
    "crypt_key": lambda: secrets.token_hex(32),
}
DEMO_PASSWORDS = "demo-passwords.txt"
PASSWORD_HASHES = "passwords.json"  # noqa: S105 - the name of a file
# Without the letters and figures that people mistake for each other.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LETTERS = 12


def make_secrets(folder: Path) -> None:
    """Make the secrets that are not there yet."""
    for name, make in _GENERATED.items():
        path = folder / name
        if not path.exists() or not path.read_text().strip():
            write_private(path, make() + "\n")
        path.chmod(0o600)


def demo_passwords(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return a password for each person, keeping those that there are; hashes go to the hub."""
    path = folder / DEMO_PASSWORDS
    kept = _read_passwords(path)
    wanted = {name: kept.get(name) or _new_password() for name in names}
    hashes = _read_hashes(folder / PASSWORD_HASHES)
    if hashes and _is_newer(path, folder / PASSWORD_HASHES):
        hashes = {}  # somebody chose passwords by hand
    missing = [name for name in wanted if name not in hashes or name not in kept]
    if missing or kept.keys() != wanted.keys() or hashes.keys() != wanted.keys():
        write_private(path, "".join(f"{name} {word}\n" for name, word in wanted.items()))
        fresh = {name: hashes[name] for name in wanted if name not in missing}
        fresh |= {name: hash_password(wanted[name]) for name in missing}
        write_private(folder / PASSWORD_HASHES, json.dumps(fresh, indent=1) + "\n")
    return wanted


def write_private(path: Path, text: str) -> None:
    """Replace a file whole or not at all; nobody else can read it at any moment."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _is_newer(path: Path, other: Path) -> bool:
    return path.exists() and path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _new_password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_PASSWORD_LETTERS))


def _read_passwords(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = [line.split() for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise CannotStart(f"{path} is not what the lab wrote; remove it for new passwords")
    return {pair[0]: pair[1] for pair in pairs}


def _read_hashes(path: Path) -> dict[str, str]:
    try:
        hashes = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CannotStart(f"{path} is not what the lab wrote; remove it for new hashes") from error
    return {str(name): str(value) for name, value in hashes.items()}
