"""Charts as SVG text, nothing else: bars, lines and a field of colours, to stand in a page."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 26, 40
_COLOURS = ("var(--a)", "var(--b)", "var(--c)", "var(--d)")

Series = tuple[str, Sequence[float]]


def bars(labels: Sequence[str], series: Sequence[Series], *, unit: str, x_title: str) -> str:
    """Draw groups of bars, one group for each label."""
    top = nice_top(max((max(values, default=0) for _, values in series), default=0))
    inner = (_WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    width = min(inner * 0.8 / max(len(series), 1), 46)
    parts = [_frame(top, unit, x_title)]
    for place, label in enumerate(labels):
        middle = _LEFT + inner * (place + 0.5)
        for number, (name, values) in enumerate(series):
            x = middle - width * len(series) / 2 + number * width
            height = _scaled(values[place], top)
            parts.append(
                f'<rect x="{x:.1f}" y="{_HEIGHT - _BOTTOM - height:.1f}" width="{width - 2:.1f}" '
                f'height="{height:.1f}" rx="2" fill="{_COLOURS[number % 4]}">'
                f"<title>{escape(f'{label}, {name}: {values[place]:.1f} {unit}')}</title></rect>"
            )
        if _is_shown(place, len(labels)):
            parts.append(_x_label(middle, label))
    return _svg(parts, [name for name, _ in series])


def lines(labels: Sequence[str], series: Sequence[Series], *, unit: str, x_title: str) -> str:
    """Draw one line for each series over the labels."""
    top = nice_top(max((max(values, default=0) for _, values in series), default=0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(labels) - 1, 1)
    parts = [_frame(top, unit, x_title)]
    for place, label in enumerate(labels):
        if _is_shown(place, len(labels)):
            parts.append(_x_label(_LEFT + step * place, label))
    for number, (name, values) in enumerate(series):
        points = [(_LEFT + step * x, _HEIGHT - _BOTTOM - _scaled(y, top))
                  for x, y in enumerate(values)]  # fmt: skip
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = _COLOURS[number % 4]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     'stroke-width="2.5" stroke-linejoin="round"/>')  # fmt: skip
        for (x, y), label, value in zip(points, labels, values, strict=True):
            text = escape(f"{label}, {name}: {value:.1f} {unit}")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
                         f"<title>{text}</title></circle>")  # fmt: skip
    return _svg(parts, [name for name, _ in series])


def field(rows: Sequence[Series], columns: Sequence[str], *, unit: str, x_title: str) -> str:
    """Draw a field of cells, darker where there is more."""
    top = max((max(values, default=0) for _, values in rows), default=0) or 1
    left, size = 130, (_WIDTH - 130 - _RIGHT) / max(len(columns), 1)
    height = 30 * len(rows) + 46
    parts = []
    for number, (name, values) in enumerate(rows):
        y = 6 + 30 * number
        parts.append(f'<text x="{left - 8}" y="{y + 18}" text-anchor="end">'
                     f"{escape(name)}</text>")  # fmt: skip
        for place, value in enumerate(values):
            text = escape(f"{name}, {columns[place]}: {value:.0f} {unit}")
            parts.append(
                f'<rect x="{left + size * place:.1f}" y="{y}" width="{size - 2:.1f}" height="26" '
                f'rx="3" fill="var(--a)" fill-opacity="{0.06 + 0.94 * value / top:.2f}">'
                f"<title>{text}</title></rect>"
            )
    for place, label in enumerate(columns):
        if _is_shown(place, len(columns)):
            x = left + size * (place + 0.5)
            parts.append(f'<text x="{x:.1f}" y="{height - 24}" text-anchor="middle">'
                         f"{escape(label)}</text>")  # fmt: skip
    parts.append(f'<text x="{left + (_WIDTH - left) / 2}" y="{height - 6}" class="title" '
                 f'text-anchor="middle">{escape(x_title)} '
                 f"(darkest: {top:.0f} {unit})</text>")  # fmt: skip
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def nice_top(most: float) -> float:
    """Return a round number at the top of an axis: 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= most:
        power *= 10
    while power > most:
        power /= 10
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= most)


def _frame(top: float, unit: str, x_title: str) -> str:
    parts = []
    for quarter in range(5):
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * quarter / 4
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                     'class="grid"/>')  # fmt: skip
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                     f"{top * quarter / 4:g}</text>")  # fmt: skip
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 4}" text-anchor="middle" class="title">'
                 f"{escape(x_title)}</text>")  # fmt: skip
    parts.append(f'<text x="{_LEFT - 8}" y="10" text-anchor="end" class="title">'
                 f"{escape(unit)}</text>")  # fmt: skip
    return "".join(parts)


def _scaled(value: float, top: float) -> float:
    return max(0.0, value / top * (_HEIGHT - _TOP - _BOTTOM))


def _x_label(x: float, label: str) -> str:
    return (f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{escape(label)}</text>")  # fmt: skip


def _is_shown(place: int, count: int) -> bool:
    return count <= 14 or place % 3 == 0


def _svg(parts: Sequence[str], names: Sequence[str]) -> str:
    keys = "".join(
        f'<span class="key"><i style="background:{_COLOURS[number % 4]}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    legend = f'<p class="keys">{keys}</p>' if len(names) > 1 else ""
    return (f'{legend}<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
            f"{''.join(parts)}</svg>")  # fmt: skip
