"""The command `gpulab`: what an operator or organizer does without a browser.

Tables and plain sentences, or JSON; an exit status (`api.starting.EXIT_STATUSES`); and never a
traceback for what can be expected.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
from sqlalchemy import Engine

from api import (
    cli_backup,
    cli_datasets,
    cli_export,
    cli_feeds,
    cli_gpus,
    cli_notify,
    cli_office,
    cli_plan,
    cli_report,
)
from api.bridge import account_out, grant_out
from api.bridge_office import explanation_out
from api.checking import all_faults, audit_faults
from api.cli_office import grant_file
from api.cli_settings import CliSettings, database, make_state_folder, open_books
from api.cli_words import DryRunOption, JsonOption, by_me, read_amount, read_instant, say
from api.doctor.examination import examine
from api.printing import steps
from api.starting import EXIT_STATUSES, FOUND_WRONG, plain_exit
from api.tables import account_parts, examination_parts, explanation_parts
from quota.lab_file import LabFileError, load_lab
from quota.office import Office
from quota.store.migrate import downgrade, upgrade
from quota.store.roles import let_in

EPILOG = "Exit status: " + "; ".join(f"{one} {why}" for one, why in EXIT_STATUSES.items()) + "."

app = typer.Typer(
    help="The GPU lab's books and health. Settings: GPULAB_* variables, see docs/reference.md.",
    epilog=EPILOG, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

Name = Annotated[str, typer.Argument(help="User name.", show_default=False)]
LabFileOption = Annotated[Path | None, typer.Option(help="Another lab.yaml to check.")]


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="A revision; going back removes data.")] = "head",
    *,
    back: Annotated[bool, typer.Option("--back", help="Go back to the revision.")] = False,
    role: Annotated[
        str | None, typer.Option(help="PostgreSQL: the role of the service, to be let in.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring the database of the books to this version; made if it is not there.

    With a role: it may read and write afterwards, and not change history.
    """
    settings = CliSettings()
    make_state_folder(settings)
    with database(settings, may_be_new=True) as engine, steps("Bringing the books up"):
        if back:
            downgrade(engine, to)
        else:
            upgrade(engine, to)
        if role is not None:
            _let_in(engine, role)
    say([f"The books are at revision {to}."], {"revision": to}, as_json=json)


def _let_in(engine: Engine, role: str) -> None:
    try:
        let_in(engine, role)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--role") from error


@app.command()
def check(
    lab_file: LabFileOption = None,
    head: Annotated[
        Path | None, typer.Option(help="With --audit: a head that was exported before.")
    ] = None,
    *,
    audit: Annotated[bool, typer.Option("--audit", help="Only the audit trail.")] = False,
    json: JsonOption = False,
) -> None:
    """Check settings, lab.yaml, the laws of the books and the audit trail; exit 1 for a fault."""
    faults = audit_faults(head) if audit else all_faults(lab_file)
    right = "The audit trail is whole." if audit else "Settings, lab.yaml and books are right."
    say(faults or [right], {"faults": faults}, as_json=json)
    if faults:
        raise typer.Exit(FOUND_WRONG)


@app.command()
def lab_file(
    path: Annotated[Path, typer.Argument(help="The file.")] = Path("lab.yaml"),
    *,
    json: JsonOption = False,
) -> None:
    """Check a lab.yaml before it is used: every mistake with its line and its remedy."""
    try:
        lab = load_lab(path)
    except LabFileError as error:
        if not json:
            raise
        say([], {"problems": [asdict(one) for one in error.problems]}, as_json=True)
        raise typer.Exit(FOUND_WRONG) from None
    counts = {"sections": len(lab.sections), "flavors": len(lab.flavors),
              "scholars": sum(len(section.scholars) for section in lab.sections.values()),
              }  # fmt: skip
    said = (f"{path} is right: {lab.name}, {counts['sections']} section(s), {counts['scholars']} "
            f"scholar(s), {counts['flavors']} flavor(s).")  # fmt: skip
    say([said], {"problems": [], "name": lab.name, **counts}, as_json=json)


@app.command()
def grant(  # noqa: PLR0917 - typer's arguments have to be positional
    name: Annotated[str | None, typer.Argument(help="User name.", show_default=False)] = None,
    hours: Annotated[
        str | None, typer.Argument(help="2.5, or '30 min'.", show_default=False)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; the scholar will see it.")] = None,
    until: Annotated[
        str | None, typer.Option(help="2027-02-05T18:00+01:00; else the week.")
    ] = None,
    grant_id: Annotated[UUID | None, typer.Option("--id", help="Repeating it is safe.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A CSV with account, hours, reason; for many at once.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="With --file: of its dry run.")] = None,
    *,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Give extra GPU-hours to one scholar, or to all in a file."""
    ends_at = read_instant(until)
    if file is not None:
        if name is not None or reason is not None:
            raise typer.BadParameter("the file says who gets what and why", param_hint="--file")
        grant_file(file, grant_id, token, ends_at, dry_run=dry_run, json=json)
        return
    if name is None or hours is None or reason is None:
        raise typer.BadParameter("write NAME HOURS --reason WHY, or --file FILE")
    if dry_run:
        raise typer.BadParameter("only a file is tried first", param_hint="--dry-run")
    amount = read_amount(hours)
    with open_books(CliSettings()) as books:
        given = Office(books).grant(grant_id or uuid4(), name, amount, by=by_me(), reason=reason,
                                    until=ends_at)  # fmt: skip
        left = books.account(name).available.hours_text()
    said = (f"{given.account} has {given.amount.hours_text()} GPU-hours more until "
            f"{given.ends_at:%Y-%m-%d %H:%M} UTC, {left} available in all. "
            f"Grant {given.id}.")  # fmt: skip
    say([said], grant_out(given), as_json=json)


@app.command()
def account(
    name: Name,
    *,
    why: Annotated[bool, typer.Option("--why", help="Lines that sum to the balance.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a person's balance, holds, sessions and charges, or why it is so much."""
    with open_books(CliSettings()) as books:
        if why:
            found = books.explanation(name)
            say(explanation_parts(found), explanation_out(found), as_json=json)
            return
        view, now = books.account(name), books.clock.now()
    say(account_parts(view), account_out(view, now), as_json=json)


@app.command()
def doctor(*, json: JsonOption = False) -> None:
    """Look at this machine and lab; exit status 1 if something has to be mended."""
    with steps("Looking at this machine"):
        findings = examine(CliSettings())
    say(examination_parts(findings), {"findings": [asdict(one) for one in findings]}, as_json=json)
    if any(one.level == "fail" for one in findings):
        raise typer.Exit(FOUND_WRONG)


cli_backup.register(app)
app.command()(cli_plan.plan)
app.command()(cli_notify.notify)
app.add_typer(cli_office.app)
app.add_typer(cli_report.app)
app.add_typer(cli_gpus.app)
app.add_typer(cli_export.app, name="export", help="Write usage, a calendar, the trail's head.")
app.add_typer(cli_feeds.app, name="feed", help="Addresses that calendar programs subscribe to.")
app.add_typer(cli_datasets.app, name="datasets", help="Folders that all sessions can read.")
for group in (
    app, cli_datasets.app, cli_office.app, cli_report.app, cli_gpus.app, cli_export.app,
    cli_feeds.app,
):  # fmt: skip
    for command in group.registered_commands:
        command.epilog = EPILOG


def main() -> None:
    """Run the command line."""
    with plain_exit():
        app()


if __name__ == "__main__":
    main()
