"""The panels of a board and their queries, as Grafana would send them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What a viewer has chosen: everything, and one section, which is what a TA sees.
CHOSEN = {"hub": ".*", "pool": ".*", "section": ".*"}
ONE_SECTION = CHOSEN | {"section": "americas"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::[^}]*)?\}|(\w+))")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: where it stands, how it shows what its queries answer."""

    board: str
    title: str
    kind: str
    unit: str
    description: str
    queries: tuple[str, ...]
    legends: tuple[str, ...]
    place: Mapping[str, int]
    steps: tuple[Mapping[str, Any], ...] = ()
    most: float | None = None


def panels(board: Mapping[str, Any]) -> Iterator[Panel]:
    """Return the panels of a board, without its rows' titles."""
    for one in board["panels"]:
        if one["type"] == "row":
            continue
        defaults = one["fieldConfig"]["defaults"]
        yield Panel(
            board=board["title"], title=one["title"], kind=one["type"], unit=defaults["unit"],
            description=one["description"], place=one["gridPos"],
            queries=tuple(target["expr"] for target in one["targets"]),
            legends=tuple(target.get("legendFormat", "") for target in one["targets"]),
            steps=tuple(defaults["thresholds"]["steps"]), most=defaults.get("max"),
        )  # fmt: skip


def row_titles(board: Mapping[str, Any]) -> dict[int, str]:
    """Return the titles of a board's rows by where they stand."""
    return {one["gridPos"]["y"]: one["title"] for one in board["panels"] if one["type"] == "row"}


def with_values(query: str) -> str:
    """Put in what a viewer has chosen."""
    chosen = ONE_SECTION if 'section="$section"' in query else CHOSEN
    return _VARIABLE.sub(lambda found: chosen[found[1] or found[2]], query)
