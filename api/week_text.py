"""A report of a week in words: the same for the terminal, a file and the organizers' page."""

from api.plan_text import span_text
from quota.leases import END_TEXTS
from quota.week_report import SectionWeekReport, WeekReport

HOURS_HEADS = ("section", "scholars", "active", "given h", "used h", "ran out", "Gini")
WAIT_HEADS = ("section", "asked for a GPU", "at once", "wait p50", "wait p95", "gave up")
HOURS_NOTE = (
    "The Gini coefficient is of used against given hours: 0 when everybody used the same part of "
    "theirs, near 1 when few used all of it."
)
WAITS_NOTE = (
    "Waits are from asking for a GPU until one was set aside; who gave up counts as long as they "
    "stayed."
)
_MOST_REFUSALS = 8
_REFUSALS = {
    "insufficient_balance": "no hours left", "outside_program": "no week of the program was on",
    "not_on_roster": "in no section", "already_running": "the session ran already",
    "too_many_sessions": "too many sessions at once", "gpus_closed": "the GPUs were closed",
    "flavor_cannot_be_placed": "no GPU was large enough", "no_such_flavor": "no such flavor",
    "no_such_image": "no such image",
}  # fmt: skip


def hours_cells(one: SectionWeekReport) -> list[str]:
    """Return the row of a section, in the order of `HOURS_HEADS`."""
    return [
        one.title or one.name, str(one.scholars), str(one.active), one.owed.hours_text(),
        one.used.hours_text(), str(one.ran_out), "-" if one.gini is None else f"{one.gini:.2f}",
    ]  # fmt: skip


def wait_cells(one: SectionWeekReport) -> list[str]:
    """Return the row of a section, in the order of `WAIT_HEADS`."""
    waits, name = one.waits, one.title or one.name
    if not waits.asked:
        return [name, "0", "-", "-", "-", "0"]
    return [
        name, str(waits.asked), f"{100 * waits.at_once // waits.asked} %", span_text(waits.p50_s),
        span_text(waits.p95_s), str(waits.gave_up),
    ]  # fmt: skip


def gpu_lines(report: WeekReport) -> list[str]:
    """Say what became of the GPUs' time."""
    gpus = report.gpus
    free = max(0, gpus.possible.mgpu_ms - gpus.taken.mgpu_ms)
    part = 100 * free // gpus.possible.mgpu_ms if gpus.possible.mgpu_ms else 0
    said = (
        f"{gpus.gpus} GPU(s) are in service; they could give {gpus.possible.hours_text()} "
        "GPU-hours until the report was made, or the week's end. Sessions took "
        f"{gpus.taken.hours_text()}; {part} % stayed free."
    )
    lines = [said]
    if gpus.idle.mgpu_ms:
        lines.append(f"Of what sessions took, {gpus.idle.hours_text()} GPU-hours were seen idle.")
    return lines


def refusal_rows(report: WeekReport) -> list[tuple[str, int]]:
    """Return the most frequent reasons why starts were refused."""
    return [(_REFUSALS.get(code, code.replace("_", " ")), count)
            for code, count in report.refusals[:_MOST_REFUSALS]]  # fmt: skip


def end_rows(report: WeekReport) -> list[tuple[str, int]]:
    """Return how sessions ended, the most frequent first."""
    return [(END_TEXTS.get(reason, "The session has ended."), count)
            for reason, count in report.ends]  # fmt: skip


def refund_rows(report: WeekReport) -> list[tuple[str, str, str]]:
    """Return what was given back: why, to how many, GPU-hours."""
    return [(one.reason, str(one.scholars), one.amount.hours_text()) for one in report.refunds]
