"""The commands `backup` and `restore`: a copy of the books in a file, and putting one back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli_settings import CliSettings, database, open_books
from api.cli_words import JsonOption, say
from api.printing import steps
from api.settings import CannotStart
from api.starting import FOUND_WRONG
from quota.clock import SystemClock
from quota.errors import BackupFailed
from quota.invariants import describe
from quota.store.backup import back_up, put_back
from quota.store.migrate import is_empty
from quota.store.singleton import held_if_free

Target = Annotated[Path, typer.Argument(help="A new file.", show_default=False)]
Source = Annotated[Path, typer.Argument(help="A file made by `backup`.", show_default=False)]
WhileRunning = Annotated[
    bool,
    typer.Option("--while-running", help="Do it although the lab's worker is running."),
]


def backup(target: Target, *, json: JsonOption = False) -> None:
    """Write the books of this instant into a file, while the lab goes on."""
    settings = CliSettings()
    with database(settings), _in_words(), steps("Copying the books"):
        back_up(settings.books_url, target)
    size_bytes = target.stat().st_size
    say([f"The books are in {target}, {size_bytes:,} bytes."],
        {"file": str(target), "size_bytes": size_bytes}, as_json=json)  # fmt: skip


def restore(
    source: Source, *, while_running: WhileRunning = False, json: JsonOption = False
) -> None:
    """Replace the books by those of a file; those of now are kept in a file beside it."""
    settings, kept = CliSettings(), None
    with (
        steps("Looking at the books", counts=True) as going,
        database(settings, may_be_new=True) as engine,
        held_if_free(settings.books_url, "worker") as is_free,
        _in_words(),
    ):
        if not is_free and not while_running:
            raise CannotStart("The lab's worker is running. Stop the lab first; or, if sessions "
                              "must go on, say --while-running.")  # fmt: skip
        if not is_empty(engine):
            kept = _beside(source, SystemClock().now())
            going.now("Keeping the books of before")
            back_up(settings.books_url, kept)
        going.now("Putting the books back")
        engine.dispose()
        put_back(settings.books_url, source)
        going.now("Checking them, by account")
        with open_books(settings) as books:
            faults = describe(books.check(on_account=going.reached)).splitlines()
    shown = {"restored": str(source), "before": kept and str(kept), "faults": faults}
    said = [] if kept is None else [f"The books of before are in {kept}."]
    if faults:
        end = f"The books of {source} are restored, and break these laws."
        say([*said, *faults, end], shown, as_json=json)
        raise typer.Exit(FOUND_WRONG)
    end = (f"The books of {source} are restored and right. What ran since is charged when the "
           "worker next looks at the runtime.")  # fmt: skip
    say([*said, end], shown, as_json=json)


def register(app: typer.Typer) -> None:
    """Add both to the command line."""
    app.command()(backup)
    app.command()(restore)


def _beside(source: Path, now: datetime) -> Path:
    return source.absolute().with_name(f"before-restore-{now:%Y%m%dT%H%M%S%f}{source.suffix}")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except BackupFailed as error:
        raise CannotStart(str(error)) from None
