"""The report of a week as one HTML page that can be sent around."""

from html import escape

from api.paper import cells, page, section, table
from api.plan_charts import bars
from api.week_text import (
    HOURS_HEADS,
    HOURS_NOTE,
    WAIT_HEADS,
    WAITS_NOTE,
    end_rows,
    gpu_lines,
    hours_cells,
    refund_rows,
    refusal_rows,
    wait_cells,
)
from quota.week_report import WeekReport, hours_of


def week_page(lab_name: str, report: WeekReport) -> str:
    """Write the page."""
    title, lead = escape(report.title), escape(report.lead)
    return page(f"{report.title} - {lab_name}", [
        f"<header><h1>{title}</h1><p class='lead'>{lead}</p></header>",
        section("Hours", _hours(report), HOURS_NOTE),
        section("Waits", _waits(report), WAITS_NOTE),
        section("GPUs", "".join(f"<p>{escape(one)}</p>" for one in gpu_lines(report)), ""),
        _counted("Why starts were refused", "reason", refusal_rows(report),
                 "Nobody was refused."),
        _counted("How sessions ended", "end", end_rows(report), "No session has ended."),
        _refunds(report),
    ])  # fmt: skip


def _hours(report: WeekReport) -> str:
    labels = [one.title or one.name for one in report.sections]
    rows = [f"<tr>{cells(hours_cells(one))}</tr>" for one in report.sections]
    return bars(labels, [
        ("given", [hours_of(one.owed) for one in report.sections]),
        ("used", [hours_of(one.used) for one in report.sections]),
    ], unit="h", x_title="GPU-hours by section") + table(HOURS_HEADS, rows)  # fmt: skip


def _waits(report: WeekReport) -> str:
    labels = [one.title or one.name for one in report.sections]
    rows = [f"<tr>{cells(wait_cells(one))}</tr>" for one in report.sections]
    return bars(labels, [
        ("p95", [one.waits.p95_s / 60 for one in report.sections]),
        ("p50", [one.waits.p50_s / 60 for one in report.sections]),
    ], unit="min", x_title="wait for a GPU by section") + table(WAIT_HEADS, rows)  # fmt: skip


def _counted(title: str, head: str, rows: list[tuple[str, int]], nothing: str) -> str:
    if not rows:
        return section(title, "", nothing)
    return section(title, table(
        (head, "times"), [f"<tr>{cells([what, str(count)])}</tr>" for what, count in rows]
    ), "")  # fmt: skip


def _refunds(report: WeekReport) -> str:
    rows = [f"<tr>{cells(one)}</tr>" for one in refund_rows(report)]
    if not rows:
        return section("Incidents and refunds", "", "Nothing had to be given back.")
    heads = ("why", "scholars", "GPU-hours")
    return section("Incidents and refunds", table(heads, rows), "")
