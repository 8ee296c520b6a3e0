"""Checking a lab: its settings, lab.yaml, the laws of the books, the audit trail."""

from pathlib import Path

import typer

from api.cli_settings import CliSettings, open_books, unknown_variables
from api.printing import steps
from quota.audit import TrailHead
from quota.invariants import describe
from quota.lab_file import LabFileError, load_lab
from quota.office import Office


def all_faults(lab_file: Path | None) -> list[str]:
    """Name everything that is wrong."""
    settings = CliSettings()
    faults = [f"{name}: no such setting" for name in unknown_variables()]
    try:
        load_lab(lab_file or settings.lab_file)
    except LabFileError as error:
        return [*faults, *str(error).splitlines()]
    chosen = settings.model_copy(update={"lab_file": lab_file or settings.lab_file})
    with open_books(chosen) as books:
        with steps("Checking the books, by account", counts=True) as going:
            wrong = describe(books.check(on_account=going.reached)).splitlines()
        faults += [f"left out, since lab.yaml changed: {one}" for one in books.rules.left_out]
        with steps("Checking the audit trail"):
            trail = Office(books).check_trail()
        # For the metrics, so that an alarm comes from a check that runs every night.
        books.note_check({"books": len(wrong), "trail": len(trail)})
    return [*faults, *wrong, *trail]


def audit_faults(head_file: Path | None) -> list[str]:
    """Check the audit trail, also against a head that was exported before."""
    head = None
    if head_file is not None:
        try:
            head = TrailHead.parse(head_file.read_text())
        except ValueError as error:
            wrong = f"{head_file} holds no head; write one with gpulab export trail-head"
            raise typer.BadParameter(wrong, param_hint="--head") from error
    with steps("Checking the audit trail"), open_books(CliSettings()) as books:
        return Office(books).check_trail(head)
