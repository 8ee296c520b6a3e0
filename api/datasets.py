"""Datasets that all sessions share: versions that never change, each with its manifest.

The folder is `NAME/VERSION` in the lab's shared folder; its manifest says what belongs to it, with
sizes and checksums, and under which licence and from where it came. A version is there as a whole
or not at all.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST = "gpulab-dataset.json"
_UNFINISHED = ".adding-"
_CHUNK_BYTES = 1 << 20
# Readable to whoever a session runs as, writable to none of them.
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755

Done = Callable[[int], None]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]


class DatasetError(Exception):
    """Something cannot be shared, or shared data cannot be read; a sentence for the operator."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Strict):
    """One file of a dataset."""

    path: Text
    size_bytes: int = Field(ge=0, alias="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class About(_Strict):
    """What a version of a dataset is, in words."""

    format: int = Field(default=1, ge=1, le=1)
    name: Name
    version: Name
    licence: Text
    source: Text


class Manifest(About):
    """What a version of a dataset is, and what it consists of."""

    files: tuple[File, ...] = Field(min_length=1)

    @property
    def size_bytes(self) -> int:
        """How much all files are."""
        return sum(one.size_bytes for one in self.files)

    def text(self) -> str:
        """Write it as it stands in its folder."""
        return json.dumps(self.model_dump(by_alias=True), indent=1, ensure_ascii=False) + "\n"


def shared_in(folder: Path) -> list[tuple[Path, Manifest]]:
    """Return every dataset in a shared folder.

    Raises:
        DatasetError: the folder or a manifest cannot be read.

    """
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}. GPULAB_DATASETS_DIR or --dir names it.")
    found = sorted(folder.glob(f"[!.]*/[!.]*/{MANIFEST}"))
    return [(one.parent, _read(one)) for one in found]


def _read(path: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(f"{path} is no manifest: {_first_fault(error)}") from error
    if path.parts[-3:-1] != (manifest.name, manifest.version):
        raise DatasetError(f"{path} is the manifest of {manifest.name} {manifest.version}")
    return manifest


def faults_of(folder: Path, manifest: Manifest, done: Done) -> list[str]:
    """Read every file of a dataset; say what is not as its manifest says."""
    faults, wanted = [], {one.path: one for one in manifest.files}
    for path in sorted(wanted.keys() | {*_files_in(folder)} - {MANIFEST}):
        shown, file = f"{manifest.name} {manifest.version}: {path}", folder / path
        if path not in wanted:
            faults.append(f"{shown} is not in the manifest")
        elif not _is_inside(path) or not _is_plain(file):
            faults.append(f"{shown} is missing, or is no plain file")
        elif file.stat().st_size != wanted[path].size_bytes:
            faults.append(f"{shown} is {file.stat().st_size} bytes, not {wanted[path].size_bytes}")
        elif _checksum(file, done) != wanted[path].sha256:
            faults.append(f"{shown} has changed")
    return faults


def leftovers_in(folder: Path) -> list[str]:
    """Name what is left of additions that were broken off."""
    return [f"{one} is left of an addition that was broken off; delete it"
            for one in sorted(folder.glob(f"{_UNFINISHED}*"))]  # fmt: skip


def size_of(source: Path) -> int:
    """Return how many bytes a folder's files have.

    Raises:
        DatasetError: it has something that cannot be shared, or nothing.

    """
    if not source.is_dir():
        raise DatasetError(f"There is no folder {source}.")
    paths = list(_files_in(source))
    for path in paths:
        if not path.isprintable() or path == MANIFEST:
            raise DatasetError(f"A file cannot be shared under this name: {path!r}")
        if not _is_plain(source / path):
            raise DatasetError(f"{source / path} is a link or no plain file; copy what it is")
    if not paths:
        raise DatasetError(f"There is no file in {source}.")
    return sum((source / path).stat().st_size for path in paths)


def about(**words: str) -> About:
    """Return name, version, licence and source.

    Raises:
        DatasetError: one of them cannot be used.

    """
    try:
        return About.model_validate(words)
    except ValidationError as error:
        raise DatasetError(f"This cannot be shared: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(one) for one in first['loc'])}: {first['msg']}"


def add(source: Path, shared: Path, what: About, done: Done) -> Manifest:
    """Copy a folder into the shared one as a version of a dataset, and write its manifest.

    Raises:
        DatasetError: it cannot be shared, or the version is there with other files.

    """
    size_bytes = size_of(source)
    if not shared.is_dir():
        raise DatasetError(f"There is no folder {shared}. GPULAB_DATASETS_DIR or --dir names it.")
    free_bytes = shutil.disk_usage(shared).free
    if size_bytes > free_bytes:
        raise DatasetError(f"{shared} has {free_bytes} bytes free; {source} has {size_bytes}.")
    part = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shared))
    try:
        files = tuple(_copied(source, part, path, done) for path in sorted(_files_in(source)))
        made = Manifest(**what.model_dump(), files=files)
        (part / MANIFEST).write_text(made.text())
        for one in (part, *part.rglob("*")):
            one.chmod(_FOLDER_MODE if one.is_dir() else _FILE_MODE)
        return _put(part, shared / made.name / made.version, made)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, place: Path, made: Manifest) -> Manifest:
    """Move a finished version to its place; the same one may be there already."""
    try:
        if not place.parent.is_dir():
            place.parent.mkdir()
            place.parent.chmod(_FOLDER_MODE)
        part.rename(place)
    except OSError as error:
        if not (place / MANIFEST).is_file():
            raise DatasetError(f"{place} cannot be written: {error.strerror}") from error
        if _read(place / MANIFEST) != made:
            raise DatasetError(f"{made.name} {made.version} is there with other files or words. "
                               "A version never changes: take another.") from None  # fmt: skip
    return made


def _copied(source: Path, part: Path, path: str, done: Done) -> File:
    """Copy a file and take its checksum on the way, so that it is read once."""
    target, digest, size_bytes = part / path, hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with (source / path).open("rb") as old, target.open("xb") as new:
        while chunk := old.read(_CHUNK_BYTES):
            new.write(chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
            done(len(chunk))
        new.flush()
        os.fsync(new.fileno())
    return File.model_validate({"path": path, "bytes": size_bytes, "sha256": digest.hexdigest()})


def _checksum(path: Path, done: Done) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done(len(chunk))
    return digest.hexdigest()


def _files_in(folder: Path) -> Iterator[str]:
    """Name everything in a folder that is no folder, from there; links are not followed."""
    for where, folders, names in os.walk(folder):
        links = [one for one in folders if (Path(where) / one).is_symlink()]
        for name in (*names, *links):
            yield (Path(where) / name).relative_to(folder).as_posix()


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_inside(path: str) -> bool:
    """Tell whether a path leads out of its folder nowhere."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts
