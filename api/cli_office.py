"""Commands of organizers: refund an outage, import a roster, report a week, grant from a file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer

from api.bridge_office import done_out, refund_out, trial_out
from api.cli_settings import CliSettings, open_books
from api.cli_words import (
    DryRunOption,
    FromOption,
    JsonOption,
    SectionOption,
    UntilOption,
    by_me,
    read_span,
    refuse,
    say,
)
from api.printing import Part, steps, table
from quota import listings
from quota.bulk import BulkPlan, RowFault, plan_grants, read_csv
from quota.lab import Lab
from quota.office import Office
from quota.refunding import Incident
from quota.roster import RosterPlan, plan_import, read_roster

app = typer.Typer(add_completion=False)

_SHOWN = 50
_FAULTS_SHOWN = 1000
FileArgument = Annotated[Path, typer.Argument(help="A CSV file in UTF-8.", show_default=False)]


@app.command()
def refund(
    incident: Annotated[str, typer.Option(help="A name for the outage; repeating it is safe.")],
    since: FromOption,
    until: UntilOption,
    reason: Annotated[str, typer.Option(help="Why; the scholars will see it.")],
    section: SectionOption = None,
    *,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Give back what was charged while a fault of the lab lasted, once to each scholar."""
    start, end = read_span(since, until)
    with open_books(CliSettings()) as books:
        names = None if section is None else scholars_in(books.lab, section)
        fault = Incident(id=incident, starts_at=start, ends_at=end, reason=reason)
        found = Office(books).refund(fault, by=by_me(), names=names, dry_run=dry_run)
    shown = refund_out(incident, found, dry_run=dry_run)
    said = "would be given back" if dry_run else "were given back"
    parts: list[Part] = [
        f"{shown.total_hours} GPU-hours {said} to {len(shown.refunds)} scholar(s)."
    ]
    if shown.refunds:
        rows = [[one.account, one.hours, "" if one.is_new else "given before"]
                for one in shown.refunds]  # fmt: skip
        parts += ["", table(("scholar", "GPU-hours", ""), rows)]
    say(parts, shown, as_json=json)


@app.command()
def import_roster(
    file: FileArgument,
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit trail.")] = "roster",
    *,
    remove_others: Annotated[
        bool, typer.Option("--remove-others", help="Take out whom the file does not list.")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Put scholars into sections, from a CSV with the columns name and section."""
    rows, faults = read_roster(text_of(file))
    with open_books(CliSettings()) as books:
        plan = RosterPlan(faults=tuple(faults))
        if not faults:
            plan = plan_import(books.lab, rows, remove_others=remove_others)
        if plan.faults:
            raise refuse(plan.faults[:_FAULTS_SHOWN], "Nothing was changed.", as_json=json)
        if not dry_run and not plan.is_empty:
            with steps("Importing the roster"):
                Office(books).import_roster(plan, by=by_me(), reason=reason)
    shown = {
        "dry_run": dry_run, "same": plan.same,
        "added": [{"name": one.name, "section": one.section} for one in plan.added],
        "moved": [{"name": one.name, "from": where, "to": one.section}
                  for one, where in plan.moved],
        "removed": [{"name": name, "section": where} for name, where in plan.removed],
    }  # fmt: skip
    say(_roster_parts(plan, dry_run=dry_run), shown, as_json=json)


def grant_file(
    file: Path, bulk_id: UUID | None, token: str | None, until: datetime | None, *, dry_run: bool,
    json: bool,
) -> None:  # fmt: skip
    """Grant what a file lists: a dry run first, then again with its id and token."""
    rows, faults = read_csv(text_of(file), until=until)
    chosen = bulk_id or uuid4()
    with open_books(CliSettings()) as books:
        plan = plan_grants(chosen, rows, books.lab, books.clock.now())
        faults = [*faults, *plan.faults]
        if faults:
            raise refuse(_fault_lines(faults), "Nothing was given.", as_json=json)
        if dry_run or token is None:
            names = [one.row.account for one in plan.grants[:_SHOWN]]
            left = {one.account: one.available for one in listings.account_views(books, names)}
            shown = trial_out(plan, faults, left)
            say([*_trial_parts(plan), *_confirmation(file, plan)], shown, as_json=json)
            return
        if token != plan.fingerprint:
            wrong = "The token belongs to another dry run."
            raise refuse([wrong], "Nothing was given.", as_json=json)
        with steps("Giving hours", total=len(plan.grants)) as going:
            views = Office(books).grant_many(plan, by=by_me(), on_given=going.done)
    say([f"{plan.total.hours_text()} GPU-hours were given to {len(views)} scholar(s)."],
        done_out(plan, views), as_json=json)  # fmt: skip


def scholars_in(lab: Lab, section: str) -> list[str]:
    """Name the scholars of a section.

    Raises:
        NoSuchThing: there is no such section.

    """
    return listings.scholars_of(lab, lab.section_named(section).name)


def text_of(file: Path) -> str:
    """Read a CSV."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter("it is not text in UTF-8", param_hint=str(file)) from error


def _roster_parts(plan: RosterPlan, *, dry_run: bool) -> list[Part]:
    rows = [
        *(("added", one.name, one.section) for one in plan.added),
        *(("moved", one.name, f"{where} -> {one.section}") for one, where in plan.moved),
        *(("removed", name, where) for name, where in plan.removed),
    ]
    end = " Nothing was changed: this was a dry run." if dry_run else ""
    said = (f"{len(plan.added)} added, {len(plan.moved)} moved, {len(plan.removed)} removed, "
            f"{plan.same} as before.{end}")  # fmt: skip
    return [*([table(("", "scholar", "section"), rows)] if rows else ()), said]


def _fault_lines(faults: Sequence[RowFault]) -> list[str]:
    shown = faults[:_FAULTS_SHOWN]
    lines = [f"line {one.line}: {one.account or '-'}: {one.what}" for one in shown]
    more = len(faults) - len(lines)
    return [*lines, *([f"... and {more} more"] if more else [])]


def _trial_parts(plan: BulkPlan) -> list[Part]:
    rows = [[one.row.account, one.amount.text(), one.row.reason] for one in plan.grants[:_SHOWN]]
    more = len(plan.grants) - len(rows)
    end = [f"... and {more} more"] if more else []
    total = f"{plan.total.hours_text()} GPU-hours for {len(plan.grants)} scholar(s)."
    shown = table(("scholar", "GPU-hours", "reason"), rows, prose=["reason"])
    return [shown, *end, "", total]


def _confirmation(file: Path, plan: BulkPlan) -> list[str]:
    return ["Nothing was given yet. To give it:",
            f"  gpulab grant --file {file} --id {plan.id} --token {plan.fingerprint}"]  # fmt: skip
