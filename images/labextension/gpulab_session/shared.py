"""The lab's shared datasets, as a session sees them: folders that all can read and nobody write.

`gpulab datasets` on the operator's side writes them, each version with a manifest of its own.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from gpulab_session.words import bytes_text, clean

MANIFEST = "gpulab-dataset.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A version of a dataset that is there."""

    name: str
    version: str
    folder: Path
    size_bytes: int
    files: int
    licence: str
    source: str

    def line(self) -> str:
        """Say what it is."""
        return (f"{self.name} {self.version}: {self.files} file(s), "
                f"{bytes_text(self.size_bytes)}, {self.licence}, in {self.folder}")  # fmt: skip

    def as_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {"name": self.name, "version": self.version, "folder": str(self.folder),
                "bytes": self.size_bytes, "files": self.files, "licence": self.licence,
                "source": self.source}  # fmt: skip


def datasets() -> list[Dataset]:
    """Return all datasets that this lab shares, the newest version of each first."""
    folder = os.environ.get("GPULAB_DATASETS", "")
    found = [_read(one) for one in Path(folder).glob(f"*/*/{MANIFEST}")] if folder else []
    known = [one for one in found if one is not None]
    newest_first = sorted(known, key=lambda one: version_key(one.version), reverse=True)
    return sorted(newest_first, key=lambda one: one.name)


def dataset(name: str, version: str | None = None) -> Path:
    """Return the folder of a shared dataset; of its newest version, if none is named.

    Raises:
        FileNotFoundError: this lab does not share it.

    """
    for one in datasets():
        if one.name == name and version in (None, one.version):
            return one.folder
    shown = name if version is None else f"{name} {version}"
    names = ", ".join(dict.fromkeys(one.name for one in datasets())) or "none"
    raise FileNotFoundError(f"This lab shares no dataset {clean(shown)}; it shares {names}.")


def version_key(version: str) -> list[tuple[int, int, str]]:
    """Order versions as people do: 1.10 comes after 1.9, and after 1.10-rc1."""
    parts = version.replace("-", ".").replace("_", ".").split(".")
    keys = [(2, int(one), "") if one.isdecimal() else (0, 0, one) for one in parts]
    return [*keys, (1, 0, "")]


def _read(path: Path) -> Dataset | None:
    """Read a manifest; None where it cannot be read: the others are there all the same."""
    try:
        body = json.loads(path.read_text())
        return Dataset(
            name=clean(body["name"]), version=clean(body["version"]), folder=path.parent,
            size_bytes=sum(int(one["bytes"]) for one in body["files"]), files=len(body["files"]),
            licence=clean(body["licence"]), source=clean(body["source"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
