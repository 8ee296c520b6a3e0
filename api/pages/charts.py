"""Charts as SVG that stands in a page: no script, no inline style, colours by class; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from quota.amount import MGPU_MS_PER_HOUR, GpuTime

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 14, 30
_ROW = 5
# Wide enough to be seen: a part of a balance that is there must not vanish.
_LEAST_WIDTH = 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: what it is, how much, and its class in lab.css."""

    text: str
    amount: GpuTime
    look: str


def stacked(title: str, rows: Sequence[Sequence[Part]]) -> Markup:
    """Draw bars of parts below each other, on one scale; what the parts are stands beside it."""
    whole = max((sum(one.amount.mgpu_ms for one in row) for row in rows), default=0)
    drawn = [
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="4"><title>{}</title></rect>')
        .format(one.look, x, number * _ROW, width, f"{one.text}: {one.amount.hours_text()}")
        for number, row in enumerate(rows)
        for one, x, width in _placed(row, whole)
    ]  # fmt: skip
    head = Markup('<svg class="lab-stack" viewBox="0 0 100 {}" preserveAspectRatio="none" '
                  'role="img" aria-label="{}">')  # fmt: skip
    empty = Markup("").join(
        Markup('<rect class="lab-meter-whole" y="{}" width="100" height="4"/>').format(y * _ROW)
        for y in range(len(rows))
    )
    high = _ROW * len(rows) - 1
    return head.format(high, title) + empty + Markup("").join(drawn) + Markup("</svg>")


def bars(title: str, values: Sequence[tuple[str, GpuTime]]) -> Markup:
    """Draw one bar for each label, in GPU-hours."""
    hours = [amount.mgpu_ms / MGPU_MS_PER_HOUR for _, amount in values]
    top = round_top(max(hours, default=0.0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(values), 1)
    parts = list(_grid(top))
    for place, ((label, amount), value) in enumerate(zip(values, hours, strict=True)):
        high = max(0.0, value / top) * (_HEIGHT - _TOP - _BOTTOM)
        x = _LEFT + step * place
        parts.append(
            Markup('<rect class="lab-bar-rect" x="{:.1f}" y="{:.1f}" width="{:.1f}" '
                   'height="{:.1f}" rx="2"><title>{}</title></rect>')
            .format(x + step * 0.15, _HEIGHT - _BOTTOM - high, step * 0.7, high,
                    f"{label}: {amount.hours_text()} GPU-hours")
        )  # fmt: skip
        if len(values) <= 8 or place % 4 == 0:
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
                .format(x + step / 2, _HEIGHT - _BOTTOM + 18, label)
            )  # fmt: skip
    head = Markup('<svg class="lab-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(_WIDTH, _HEIGHT, title) + Markup("").join(parts) + Markup("</svg>")


def curve(title: str, percents: Sequence[int | None], labels: Mapping[int, str]) -> Markup:
    """Draw percents as a line, broken where nothing is known; labels stand below by place."""
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(percents) - 1, 1)
    path, is_drawing = [], False
    for place, percent in enumerate(percents):
        if percent is not None:
            y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * percent / 100
            # With nothing after it a point is a dot, by its round ends.
            path.append(f"{'L' if is_drawing else 'M'}{_LEFT + step * place:.1f} {y:.1f}h0")
        is_drawing = percent is not None
    parts = [*_grid(100), Markup('<path class="lab-curve" d="{}"/>').format("".join(path))]
    parts += [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
        .format(_LEFT + step * place, _HEIGHT - _BOTTOM + 18, label)
        for place, label in labels.items()
    ]  # fmt: skip
    head = Markup('<svg class="lab-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(_WIDTH, _HEIGHT, title) + Markup("").join(parts) + Markup("</svg>")


def round_top(most: float) -> float:
    """Return a round number for the top of an axis: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 0.01
    while power * 10 < most:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most * 0.999)


def _placed(row: Sequence[Part], whole: int) -> Iterable[tuple[Part, float, float]]:
    at = 0.0
    for one in row:
        width = 100 * max(one.amount.mgpu_ms, 0) / whole if whole > 0 else 0.0
        if width:
            yield one, round(at, 2), round(max(width, _LEAST_WIDTH), 2)
        at += width


def _grid(top: float) -> Iterable[Markup]:
    for quarter in range(5):
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * quarter / 4
        yield Markup('<line class="lab-grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            _LEFT, _WIDTH - _RIGHT, y, y
        )
        yield Markup('<text x="{}" y="{:.1f}" text-anchor="end">{:g}</text>').format(
            _LEFT - 6, y + 4, top * quarter / 4
        )
