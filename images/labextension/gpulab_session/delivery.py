"""The weekly labs come into the scholar's folder, and never over anything that is there."""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

# Where the image has them; a session as a process is told by the variable.
BROUGHT = "/srv/labs"
# What has been delivered before, so that a lab that the scholar has worked in is known from a
# newer version of it.
_RECORD = ".delivered.json"


def new_name(name: str, taken: Collection[str]) -> str:
    """Return a free name for a newer version: week-4-new.ipynb, week-4-new-2.ipynb ..."""
    stem, dot, ending = name.rpartition(".")
    number, found = 1, f"{stem}-new{dot}{ending}"
    while found in taken:
        number += 1
        found = f"{stem}-new-{number}{dot}{ending}"
    return found


def to_copy(
    brought: Mapping[str, str], here: Mapping[str, str], delivered: Mapping[str, str]
) -> dict[str, str]:
    """Return the name that each lab to be copied gets; all three map names to digests.

    What is missing comes. What is there stays; of it a newer version comes beside it, once.
    """
    names: dict[str, str] = {}
    for name, digest in brought.items():
        if name not in here:
            names[name] = name
        elif digest not in (here[name], delivered.get(name)):
            names[name] = new_name(name, {*here, *brought, *names.values()})
    return names


def deliver(log: Any) -> None:
    """Bring what is not there yet into ~/labs; a session starts without, if it has to."""
    source, target = Path(os.environ.get("GPULAB_LABS", BROUGHT)), Path.home() / "labs"
    if not source.is_dir():
        return
    try:
        target.mkdir(exist_ok=True)
        brought, record = _digests(source), target / _RECORD
        delivered = _read(record)
        names = to_copy(brought, _digests(target), delivered)
        for name, own_name in names.items():
            _copy(source / name, target / own_name)
        if delivered != brought:
            record.write_text(json.dumps(brought))
    except OSError as error:
        log.warning("gpulab: the labs could not be delivered: %s", error)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.glob("*.ipynb")) if path.is_file()}  # fmt: skip


def _read(record: Path) -> dict[str, str]:
    """Read the record; a scholar who has written into it may get a lab twice."""
    try:
        known = json.loads(record.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _copy(source: Path, target: Path) -> None:
    """Copy a file, never over one that has come meanwhile, and leave no half of it."""
    content = source.read_bytes()
    # Not by a link of a finished file: not every place that homes lie in has links.
    with contextlib.suppress(FileExistsError), target.open("xb") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            target.unlink()
            raise
