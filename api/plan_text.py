"""A plan in words and numbers: what table, report and JSON have in common."""

from dataclasses import asdict
from typing import Any

from quota.simulation.figures import Figures, Usage
from quota.simulation.plan import Answer, enough


def span_text(seconds: float) -> str:
    """Write a time as people say it: '0', '45 s', '12 min', '2.5 h'."""
    if seconds < 1:
        return "0"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def percent_text(part: float) -> str:
    """Write a part of one as percent; what is small but there does not read as nothing."""
    return "<1 %" if 0 < part < 0.005 else f"{part * 100:.0f} %"


def advice(answer: Answer, within_s: int) -> str:
    """Say how many GPUs are enough, and whether it was tried."""
    picked = enough(answer.by_gpus, within_s)
    for one in answer.by_gpus:
        if one.gpus == picked:
            verb = "is" if picked == 1 else "are"
            wait = f"wait at most {span_text(one.waits.p95_s)}"
            return (
                f"{_gpus(one.gpus)} {verb} enough: 95 of 100 "
                f"{'do not wait' if one.waits.p95_s < 1 else wait} (the aim: "
                f"{span_text(within_s)} at most)."
            )
    most = answer.by_gpus[-1]
    return (
        f"Even with {_gpus(most.gpus)} 5 of 100 wait longer than {span_text(most.waits.p95_s)}; "
        f"the aim is {span_text(within_s)}. Try more GPUs, or a smaller allowance."
    )


def gain_text(before: Figures | None, after: Figures) -> str:
    """Say what one step more buys."""
    if before is None:
        return ""
    saved_s = before.waits.p95_s - after.waits.p95_s
    if saved_s < 30:
        return "nothing"
    return f"p95 -{span_text(saved_s)}"


def hardest(answer: Answer) -> list[Usage]:
    """List the weeks in which most scholars run out, in the section where it is worst."""
    ordered = sorted(reference(answer).usage, key=lambda one: (-one.ran_out, one.week))
    return [one for one in ordered[:5] if one.ran_out > 0]


def reference(answer: Answer) -> Figures:
    """Return the figures at the number of GPUs that details are shown for."""
    return next(one for one in answer.by_gpus if one.gpus == answer.compare_at)


def as_json(answer: Answer) -> dict[str, Any]:
    """Return everything as plain data; times in seconds, hours in GPU-hours."""
    return {
        "compare_at_gpus": answer.compare_at,
        "by_gpus": [_figures(one) for one in answer.by_gpus],
        "by_allowance_percent": [_figures(one) for one in answer.by_percent],
    }


def _figures(one: Figures) -> dict[str, Any]:
    return {**asdict(one), "unused": one.unused}


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
