"""How busy a session keeps its GPU: numbers for the live chart, a picture and a table; pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from markupsafe import Markup

from api.pages import charts
from quota.gpu_use import SessionUse

_ROW_MIN = 10
# Of the time axis, in minutes: the first with which there are few enough labels.
_STEPS_MIN = (1, 2, 5, 10, 15, 30)
_MOST_LABELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class UseShown:
    """A session's use of its GPU, as a page shows it.

    `live` is for the script that draws the live chart; `picture` says the same without one, and
    `rows` in numbers: from when, until when, percent.
    """

    text: str
    live: str
    picture: Markup
    rows: tuple[tuple[str, str, int | None], ...]


def use_shown(use: SessionUse | None, time_zone: str) -> UseShown | None:
    """Show the minutes of a session; None where nothing was measured in any of them."""
    mean = None if use is None else _mean(use.minutes)
    if use is None or mean is None:
        return None
    zone = ZoneInfo(time_zone)
    minutes = [
        (use.begins_at + timedelta(minutes=number), percent)
        for number, percent in enumerate(use.minutes)
    ]
    text = f"{mean} % on average over {_span(len(minutes))}"
    return UseShown(
        text=text,
        live=json.dumps({"from_s": int(use.begins_at.timestamp()), "percents": use.minutes,
                         "zone": time_zone}),
        picture=charts.curve(f"GPU use by the minute: {text}", use.minutes,
                             _labels([at for at, _ in minutes], zone)),
        rows=_rows(minutes, zone),
    )  # fmt: skip


def _labels(instants: Sequence[datetime], zone: ZoneInfo) -> dict[int, str]:
    """Return what stands below the picture, by place: round times of the clock."""
    step = next((one for one in _STEPS_MIN if len(instants) <= one * _MOST_LABELS), _STEPS_MIN[-1])
    local = [at.astimezone(zone) for at in instants]
    return {place: f"{at:%H:%M}" for place, at in enumerate(local) if at.minute % step == 0}


def _rows(
    minutes: Sequence[tuple[datetime, int | None]], zone: ZoneInfo
) -> tuple[tuple[str, str, int | None], ...]:
    """Put the minutes together to rows of ten, by the clock."""
    blocks = groupby(minutes, key=lambda one: int(one[0].timestamp()) // (60 * _ROW_MIN))
    found = []
    for _, block in blocks:
        some = list(block)
        begin, end = some[0][0], some[-1][0] + timedelta(minutes=1)
        found.append((f"{begin.astimezone(zone):%H:%M}", f"{end.astimezone(zone):%H:%M}",
                      _mean([percent for _, percent in some])))  # fmt: skip
    return tuple(found)


def _mean(percents: Sequence[int | None]) -> int | None:
    known = [one for one in percents if one is not None]
    return round(sum(known) / len(known)) if known else None


def _span(minutes: int) -> str:
    return "a minute" if minutes == 1 else f"{minutes} min"
