"""The command `gpulab`: what an operator or organizer does without a browser.

Plain sentences, an exit status, and never a traceback for what can be expected: 0 done, 1 not
done and said why, 2 not understood.
"""

import getpass
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer

from api.bridge import account_out
from api.cli_backup import register
from api.cli_settings import CliSettings, database, open_books, unknown_variables
from api.doctor import examine
from api.starting import plain_exit
from api.tables import account_lines, examination_lines
from quota.amount import GpuTime
from quota.clock import whole_ms
from quota.invariants import describe
from quota.lab_file import LabFileError, load_lab
from quota.store.migrate import downgrade, upgrade

app = typer.Typer(
    help="The GPU lab's books and health. Settings: GPULAB_* variables, see docs/reference.md.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

Name = Annotated[str, typer.Argument(help="User name.", show_default=False)]
LabFileOption = Annotated[Path | None, typer.Option(help="Another lab.yaml to check.")]


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="A revision; going back removes data.")] = "head",
    *,
    back: Annotated[bool, typer.Option("--back", help="Go back to the revision.")] = False,
) -> None:
    """Bring the database of the books to this version; made if it is not there."""
    with database(CliSettings(), may_be_new=True) as engine:
        if back:
            downgrade(engine, to)
        else:
            upgrade(engine, to)
    typer.echo(f"The books are at revision {to}.")


@app.command()
def check(lab_file: LabFileOption = None) -> None:
    """Check settings, lab.yaml and the laws of the books; exit status 1 if one is broken."""
    settings = CliSettings()
    faults = [f"{name}: no such setting" for name in unknown_variables()]
    try:
        load_lab(lab_file or settings.lab_file)
    except LabFileError as error:
        faults.append(str(error))
    else:
        chosen = settings.model_copy(update={"lab_file": lab_file or settings.lab_file})
        with open_books(chosen) as books:
            faults += describe(books.check()).splitlines()
    if faults:
        typer.echo("\n".join(faults))
        raise typer.Exit(1)
    typer.echo("Settings, lab.yaml and books are right.")


@app.command()
def lab_file(path: Annotated[Path, typer.Argument(help="The file.")] = Path("lab.yaml")) -> None:
    """Check a lab.yaml before it is used: every mistake with its line and its remedy."""
    lab = load_lab(path)
    scholars = sum(len(section.scholars) for section in lab.sections.values())
    typer.echo(f"{path} is right: {lab.name}, {len(lab.sections)} section(s), {scholars} "
               f"scholar(s), {len(lab.flavors)} flavor(s).")  # fmt: skip


@app.command()
def grant(
    name: Name,
    hours: Annotated[str, typer.Argument(help="2.5, or '30 min'.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; the scholar will see it.")],
    until: Annotated[
        str | None, typer.Option(help="2027-02-05T18:00+01:00; else the week.")
    ] = None,
    grant_id: Annotated[UUID | None, typer.Option("--id", help="Repeating it is safe.")] = None,
) -> None:
    """Give extra GPU-hours."""
    amount, ends_at = _amount(hours), _instant(until)
    with open_books(CliSettings()) as books:
        given = books.grant(grant_id or uuid4(), name, amount, author=getpass.getuser(),
                            reason=reason, until=ends_at)  # fmt: skip
        left = books.account(name).available.hours_text()
    typer.echo(f"{given.account} has {given.amount.hours_text()} GPU-hours more until "
               f"{given.ends_at:%Y-%m-%d %H:%M} UTC, {left} available in all. "
               f"Grant {given.id}.")  # fmt: skip


@app.command()
def account(
    name: Name,
    *,
    json: Annotated[bool, typer.Option("--json", help="The same as the service answers.")] = False,
) -> None:
    """Show a person's balance, holds, sessions and charges."""
    with open_books(CliSettings()) as books:
        view, now = books.account(name), books.clock.now()
    if json:
        typer.echo(account_out(view, now).model_dump_json(indent=2))
        return
    typer.echo("\n".join(account_lines(view)))


@app.command()
def doctor() -> None:
    """Look at this machine and lab; exit status 1 if something has to be mended."""
    findings = examine(CliSettings())
    typer.echo("\n".join(examination_lines(findings)))
    if any(one.level == "fail" for one in findings):
        raise typer.Exit(1)


register(app)


def main() -> None:
    """Run the command line."""
    with plain_exit():
        app()


def _amount(hours: str) -> GpuTime:
    try:
        return GpuTime.parse(hours)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="HOURS") from error


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        wrong = f"{text!r} is no date and time; write it like 2027-02-05T18:00+01:00"
        raise typer.BadParameter(wrong, param_hint="--until") from error
    if at.tzinfo is None or not 2000 <= at.year < 2200:
        raise typer.BadParameter("it needs a sane year and an offset, like +01:00 or Z",
                                 param_hint="--until")  # fmt: skip
    return whole_ms(at)


if __name__ == "__main__":
    main()
