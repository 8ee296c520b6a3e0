"""What several commands take in, and how they say what they did."""

import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from pydantic import BaseModel

from api.printing import Part, show, steps
from api.starting import FOUND_WRONG
from quota.amount import GpuTime
from quota.audit import By
from quota.clock import whole_ms

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do.")]
FromOption = Annotated[str, typer.Option("--from", help="2027-02-05T18:00+01:00, inside.")]
UntilOption = Annotated[str, typer.Option("--until", help="The end, outside.")]
SectionOption = Annotated[str | None, typer.Option("--section", help="Only this section.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="A file; else it is printed.")]

# Less is done before anybody could read a progress bar.
_WORTH_WATCHING = 200


def by_me() -> By:
    """Name who sits at the keyboard, for the audit trail."""
    return By(actor=getpass.getuser())


def read_amount(hours: str, hint: str = "HOURS") -> GpuTime:
    """Read hours as people write them."""
    try:
        return GpuTime.parse(hours)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from error


def read_instant(text: str | None, hint: str = "--until") -> datetime | None:
    """Read an instant; it has to say its offset."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        wrong = f"{text!r} is no date and time; write it like 2027-02-05T18:00+01:00"
        raise typer.BadParameter(wrong, param_hint=hint) from error
    if at.tzinfo is None or not 2000 <= at.year < 2200:
        raise typer.BadParameter("it needs a sane year and an offset, like +01:00 or Z",
                                 param_hint=hint)  # fmt: skip
    return whole_ms(at)


def read_span(since: str, until: str) -> tuple[datetime, datetime]:
    """Read from when until when."""
    start, end = read_instant(since, "--from"), read_instant(until)
    assert start is not None, "--from has no default"
    assert end is not None, "--until has no default"
    if end <= start:
        raise typer.BadParameter("it has to be after --from", param_hint="--until")
    return start, end


def say(parts: Sequence[Part], shown: BaseModel | object, *, as_json: bool) -> None:
    """Print for people, or for programs."""
    if not as_json:
        show(parts)
    elif isinstance(shown, BaseModel):
        typer.echo(shown.model_dump_json(indent=2))
    else:
        typer.echo(json.dumps(shown, indent=2, default=str))


def refuse(faults: Sequence[str], end: str, *, as_json: bool) -> typer.Exit:
    """Print what is wrong, and that nothing was done; to be raised."""
    say([*faults, end], {"faults": list(faults), "done": False}, as_json=as_json)
    return typer.Exit(FOUND_WRONG)


def watched(names: Sequence[str], doing: str) -> Iterator[str]:
    """Go through names, with a bar on the terminal where that takes a while."""
    if len(names) < _WORTH_WATCHING:
        yield from names
        return
    with steps(doing, total=len(names)) as going:
        for name in names:
            yield name
            going.done()


@contextmanager
def output_to(path: Path | None) -> Iterator[BinaryIO]:
    """Open where an export goes; a file is whole, or not there at all."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
