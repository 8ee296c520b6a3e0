"""What boards are made of: panels with a unit, a description and colours, and what binds boards.

A panel says what it shows in one sentence, and from which value on somebody should look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as board_models
from grafana_foundation_sdk.models import prometheus as query_models

Kind: TypeAlias = Literal["stat", "lines", "bars", "table"]
Variable: TypeAlias = Literal["hub", "pool", "section"]

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${DS_PROMETHEUS}")
TAG = "gpulab"
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
_HEIGHTS: Mapping[Kind, int] = {"stat": 4, "lines": 8, "bars": 8, "table": 8}
# Where the values of a variable are read.
_VALUES: Mapping[Variable, tuple[str, str]] = {
    "hub": ("Hub", "label_values(gpulab_books_up, hub)"),
    "pool": ("GPU pool", "label_values(gpulab:gpu_memory:bytes, pool)"),
    "section": ("Section", "label_values(gpulab_section_scholars, section)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One panel: queries with their legends, and from which values it is yellow or red."""

    title: str
    text: str
    unit: str
    queries: Sequence[tuple[str, str]]
    kind: Kind = "lines"
    width: int = 12
    yellow: float | None = None
    red: float | None = None
    # Little is bad: red below, yellow below, else green.
    low_is_bad: bool = False
    most: float | None = None
    stacked: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board: rows of panels by title."""

    uid: str
    title: str
    text: str
    rows: Mapping[str, Sequence[Shown]]
    variables: Sequence[Variable] = ("hub",)
    since: str = "now-6h"


def build(board: Board) -> Any:
    """Turn a board into what Grafana reads."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid).description(board.text).tags([TAG]).readonly().refresh("30s")
        .time(board.since, "now").timezone("browser").with_variable(_source())
        .link(dashboard.DashboardLink("The other boards").tags([TAG])
              .type(board_models.DashboardLinkType.DASHBOARDS).as_dropdown(True)
              .include_vars(True).keep_time(True))
    )  # fmt: skip
    for name in board.variables:
        made = made.with_variable(_variable(name, one_only=board.uid == "gpulab-section"))
    for title, panels in board.rows.items():
        made = made.with_row(dashboard.Row(title))
        for one in panels:
            made = made.with_panel(_panel(one))
    return made.build()


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("DS_PROMETHEUS").label("Data source").type("prometheus")


def _variable(name: Variable, *, one_only: bool) -> dashboard.QueryVariable:
    label, query = _VALUES[name]
    made = (
        dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
        .refresh(board_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(board_models.VariableSort.ALPHABETICAL_ASC)
    )  # fmt: skip
    if name == "section" and one_only:
        return made
    # What has no such label at all is shown too.
    return (
        made.multi(True)
        .include_all(True)
        .all_value(".*")
        .current(board_models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(one: Shown) -> Any:
    made = _bare(one).title(one.title).description(one.text).unit(one.unit).datasource(SOURCE)
    made = made.height(_HEIGHTS[one.kind]).span(one.width).thresholds(_thresholds(one)).min(0)
    if one.most is not None:
        made = made.max(one.most)
    if one.link:
        made = made.links([_link(one.link)])
    for number, (query, legend) in enumerate(one.queries):
        made = made.with_target(_target(query, legend, chr(ord("A") + number), one.kind))
    return made


def _bare(one: Shown) -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    match one.kind:
        case "stat":
            made = stat.Panel().color_mode(models.BigValueColorMode.BACKGROUND)
            return made.graph_mode(models.BigValueGraphMode.AREA).reduce_options(last)
        case "bars":
            bars = bargauge.Panel().orientation(models.VizOrientation.HORIZONTAL)
            return bars.reduce_options(last)
        case "table":
            return table.Panel()
        case "lines":
            return _lines(one)


def _lines(one: Shown) -> Any:
    made = lines.Panel().fill_opacity(10).show_points(models.VisibilityMode.NEVER).legend(
        common.VizLegendOptions().display_mode(models.LegendDisplayMode.LIST)
        .placement(models.LegendPlacement.BOTTOM).show_legend(True)
    )  # fmt: skip
    if one.stacked:
        made = made.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
    if one.red is not None or one.yellow is not None:
        # A dashed line where somebody should look.
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(
            models.GraphThresholdsStyleMode.DASHED))  # fmt: skip
    return made


def _target(query: str, legend: str, ref: str, kind: Kind) -> Any:
    made = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(ref).datasource(SOURCE)
    if kind == "table":
        return made.instant().format(query_models.PromQueryFormat.TABLE)
    return made.range()


def _thresholds(one: Shown) -> dashboard.ThresholdsConfig:
    first, steps = GREEN, [(one.yellow, YELLOW), (one.red, RED)]
    if one.low_is_bad:
        # From the bottom up: red to the red edge, then yellow, then green.
        first = RED
        steps = [(one.red, YELLOW if one.yellow is not None else GREEN), (one.yellow, GREEN)]
    elif one.yellow is None and one.red is None:
        first = BLUE
    found = [board_models.Threshold(color=first, value=None)]
    found += [board_models.Threshold(color=color, value=value)
              for value, color in steps if value is not None]  # fmt: skip
    return dashboard.ThresholdsConfig().mode(board_models.ThresholdsMode.ABSOLUTE).steps(found)


def _link(uid: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("More of this").url(f"/d/{uid}").include_vars(True)
        .keep_time(True).type(board_models.DashboardLinkType.LINK)
    )  # fmt: skip
