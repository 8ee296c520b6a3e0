"""The commands `backup` and `restore`: a copy of the books in a file, and putting one back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli_settings import CliSettings, database, open_books
from api.settings import CannotStart
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


def backup(target: Target) -> None:
    """Write the books of this instant into a file, while the lab goes on."""
    settings = CliSettings()
    with database(settings), _in_words():
        back_up(settings.books_url, target)
    typer.echo(f"The books are in {target}, {target.stat().st_size:,} bytes.")


def restore(source: Source, *, while_running: WhileRunning = False) -> None:
    """Replace the books by those of a file; those of now are kept in a file beside it."""
    settings = CliSettings()
    with (
        database(settings, may_be_new=True) as engine,
        held_if_free(settings.books_url, "worker") as is_free,
        _in_words(),
    ):
        if not is_free and not while_running:
            raise CannotStart("The lab's worker is running. Stop the lab first; or, if sessions "
                              "must go on, say --while-running.")  # fmt: skip
        if not is_empty(engine):
            kept = _beside(source, SystemClock().now())
            back_up(settings.books_url, kept)
            typer.echo(f"The books of before are in {kept}.")
        engine.dispose()
        put_back(settings.books_url, source)
    with open_books(settings) as books:
        faults = describe(books.check())
    if faults:
        typer.echo(f"{faults}\nThe books of {source} are restored, and break these laws.")
        raise typer.Exit(1)
    typer.echo(f"The books of {source} are restored and right. What ran since is charged when the "
               "worker next looks at the runtime.")  # fmt: skip


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
