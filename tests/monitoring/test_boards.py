"""The boards are what the code says, whole, and ask for what is there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from monitoring.boards.every import FOLDER, written
from tests.compose.tools import PROJECT, run, tool
from tests.monitoring.queries import panels, with_values

FILES = sorted(FOLDER.glob("*.json"))
# What others tell: JupyterHub, its proxy, NVIDIA's exporter, Prometheus itself.
THEIRS = re.compile(
    r"^(jupyterhub_(running_servers|active_users|server_spawn_duration_seconds|"
    r"server_stop_seconds|request_duration_seconds|event_loop_interval_seconds)|"
    r"requests_(web|ws)|DCGM_FI_(DEV|PROF)_[A-Z_]+|up|ALERTS)$"
)
_NAME = re.compile(r"\b(?:gpulab|jupyterhub|requests|DCGM_FI|gpulab:)[\w:]*")


def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def rule_queries() -> Iterator[tuple[str, str]]:
    for path in sorted((PROJECT / "monitoring" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule["expr"]


def every_query() -> list[tuple[str, str]]:
    shown = [
        (f"{one.board}: {one.title}", with_values(query))
        for path in FILES
        for one in panels(board(path))
        for query in one.queries
    ]
    return [*shown, *rule_queries()]


def test_the_files_are_what_the_code_makes() -> None:
    assert {path.name: path.read_text() for path in FILES} == written()


def test_seven_boards_with_addresses_of_their_own() -> None:
    boards = [board(path) for path in FILES]
    assert len({one["uid"] for one in boards}) == len(boards) == 7
    for one in boards:
        assert one["editable"] is False
        assert one["links"][0]["tags"] == one["tags"] == ["gpulab"]
        names = [variable["name"] for variable in one["templating"]["list"]]
        assert names[:2] == ["DS_PROMETHEUS", "hub"], one["title"]
        used = set(re.findall(r"\$(hub|pool|section)\b", json.dumps(one["panels"])))
        assert used == set(names[1:]), one["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_panel_is_whole(path: Path) -> None:
    found = board(path)
    uids = {one["uid"] for one in map(board, FILES)}
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in found["panels"]:
        if panel["type"] == "row":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"], panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${DS_PROMETHEUS}"
        for link in panel.get("links", []):
            assert link["url"].removeprefix("/d/") in uids
    _fits([panel["gridPos"] for panel in found["panels"]])


def _fits(places: list[dict[str, int]]) -> None:
    taken: set[tuple[int, int]] = set()
    for place in places:
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not mine & taken
        assert place["x"] + place["w"] <= 24
        taken |= mine


def test_two_parsers_accept_every_query(tmp_path: Path) -> None:
    asked = every_query()
    assert len(asked) > 100
    for where, query in asked:
        try:
            promql_parser.parse(query)
        except ValueError as error:
            pytest.fail(f"{where}: {error}: {query}")
    rules = [{"record": f"x{number}", "expr": query} for number, (_, query) in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    done = run(tool("promtool"), "check", "rules", "--lint=none", str(path))
    assert done.returncode == 0, done.stderr
    assert f"{len(asked)} rules found" in done.stdout


def test_a_wrong_query_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum(rate(x[5m])")


def test_every_name_that_is_asked_for_is_there() -> None:
    reference = (PROJECT / "docs" / "reference.md").read_text()
    known = set(re.findall(r"^\| `(gpulab_\w+)`", reference, re.MULTILINE))
    known |= {name for name, _ in rule_queries() if ":" in name}
    for where, query in every_query():
        # Not what stands in quotes, as the names of labels' values.
        for name in _NAME.findall(re.sub(r'"[^"]*"', '""', query)):
            bare = re.sub(r"_(bucket|sum|count)$", "", name)
            assert {name, bare} & known or THEIRS.match(bare), f"{where}: {name}"
