"""Commands for GPUs: which there are, let one take no new sessions, let it take them again."""

from typing import Annotated

import typer

from api.cli_settings import CliSettings, open_books
from api.cli_words import JsonOption, by_me, say
from api.printing import Part, table
from quota.errors import NoSuchThing
from quota.lab import Lab
from quota.office import Office
from quota.placement import GpuUse
from quota.rulebook import entry_tag
from quota.service import Books

app = typer.Typer(add_completion=False)

_PART = "drained_gpus"
Uuid = Annotated[str, typer.Argument(help="As `gpulab gpus` lists it.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit trail.")]


@app.command()
def gpus(*, json: JsonOption = False) -> None:
    """List the GPUs: what is taken of each, and which are drained or lost."""
    with open_books(CliSettings()) as books:
        say(*_listing(books), as_json=json)


@app.command()
def drain(uuid: Uuid, reason: Reason, *, json: JsonOption = False) -> None:
    """Let a GPU take no new sessions from now on; those on it stay."""
    _change(uuid, {"why": reason}, reason, as_json=json)


@app.command()
def undrain(uuid: Uuid, reason: Reason = "in service again", *, json: JsonOption = False) -> None:
    """Let a drained GPU take sessions again."""
    _change(uuid, None, reason, as_json=json)


def _change(uuid: str, body: dict[str, str] | None, reason: str, *, as_json: bool) -> None:
    with open_books(CliSettings()) as books:
        if body is not None and uuid not in {gpu.uuid for gpu in books.load().gpus}:
            raise NoSuchThing("The lab has no GPU of this uuid. See: gpulab gpus")
        tag = entry_tag(books.lab, _PART, uuid)
        Office(books).change_rule(_PART, uuid, body, tag=tag, by=by_me(), reason=reason)
        say(*_listing(books), as_json=as_json)


def _listing(books: Books) -> tuple[list[Part], dict[str, list[dict[str, object]]]]:
    found = books.load().gpus
    rows = [(one.uuid, one.name, f"{one.used_mgpu / 10:g} %", str(one.sharers),
             state_of(one, books.lab)) for one in found]  # fmt: skip
    shown: list[dict[str, object]] = [
        {"uuid": one.uuid, "name": one.name, "used_mgpu": one.used_mgpu,
         "sessions": one.sharers, "in_service": one.in_service,
         "state": state_of(one, books.lab)} for one in found
    ]  # fmt: skip
    return [table(("GPU", "name", "taken", "sessions", "state"), rows)], {"gpus": shown}


def state_of(gpu: GpuUse, lab: Lab) -> str:
    """Say in a word or two whether a GPU takes sessions, and why not."""
    drained = lab.drained_gpus.get(gpu.uuid)
    if drained is not None:
        return f"drained: {drained.why}" if drained.why else "drained"
    return "in service" if gpu.in_service else "lost, sessions are on it still"
