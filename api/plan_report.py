"""A plan as one HTML page that can be sent around: no scripts, nothing from elsewhere."""

from html import escape

from api.paper import cells, page, section, table
from api.plan_charts import bars, field, lines
from api.plan_text import advice, gain_text, percent_text, reference, span_text
from quota.simulation.figures import Figures
from quota.simulation.plan import Answer, Plan, enough


def report_page(plan: Plan, answer: Answer) -> str:
    """Write the page."""
    detail = reference(answer)
    scholars = sum(len(one.scholars) for one in plan.lab.sections.values())
    parts = [
        _head(plan, scholars, detail.runs, advice(answer, plan.within_s)),
        _gpus(answer, plan.within_s),
        _hours(detail),
        _use(detail),
        _allowances(answer),
        _method(plan),
    ]
    return page(f"GPU plan: {plan.lab.name}", parts)


def _head(plan: Plan, scholars: int, runs: int, sentence: str) -> str:
    weeks = (
        f"{len(plan.lab.program.weeks)} weeks" if plan.lab.program else "weeks without a program"
    )
    return (
        f"<header><h1>{escape(plan.lab.name)}: how many GPUs?</h1>"
        f"<p class='lead'>{escape(sentence)}</p>"
        f"<p>{scholars} scholars in {len(plan.lab.sections)} section(s), {weeks}; every figure is "
        f"from {runs} simulated class(es), each with its own chance.</p></header>"
    )


def _gpus(answer: Answer, within_s: int) -> str:
    rows, before, picked = [], None, enough(answer.by_gpus, within_s)
    for one in answer.by_gpus:
        mark = " class='pick'" if one.gpus == picked else ""
        rows.append(f"<tr{mark}>" + cells([
            str(one.gpus), percent_text(one.waits.at_once), span_text(one.waits.p50_s),
            span_text(one.waits.p95_s), _range(one), percent_text(one.waits.gave_up),
            percent_text(one.busy), gain_text(before, one) or "-",
        ]) + "</tr>")  # fmt: skip
        before = one
    chart = lines([str(one.gpus) for one in answer.by_gpus], [
        ("p95", [one.waits.p95_s / 60 for one in answer.by_gpus]),
        ("p50", [one.waits.p50_s / 60 for one in answer.by_gpus]),
    ], unit="min", x_title="GPUs")  # fmt: skip
    heads = ("GPUs", "at once", "p50", "p95", "p95 in the runs", "gave up", "busy",
             "step buys")  # fmt: skip
    return section("Waiting, by number of GPUs", chart + table(heads, rows), (
        "Waits of everybody who asked for a GPU and could pay for it; who gave up counts as long "
        "as they stayed."))  # fmt: skip


def _hours(detail: Figures) -> str:
    labels = [f"{hour:02d}" for hour in range(24)]
    by_hour = bars(labels, [
        ("p95", [one.p95_s / 60 for one in detail.by_hour]),
        ("p50", [one.p50_s / 60 for one in detail.by_hour]),
    ], unit="min", x_title="hour of the scholar's own day")  # fmt: skip
    busy = lines(labels, [("busy", [one * 100 for one in detail.busy_by_hour])], unit="%",
                 x_title="hour of the day in UTC")  # fmt: skip
    rows = [
        "<tr>" + cells([name, str(one.wishes // detail.runs), percent_text(one.at_once),
                         span_text(one.p50_s), span_text(one.p95_s),
                         percent_text(one.gave_up)]) + "</tr>"
        for name, one in detail.by_section.items()
    ]  # fmt: skip
    heads = ("section", "wishes", "at once", "wait p50", "wait p95", "gave up")
    return (
        section(f"When people wait, with {detail.gpus} GPUs", by_hour, "")
        + section("How busy the GPUs are", busy, f"On average {percent_text(detail.busy)}.")
        + section("Waiting, by section", table(heads, rows), "")
    )


def _use(detail: Figures) -> str:
    weeks = sorted({one.week for one in detail.usage})
    names = sorted({one.section for one in detail.usage})
    found = {(one.section, one.week): one for one in detail.usage}
    labels = [f"week {week}" for week in weeks]
    given = [sum(found[n, w].given_h for n in names if (n, w) in found) for w in weeks]
    used = [sum(found[n, w].used_h for n in names if (n, w) in found) for w in weeks]
    out = [(n, [found[n, w].ran_out * 100 if (n, w) in found else 0.0 for w in weeks])
           for n in names]  # fmt: skip
    hours = bars(
        labels, [("given", given), ("used", used)], unit="h", x_title="GPU-hours of all scholars"
    )
    return section("Hours given and used", hours, (
        f"Of {detail.given_h:.0f} GPU-hours {percent_text(detail.unused)} stay unused.")
    ) + section("Who runs out", field(out, labels, unit="%", x_title="scholars without hours"), (
        "The part of each section whose hours were used up in a session, or did not suffice to "
        "start one, at least once in the week."))  # fmt: skip


def _allowances(answer: Answer) -> str:
    if len(answer.by_percent) < 2:
        return ""
    rows = [
        "<tr>" + cells([f"{one.percent} %", span_text(one.waits.p50_s),
                         span_text(one.waits.p95_s), percent_text(one.waits.gave_up),
                         percent_text(one.ran_out), percent_text(one.unused),
                         percent_text(one.busy)]) + "</tr>"
        for one in answer.by_percent
    ]  # fmt: skip
    heads = ("allowance", "wait p50", "wait p95", "gave up", "run out in a week", "unused",
             "GPUs busy")  # fmt: skip
    return section(f"Another allowance, with {answer.compare_at} GPUs", table(heads, rows), (
        "People want what they want: a larger allowance lets more of it happen, and makes others "
        "wait longer."))  # fmt: skip


def _method(plan: Plan) -> str:
    seeds = ", ".join(str(seed) for seed in plan.seeds)
    shown = plan.behaviour.model_dump(exclude={"by_hour", "by_weekday"})
    rows = [f"<tr>{cells([name.replace('_', ' '), str(value)])}</tr>"
            for name, value in shown.items()]  # fmt: skip
    return (
        "<section><h2>What this rests on</h2><p>The lab's own rules admit, meter and stop "
        "simulated scholars; only how people behave is assumed. The same people (seeds "
        f"{escape(seeds)}) meet every number of GPUs. Where the numbers come from, and how far to "
        f"trust them: docs/planning.md.</p><details><summary>Behaviour</summary>"
        f"{table(('number', 'value'), rows)}</details></section>"
    )


def _range(one: Figures) -> str:
    return f"{span_text(one.p95_lowest_s)} to {span_text(one.p95_highest_s)}"
