"""Boards drawn by a renderer of our own, from what a real Prometheus answered; pure.

Not Grafana: it shows the same panels, places, units, colours and queries, so that it can be seen
that a board says something. One page of HTML for each board.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tests.monitoring.queries import Panel

Answer: TypeAlias = Sequence[Mapping[str, Any]]
LABEL = "Drawn by gpulab's own renderer, not Grafana, from what Prometheus answered."
_COLUMN, _ROW, _GAP = 58, 34, 6
_COLORS = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0",
           "#508642", "#cca300", "#447ebc", "#c15c17")  # fmt: skip
_NAMED = {"green": "#37872d", "yellow": "#c4a000", "red": "#c4162a", "blue": "#1f60c4"}
_FORMATS = {"percentunit": "{:.3g} %", "celsius": "{:.0f} °C", "watt": "{:.3g} W",
            "reqps": "{:.2g} /s", "h": "{:.4g} h"}  # fmt: skip
_STYLE = """
body{margin:0;background:#111217;color:#d8d9da;font:12px sans-serif}
h2{position:absolute;left:10px;margin:0;font-size:15px}
h1{font-size:20px;margin:10px 12px 2px}p{margin:0 12px 8px;color:#9fa7b3}
.all{position:relative}.panel{position:absolute;background:#181b1f;border:1px solid #2c3235;
border-radius:3px;overflow:hidden}.panel b{display:block;padding:4px 8px;font-weight:600}
.big{position:absolute;inset:24px 0 0 0;display:flex;align-items:center;justify-content:center;
font-size:30px;color:#fff}.legend{position:absolute;left:8px;right:8px;bottom:3px;height:30px;
overflow:hidden;font-size:11px;color:#b8bcc4}.legend i{display:inline-block;width:10px;height:3px;
margin:0 4px 3px 8px}.bar{margin:3px 8px;position:relative;height:17px;background:#24282d}
.bar u{position:absolute;left:0;top:0;bottom:0;text-decoration:none}
.bar span{position:absolute;left:6px;top:1px}.bar em{position:absolute;right:6px;top:1px;
font-style:normal}table{margin:2px 8px;border-collapse:collapse}td,th{padding:2px 12px 2px 0;
text-align:left}.none{color:#8e8e8e;padding:20px;text-align:center}"""


def page(
    title: str, text: str, rows: Mapping[int, str],
    drawn: Sequence[tuple[Panel, Sequence[Answer]]],
) -> str:  # fmt: skip
    """Draw a board; `rows` has the titles of its rows by where they stand."""
    places = [one.place for one, _ in drawn]
    bottom = max(place["y"] + place["h"] for place in places)
    body = "".join(_placed(panel, answers) for panel, answers in drawn)
    body += "".join(
        f'<h2 style="top:{y * _ROW + 4}px">{html.escape(row)}</h2>' for y, row in rows.items()
    )
    return (
        f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style>'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)} <br>{html.escape(LABEL)}</p>"
        f'<div class="all" style="width:{24 * _COLUMN}px;height:{bottom * _ROW + 12}px">'
        f"{body}</div>"
    )


def shown(value: float, unit: str) -> str:
    """Write a value with its unit."""
    if not math.isfinite(value):
        return "none"
    if unit == "s":
        return _time(value)
    return _FORMATS.get(unit, "{:.3g}").format(value * 100 if unit == "percentunit" else value)


def _time(value: float) -> str:
    for length, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(value) >= 2 * length:
            return f"{value / length:.3g} {name}"
    return f"{value:.3g} s" if abs(value) >= 1 else f"{value * 1000:.3g} ms"


def color_of(value: float, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the colour that a value has by a panel's thresholds."""
    color = str(steps[0]["color"])
    for step in steps[1:]:
        if value >= step["value"]:
            color = str(step["color"])
    return _NAMED[color]


def named(labels: Mapping[str, str], legend: str) -> str:
    """Fill a legend in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _placed(panel: Panel, answers: Sequence[Answer]) -> str:
    x, y = panel.place["x"] * _COLUMN, panel.place["y"] * _ROW
    wide, high = panel.place["w"] * _COLUMN - _GAP, panel.place["h"] * _ROW - _GAP
    series = [(named(one["metric"], legend), one) for answer, legend
              in zip(answers, panel.legends, strict=True) for one in answer]  # fmt: skip
    inside = '<div class="none">no data</div>'
    if series:
        match panel.kind:
            case "stat":
                inside = _stat(panel, series)
            case "bargauge":
                inside = _bars(panel, series)
            case "table":
                inside = _table(series)
            case _:
                inside = _lines(panel, series, wide, high)
    where = f"left:{x + _GAP}px;top:{y}px;width:{wide}px;height:{high}px"
    return f'<div class="panel" style="{where}"><b>{html.escape(panel.title)}</b>{inside}</div>'


def _last(one: Mapping[str, Any]) -> float:
    return float(one["values"][-1][1] if "values" in one else one["value"][1])


def _stat(panel: Panel, series: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    value = _last(series[0][1])
    color = color_of(value, panel.steps)
    return f'<div class="big" style="background:{color}">{shown(value, panel.unit)}</div>'


def _bars(panel: Panel, series: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    most = panel.most or max((_last(one) for _, one in series), default=1) or 1
    drawn = []
    for name, one in series:
        value = _last(one)
        part = max(0.0, min(1.0, value / most)) if math.isfinite(value) else 0
        drawn.append(
            f'<div class="bar"><u style="width:{part * 100:.1f}%;'
            f'background:{color_of(value, panel.steps)}"></u><span>{html.escape(name)}</span>'
            f"<em>{shown(value, panel.unit)}</em></div>"
        )
    return "".join(drawn)


def _table(series: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    keys = sorted({key for _, one in series for key in one["metric"]})
    head = "".join(f"<th>{html.escape(key)}</th>" for key in [*keys, "value"])
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(one['metric'].get(key, ''))}</td>" for key in keys)
        + f"<td>{_last(one):g}</td></tr>" for _, one in series
    )  # fmt: skip
    return f"<table><tr>{head}</tr>{rows}</table>"


def _lines(
    panel: Panel, series: Sequence[tuple[str, Mapping[str, Any]]], wide: int, high: int
) -> str:
    points = [[(float(at), float(value)) for at, value in one["values"]
               if math.isfinite(float(value))] for _, one in series]  # fmt: skip
    every = [point for some in points for point in some]
    if not every:
        return '<div class="none">no values in this time</div>'
    begin, end = min(at for at, _ in every), max(at for at, _ in every)
    most = panel.most or max(value for _, value in every) * 1.1 or 1.0
    left, top, width, height = 52, 26, wide - 64, high - 26 - 40

    def place(at: float, value: float) -> str:
        across = (at - begin) / ((end - begin) or 1)
        return f"{left + across * width:.1f},{top + height - min(value / most, 1) * height:.1f}"

    drawn = []
    for part in (0.0, 0.5, 1.0):
        y = top + height * (1 - part)
        drawn.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#2c3235"/>'
                     f'<text x="4" y="{y + 4}" fill="#9fa7b3" font-size="10">'
                     f"{shown(most * part, panel.unit)}</text>")  # fmt: skip
    for number, some in enumerate(points):
        path = " ".join(place(at, value) for at, value in some)
        drawn.append(f'<polyline points="{path}" fill="none" stroke-width="1.6" '
                     f'stroke="{_COLORS[number % len(_COLORS)]}"/>')  # fmt: skip
    legend = "".join(
        f'<i style="background:{_COLORS[number % len(_COLORS)]}"></i>{html.escape(name)} '
        f"<b style='display:inline;padding:0'>{shown(_last(one), panel.unit)}</b>"
        for number, (name, one) in enumerate(series)
    )
    return (f'<svg width="{wide}" height="{high - 34}" style="position:absolute;left:0;top:0">'
            f'{"".join(drawn)}</svg><div class="legend">{legend}</div>')  # fmt: skip
