"""Lays the lab's shared models under a scholar's own cache, and goes on with the session.

The shared folder can only be read, and huggingface_hub keeps everything about a model in one
folder: names of versions, their files, and locks. So the scholar's cache gets folders of its own,
whose files are links to the shared ones. What is shared is neither fetched nor stored again; what
a scholar fetches besides, or fetches anew, is in the own home. An overlay of file systems would do
the same, but nobody may mount one in a session.

Where the hub of the models cannot be reached, the libraries are told so: otherwise they ask for
every file of a model that is there, and wait for minutes before they believe that nobody answers.
"""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

_REPOSITORIES = ("models--*", "datasets--*", "spaces--*")
_HUB = "https://huggingface.co"
# How long a session's start may wait for that; a name that nobody answers for takes longer alone.
_REACHED_WITHIN_S = 1.5


def own_cache(environment: Mapping[str, str]) -> Path:
    """Return where huggingface_hub keeps what it fetches."""
    if place := environment.get("HF_HUB_CACHE"):
        return Path(place).expanduser()
    base = environment.get("XDG_CACHE_HOME", "~/.cache")
    return Path(environment.get("HF_HOME", f"{base}/huggingface")).expanduser() / "hub"


def link(shared: Path, own: Path) -> int:
    """Link all that is shared and not there yet; return how many links were made."""
    made = 0
    for pattern in _REPOSITORIES:
        for repository in sorted(shared.glob(pattern)):
            made += _link_repository(repository, own / repository.name)
    return made


def _link_repository(shared: Path, own: Path) -> int:
    made = 0
    for folder, _, names in os.walk(shared):
        inside = Path(folder).relative_to(shared)
        (own / inside).mkdir(parents=True, exist_ok=True)
        for name in names:
            made += _lay(shared, own, inside / name)
    return made


def _lay(shared: Path, own: Path, file: Path) -> bool:
    """Lay one file of a repository into the own cache, unless the scholar has one there."""
    source, place = shared / file, own / file
    if place.is_symlink() and not place.exists():
        # It led to where the shared folder was once.
        place.unlink()
    elif place.is_symlink() or place.exists():
        return False
    if file.parts[0] == "refs":
        # Which version a name stands for: huggingface_hub writes that anew.
        place.write_bytes(source.read_bytes())
    elif source.is_symlink():
        # A file of a version, which leads to its content in the same repository.
        place.symlink_to(source.readlink())
    else:
        place.symlink_to(source)
    return True


def is_offline(environment: Mapping[str, str], cache: Path) -> bool:
    """Tell whether models that are here would be asked for where nobody answers."""
    if environment.get("HF_HUB_OFFLINE"):
        # Said already, one way or the other.
        return False
    if any(environment.get(name) for one in ("https_proxy", "http_proxy", "all_proxy")
           for name in (one, one.upper())):  # fmt: skip
        # A proxy knows the way, and takes its time to say that there is none.
        return False
    has_some = any(True for pattern in _REPOSITORIES for _ in cache.glob(pattern))
    return has_some and not _is_reached(environment.get("HF_ENDPOINT") or _HUB)


def _is_reached(address: str) -> bool:
    """Tell whether somebody listens at an address; nothing is said to them."""
    parts = urlsplit(address)
    found: list[tuple[str, int]] = []

    def connect() -> None:
        place = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
        try:
            socket.create_connection(place, timeout=_REACHED_WITHIN_S).close()
        except OSError:
            return
        found.append(place)

    # Looking a name up has no time limit of its own.
    asking = Thread(target=connect, daemon=True)
    asking.start()
    asking.join(_REACHED_WITHIN_S)
    return bool(found)


def main() -> None:
    """Link, and become the session; whatever is wrong with the cache, the session starts."""
    if shared := os.environ.get("GPULAB_MODELS"):
        try:
            link(Path(shared), own_cache(os.environ))
        except OSError as error:
            print(f"the shared models are not linked: {error}", file=sys.stderr)  # noqa: T201 - its log
    try:
        if is_offline(os.environ, own_cache(os.environ)):
            os.environ["HF_HUB_OFFLINE"] = "1"
            print("the hub of the models cannot be reached: HF_HUB_OFFLINE=1", file=sys.stderr)  # noqa: T201 - its log
    except (OSError, ValueError) as error:
        print(f"whether models can be fetched is not known: {error}", file=sys.stderr)  # noqa: T201 - its log
    if len(sys.argv) > 1:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - as it was asked for


if __name__ == "__main__":
    main()
