"""Commands for the datasets that all sessions share: list, verify, add."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from api.cli_words import JsonOption, say
from api.datasets import Done, Manifest, about, add, faults_of, leftovers_in, shared_in, size_of
from api.printing import steps, table
from api.starting import FOUND_WRONG

app = typer.Typer(add_completion=False, no_args_is_help=True)

DirOption = Annotated[
    Path, typer.Option("--dir", envvar="GPULAB_DATASETS_DIR", help="The shared folder.")
]
NameArgument = Annotated[str | None, typer.Argument(help="Only this one.", show_default=False)]

_MIB = 1 << 20


@app.command(name="list")
def list_(folder: DirOption, *, json: JsonOption = False) -> None:
    """Show the shared datasets, with sizes, licences and where they came from."""
    found = shared_in(folder)
    heads = ("dataset", "version", "files", "MB", "licence", "source")
    rows = [(one.name, one.version, str(len(one.files)), _mb(one),
             one.licence, one.source) for _, one in found]  # fmt: skip
    shown = [{**_summary(one), "folder": str(path)} for path, one in found]
    parts = [table(heads, rows, prose=("source",)) if rows else f"No dataset is in {folder}."]
    say(parts, {"datasets": shown}, as_json=json)


@app.command()
def verify(folder: DirOption, name: NameArgument = None, *, json: JsonOption = False) -> None:
    """Read every file again and compare it with the manifests; exit 1 for a fault."""
    found = [(path, one) for path, one in shared_in(folder) if name in (None, one.name)]
    if name is not None and not found:
        raise typer.BadParameter(f"no dataset {name} is in {folder}", param_hint="NAME")
    faults = leftovers_in(folder)
    with _progress("Reading", sum(one.size_bytes for _, one in found)) as done:
        for path, one in found:
            faults += faults_of(path, one, done)
    files = sum(len(one.files) for _, one in found)
    right = f"{len(found)} dataset(s) with {files} file(s) are as their manifests say."
    shown = {"faults": faults, "datasets": [_summary(one) for _, one in found]}
    say(faults or [right], shown, as_json=json)
    if faults:
        raise typer.Exit(FOUND_WRONG)


@app.command(name="add")
def add_(  # noqa: PLR0917 - typer's arguments have to be positional
    source: Annotated[Path, typer.Argument(help="The folder to copy.", show_default=False)],
    folder: DirOption,
    name: Annotated[str, typer.Option(help="For example cifar-10.")],
    version: Annotated[str, typer.Option(help="For example 1.0; it never changes.")],
    licence: Annotated[str, typer.Option(help="For example CC-BY-4.0.")],
    origin: Annotated[str, typer.Option("--source", help="Where it came from, in words.")],
    *,
    json: JsonOption = False,
) -> None:
    """Copy a folder into the shared one, and write its manifest; saying it again is safe."""
    what = about(name=name, version=version, licence=licence, source=origin)
    with _progress("Copying", size_of(source)) as done:
        made = add(source, folder, what, done)
    said = (f"{made.name} {made.version} is shared: {len(made.files)} file(s), "
            f"{_mb(made)} MB, in {folder / made.name / made.version}.")  # fmt: skip
    say([said], _summary(made), as_json=json)


def _mb(one: Manifest) -> str:
    return f"{one.size_bytes / 1e6:.1f}"


def _summary(one: Manifest) -> dict[str, object]:
    return {"name": one.name, "version": one.version, "licence": one.licence,
            "source": one.source, "files": len(one.files), "bytes": one.size_bytes}  # fmt: skip


@contextmanager
def _progress(doing: str, size_bytes: int) -> Iterator[Done]:
    """Show how many MiB are done of how many."""
    read_bytes = 0
    with steps(f"{doing} (MiB)", counts=True) as going:

        def done(count: int) -> None:
            nonlocal read_bytes
            read_bytes += count
            going.reached(read_bytes // _MIB, -(-size_bytes // _MIB))

        yield done
