"""Commands that write files: usage, labs passed, a calendar, the head of the audit trail."""

from json import dumps
from typing import Annotated

import typer

from api.bridge_office import section_week_out
from api.cli_office import scholars_in
from api.cli_settings import CliSettings, open_books
from api.cli_words import (
    FromOption,
    JsonOption,
    OutputOption,
    SectionOption,
    UntilOption,
    output_to,
    read_span,
)
from api.exports import UsageFormat, csv_text, export, usage_line
from api.ical import calendar_of
from quota import listings
from quota.office import Office
from quota.section_week import section_weeks

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def usage(
    since: FromOption,
    until: UntilOption,
    section: SectionOption = None,
    form: Annotated[UsageFormat, typer.Option("--format", help="Of the file.")] = "csv",
    output: OutputOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Write every posted charge that touches a time; --json is --format json."""
    form = "json" if json else form
    start, end = read_span(since, until)
    with open_books(CliSettings()) as books, output_to(output) as file:
        lab = books.lab
        names = scholars_in(lab, section) if section else listings.account_names(books)
        lines = (usage_line(one, lab) for one in listings.charges(books, names, start, end))
        head = f'"starts_at":"{start.isoformat()}","ends_at":"{end.isoformat()}",'
        for part in export(lines, form, head=head):
            file.write(part)


@app.command()
def calendar(
    section: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    output: OutputOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Write a section's weeks, due dates and hours as iCalendar, or as JSON."""
    with open_books(CliSettings()) as books, output_to(output) as file:
        scholars_in(books.lab, section)
        found, now = books.lab.sections[section], books.clock.now()
        weeks = list(section_weeks(books.lab, found, now))
        if json:
            shown = [section_week_out(one).model_dump(mode="json") for one in weeks]
            file.write(dumps({"weeks": shown}, indent=2).encode() + b"\n")
            return
        file.write(calendar_of(books.lab.name, found.title or section, weeks,
                               hub_id=books.hub_id, now=now))  # fmt: skip


@app.command()
def labs_passed(
    section: SectionOption = None, output: OutputOption = None, *, json: JsonOption = False
) -> None:
    """Write who passed which lab, and when for the first time, as CSV or JSON."""
    with open_books(CliSettings()) as books, output_to(output) as file:
        lab = books.lab
        names = scholars_in(lab, section) if section else listings.account_names(books)
        rows = [
            {"account": name, "section": lab.section_name_of(name) or "", "lab": one.name,
             "passed_at": one.passed_at.isoformat()}
            for name, one in listings.passed_labs(books, names)
        ]  # fmt: skip
        if json:
            file.write(dumps({"labs_passed": rows}, indent=2).encode() + b"\n")
            return
        columns = ("account", "section", "lab", "passed_at")
        file.write(csv_text([columns, *(one.values() for one in rows)]).encode())


@app.command()
def trail_head(output: OutputOption = None, *, json: JsonOption = False) -> None:
    """Write number and hash of the last line of the audit trail; keep it elsewhere."""
    with open_books(CliSettings()) as books, output_to(output) as file:
        head = Office(books).trail_head()
        text = dumps({"seq": head.seq, "hash": head.hash.hex()}) if json else head.text()
        file.write(f"{text}\n".encode())
