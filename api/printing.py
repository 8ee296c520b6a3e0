"""How the command line prints: tables and sentences, with colour on a terminal, plain elsewhere.

Names are never cut or broken: a table that is wider than the terminal is printed as wide as it
has to be. Only columns of prose are folded. Nothing of what people wrote is taken for markup.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

Part: TypeAlias = str | Table | Panel

# What a pipe gets is never folded.
_ENDLESS = 100_000
_LEAST_PROSE = 24
_FIGURE = re.compile(r"(p\d+ )?[-<+]?[\d.,]+( ?(%|s|min|h|GPU-hours?))?|-|")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "",
    prose: Collection[str] = (),
) -> Table:  # fmt: skip
    """Set out columns; those with figures only stand to the right, those in `prose` may fold."""
    cells = [list(row) for row in rows]
    made = Table(title=Text(title, "bold") if title else None, title_justify="left",
                 header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)  # fmt: skip
    for at, head in enumerate(heads):
        figures = [row[at] for row in cells]
        is_right = any(figures) and all(_FIGURE.fullmatch(one) for one in figures)
        is_prose = head in prose
        made.add_column(Text(head), justify="right" if is_right else "left", overflow="fold",
                        no_wrap=not is_prose, min_width=_LEAST_PROSE if is_prose else None,
                        )  # fmt: skip
    for row in cells:
        made.add_row(*(Text(cell) for cell in row))
    return made


def panel(text: str, title: str = "") -> Panel:
    """Set out one thing that should not be missed."""
    return Panel(
        Text(text), title=Text(title) if title else None, title_align="left", expand=False
    )


def show(parts: Iterable[Part]) -> None:
    """Print for people, on the standard output."""
    console = Console()
    if not console.is_terminal:
        sys.stdout.write(as_plain(parts))
        sys.stdout.flush()
        return
    for part in parts:
        if isinstance(part, str):
            console.print(Text(part), soft_wrap=True)
        else:
            # A console prints nothing wider than itself.
            Console(width=max(console.width, _least_width(console, part))).print(part)


def as_plain(parts: Iterable[Part]) -> str:
    """Write what a pipe or a file gets: no frames, no colours, nothing folded."""
    lines: list[str] = []
    for part in parts:
        if isinstance(part, Table):
            lines += _plain_table(part)
        elif isinstance(part, Panel):
            lines += [str(part.renderable)]
        else:
            lines += part.split("\n")
    return "".join(f"{line}\n" for line in lines)


def _plain_table(one: Table) -> list[str]:
    """Write a table's cells below each other, with two spaces between them."""
    columns = [[str(column.header), *map(str, column.cells)] for column in one.columns]
    widths = [max(map(cell_len, cells)) for cells in columns]
    lines = [] if one.title is None else [str(one.title)]
    for row in zip(*columns, strict=True):
        cells = []
        for cell, width, column in zip(row, widths, one.columns, strict=True):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if column.justify == "right" else cell + space)
        lines.append("  ".join(cells).rstrip())
    return lines


def _least_width(console: Console, part: RenderableType) -> int:
    options = console.options.update(max_width=_ENDLESS)
    return Measurement.get(console, options, part).minimum


# -- progress ------------------------------------------------------------------------------------


class Steps:
    """Tells on the terminal which step of something long is going on; elsewhere it is silent."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._bar: TaskID | None = None
        if progress is not None:
            self._bar = progress.add_task("", total=total)

    def now(self, doing: str) -> None:
        """Say what begins."""
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, description=doing)

    def done(self, count: int = 1) -> None:
        """Say that so much is done."""
        if self._progress is not None and self._bar is not None:
            self._progress.advance(self._bar, count)

    def reached(self, count: int, total: int) -> None:
        """Say how much is done of how much, where that shows only on the way."""
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, completed=count, total=total)


@contextmanager
def steps(doing: str, *, total: int | None = None, counts: bool = False) -> Iterator[Steps]:
    """Show on a terminal that something long goes on, and how far it is; gone when it is done."""
    if not sys.stderr.isatty():
        yield Steps(None, total)
        return
    columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if counts or total is not None:
        columns += [BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True),
                  transient=True) as progress:  # fmt: skip
        one = Steps(progress, total)
        one.now(doing)
        yield one
