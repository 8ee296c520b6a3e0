"""The command that reports: a week of the lab, and who takes part in the program."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.cli_settings import CliSettings, open_books
from api.cli_words import JsonOption, OutputOption, SectionOption, output_to, say, watched
from api.exports import csv_text
from api.participation_text import participation_heads, participation_row
from api.printing import Part, table
from api.week_page import week_page
from api.week_text import (
    HOURS_HEADS,
    WAIT_HEADS,
    end_rows,
    gpu_lines,
    hours_cells,
    refund_rows,
    refusal_rows,
    wait_cells,
)
from quota import listings
from quota.participation import participation
from quota.service import Books
from quota.week_report import WeekReport, report_of, reported_weeks

app = typer.Typer(add_completion=False)

_PERSON_HEADS = ("section", "scholar", "used", "available", "sessions")


@app.command()
def report(
    section: SectionOption = None,
    week: Annotated[int | None, typer.Option(help="Number of a week; else this one.")] = None,
    output: OutputOption = None,
    *,
    people: Annotated[bool, typer.Option("--people", help="Every scholar's week.")] = False,
    participates: Annotated[
        bool, typer.Option("--participation", help="Who takes part, week by week.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="As a page with charts.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
    json: JsonOption = False,
) -> None:
    """Report a week: hours, waits, idle GPUs, refusals, fairness, refunds; or who takes part."""
    _check_choice(week, people=people, participates=participates, html=html, csv=csv)
    with open_books(CliSettings()) as books:
        if participates:
            lines = participation(books, section=section)
            assert books.lab.program is not None, "or it would have refused"
            heads = participation_heads(books.lab.program)
            rows = [participation_row(one) for one in lines]
            shown: object = [asdict(one) for one in lines]
        elif people or csv:
            found = person_lines(books, section, week)
            heads, rows = list(_PERSON_HEADS), [one.cells for one in found]
            shown = [dict(zip(heads, row, strict=True)) for row in rows]
        else:
            _say_week(report_of(books, week, section=section), books.lab.name, output,
                      html=html, json=json)  # fmt: skip
            return
    if csv:
        _put(csv_text([heads, *rows]), output)
    else:
        say([table(heads, rows)], shown, as_json=json)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """One scholar's week."""

    section: str
    account: str
    used: str
    available: str
    sessions: int

    @property
    def cells(self) -> list[str]:
        """The row in a table."""
        return [self.section, self.account, self.used, self.available, str(self.sessions)]


def person_lines(books: Books, section: str | None, number: int | None) -> list[PersonLine]:
    """Sum up the week of everybody in a section, or in all."""
    lines = []
    for one, week in reported_weeks(books.lab, number, section=section, now=books.clock.now()):
        names = listings.scholars_of(books.lab, one.name)
        used = listings.used(books, names, week.starts_at, week.ends_at)
        for name in watched(names, one.name):
            view = listings.account_views(books, [name])[0]
            lines.append(PersonLine(
                section=one.name, account=name, available=view.available.hours_text(),
                used=used[name].hours_text() if name in used else "0.00",
                sessions=len(view.sessions),
            ))  # fmt: skip
    return lines


def week_parts(report: WeekReport) -> list[Part]:
    """Write a week for the terminal."""
    parts: list[Part] = [
        report.title, report.lead, "",
        table(HOURS_HEADS, [hours_cells(one) for one in report.sections]), "",
        table(WAIT_HEADS, [wait_cells(one) for one in report.sections]), "",
        *gpu_lines(report),
    ]  # fmt: skip
    for title, rows in (
        ("starts that were refused", refusal_rows(report)), ("ends", end_rows(report))
    ):  # fmt: skip
        if rows:
            parts += ["", table((title, "times"), [[what, str(count)] for what, count in rows])]
    if report.refunds:
        parts += ["", table(("refunds", "scholars", "GPU-hours"), refund_rows(report))]
    return parts


def _say_week(
    report: WeekReport, lab_name: str, output: Path | None, *, html: bool, json: bool
) -> None:
    if html:
        _put(week_page(lab_name, report), output)
    else:
        say(week_parts(report), asdict(report), as_json=json)


def _put(text: str, output: Path | None) -> None:
    with output_to(output) as file:
        file.write(text.encode())


def _check_choice(
    week: int | None, *, people: bool, participates: bool, html: bool, csv: bool
) -> None:
    if html and (people or participates or csv):
        raise typer.BadParameter("it is for the report of a week alone", param_hint="--html")
    if participates and (people or week is not None):
        raise typer.BadParameter("it is for all weeks together", param_hint="--participation")
