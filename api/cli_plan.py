"""`gpulab plan`: how many GPUs a program needs, before it begins."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from api.plan_report import report_page
from api.plan_text import advice, as_json, gain_text, hardest, percent_text, reference, span_text
from api.printing import Part, panel, show, steps, table
from quota.clock import SystemClock
from quota.lab import Lab
from quota.lab_file import LabFileError, load_lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.plan import Answer, Plan, answer, runs_of
from quota.simulation.variants import with_scholars

_MOST_GPUS = 1024
_MOST_RUNS = 50
_MOST_SCHOLARS = 5_000
_MOST_PERCENT = 1_000

LabFile = Annotated[Path, typer.Argument(help="The lab.yaml to plan.", show_default=False)]


def plan(  # noqa: PLR0917 - Typer reads the command's options from here
    lab_file: LabFile,
    gpus: Annotated[str, typer.Option(help="How many GPUs to try: 8, 6..12 or 4,8,16.")] = "",
    scholars: Annotated[
        int | None, typer.Option(min=1, max=_MOST_SCHOLARS, help="So many, not the roster's.")
    ] = None,
    allowance: Annotated[
        str, typer.Option(help="Allowances to try, in percent of the file's.")
    ] = "80,120",
    runs: Annotated[int, typer.Option(min=1, max=_MOST_RUNS, help="Classes for each try.")] = 3,
    weeks: Annotated[
        int | None, typer.Option(min=1, max=520, help="Only so many of the first weeks.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Chance: the same seed gives the same plan.")] = 1,
    within_min: Annotated[
        int, typer.Option(min=1, max=1440, help="The wait that 95 of 100 should not exceed.")
    ] = 15,
    at: Annotated[
        int | None, typer.Option(min=1, max=_MOST_GPUS, help="Show details with so many GPUs.")
    ] = None,
    behaviour: Annotated[
        Path | None, typer.Option(help="JSON with what you know of your scholars.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report with charts here.")] = None,
    processes: Annotated[
        int, typer.Option(min=0, max=256, help="Processes at once; 0: one for each core.")
    ] = 0,
    *,
    as_data: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Simulate the program: waits, who runs out, unused hours, what one more GPU buys."""
    lab = _lab(lab_file, scholars)
    counts = _numbers(gpus, "--gpus", _MOST_GPUS) if gpus else _around(lab)
    wanted = Plan(
        lab=lab, behaviour=_behaviour(behaviour), today=_midnight(SystemClock().now()),
        weeks=weeks, gpus=counts, details_at=at, within_s=within_min * 60,
        percents=_numbers(allowance, "--allowance", _MOST_PERCENT) if allowance else (),
        seeds=tuple(range(seed, seed + runs)),
    )  # fmt: skip
    try:
        found = _answer(wanted, processes or os.cpu_count() or 1)
    except ValueError as error:
        raise _not_understood(str(error)) from error
    if html is not None:
        _write(html, report_page(wanted, found))
    if as_data:
        typer.echo(json.dumps(as_json(found), indent=2))
    else:
        _show(wanted, found)


def _answer(wanted: Plan, processes: int) -> Answer:
    total = runs_of(wanted)
    with steps("Simulating classes", total=total) as going:
        return answer(
            wanted, processes=min(processes, total), on_done=lambda _outcome: going.done()
        )


# -- on the terminal -----------------------------------------------------------------------------


def _show(wanted: Plan, found: Answer) -> None:
    detail = reference(found)
    parts: list[Part] = [panel(advice(found, wanted.within_s))]
    tables = [_by_gpus(found), _by_section(found), _by_hour(found)]
    if len(found.by_percent) > 1:
        tables.append(_by_percent(found))
    for one in tables:
        parts += ["", one]
    parts.append("")
    parts += [f"Week {one.week}, {one.section}: {percent_text(one.ran_out)} run out of hours; "
              f"{one.used_h:.0f} of {one.given_h:.0f} GPU-hours used."
              for one in hardest(found)]  # fmt: skip
    parts.append(f"Of {detail.given_h:.0f} GPU-hours {percent_text(detail.unused)} stay unused. "
                 f"{detail.runs} class(es) for each line, seeds {wanted.seeds[0]} to "
                 f"{wanted.seeds[-1]}. How far to trust this: docs/planning.md")  # fmt: skip
    show(parts)


def _by_gpus(found: Answer) -> Table:
    heads = ("GPUs", "at once", "wait p50", "wait p95", "gave up", "GPUs busy", "step buys")
    rows = []
    for before, one in zip((None, *found.by_gpus), found.by_gpus, strict=False):
        waits = one.waits
        rows.append((str(one.gpus), percent_text(waits.at_once), span_text(waits.p50_s),
                     span_text(waits.p95_s), percent_text(waits.gave_up),
                     percent_text(one.busy), gain_text(before, one)))  # fmt: skip
    return table(heads, rows, title="Waiting, by number of GPUs")


def _by_section(found: Answer) -> Table:
    detail = reference(found)
    heads = ("section", "wishes", "at once", "wait p50", "wait p95", "gave up")
    rows = [(name, str(one.wishes // detail.runs), percent_text(one.at_once),
             span_text(one.p50_s), span_text(one.p95_s), percent_text(one.gave_up))
            for name, one in detail.by_section.items()]  # fmt: skip
    return table(heads, rows, title=f"By section, with {detail.gpus} GPUs")


def _by_hour(found: Answer) -> Table:
    detail = reference(found)
    heads = ("hours", "wait p50", "wait p95", "hours", "wait p50", "wait p95")
    rows = []
    for hour in range(12):
        cells: list[str] = []
        for at in (hour, hour + 12):
            one = detail.by_hour[at]
            cells += [f"{at:02d} to {(at + 1) % 24:02d}", span_text(one.p50_s),
                      span_text(one.p95_s)]  # fmt: skip
        rows.append(cells)
    title = f"By hour of the scholar's day, with {detail.gpus} GPUs"
    return table(heads, rows, title=title)


def _by_percent(found: Answer) -> Table:
    heads = ("allowance", "wait p50", "wait p95", "gave up", "run out in a week", "unused")
    rows = [(f"{one.percent} %", span_text(one.waits.p50_s), span_text(one.waits.p95_s),
             percent_text(one.waits.gave_up), percent_text(one.ran_out),
             percent_text(one.unused)) for one in found.by_percent]  # fmt: skip
    return table(heads, rows, title=f"Another allowance, with {found.compare_at} GPUs")


# -- what was given ------------------------------------------------------------------------------


def _lab(path: Path, scholars: int | None) -> Lab:
    try:
        lab = load_lab(path)
        return lab if scholars is None else with_scholars(lab, scholars)
    except (LabFileError, ValueError) as error:
        raise _not_understood(str(error)) from error


def _behaviour(path: Path | None) -> Behaviour:
    if path is None:
        return Behaviour()
    try:
        return Behaviour.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _not_understood(f"{path.name}: {error.strerror}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(str(p) for p in one['loc'])}: {one['msg']}"
                           for one in error.errors()[:5])  # fmt: skip
        raise _not_understood(f"{path.name}: {faults}") from error


def _numbers(text: str, option: str, most: int) -> tuple[int, ...]:
    """Read `8`, `6..12` or `4,8,16`."""
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        if not (first.isascii() and first.isdigit() and (not dots or last.isdigit())):
            raise _not_understood(f"{option}: {part.strip()[:40]!r}; write 8, 6..12 or 4,8,16")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= most:
            raise _not_understood(f"{option}: from 1 to {most}, the smaller number first")
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _around(lab: Lab) -> tuple[int, ...]:
    declared = sum(gpu.count for gpu in lab.gpus.declared) or 1
    return tuple(range(max(1, declared - 2), declared + 3))


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _not_understood(f"{path.name}: {error.strerror}") from error


def _not_understood(message: str) -> Any:
    return typer.BadParameter(message)
