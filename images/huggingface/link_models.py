"""Lays the lab's shared models under a scholar's own cache, and goes on with the session.

The shared folder can only be read, and huggingface_hub keeps everything about a model in one
folder: names of versions, their files, and locks. So the scholar's cache gets folders of its own,
whose files are links to the shared ones. What is shared is neither fetched nor stored again; what
a scholar fetches besides, or fetches anew, is in the own home. An overlay of file systems would do
the same, but nobody may mount one in a session.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_REPOSITORIES = ("models--*", "datasets--*", "spaces--*")


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


def main() -> None:
    """Link, and become the session; whatever is wrong with the cache, the session starts."""
    if shared := os.environ.get("GPULAB_MODELS"):
        try:
            link(Path(shared), own_cache(os.environ))
        except OSError as error:
            print(f"the shared models are not linked: {error}", file=sys.stderr)  # noqa: T201 - its log
    if len(sys.argv) > 1:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - as it was asked for


if __name__ == "__main__":
    main()
