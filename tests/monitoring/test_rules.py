"""Each alert fires when it should and not otherwise, says what to do, and counts as we do."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from quota.amount import GpuTime
from quota.burn import used_at_end
from quota.calendar import Week
from tests.compose.tools import PROJECT, run, tool
from tests.monitoring.cases import CASES, RECORDED, Case

RULES = PROJECT / "monitoring" / "rules"
FILES = ("recording.yml", "alerts.yml")


def alerts() -> dict[str, dict[str, Any]]:
    text = yaml.safe_load((RULES / "alerts.yml").read_text())
    return {one["alert"]: one for group in text["groups"] for one in group["rules"]}


def series(some: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in some.items()]


def promtool(folder: Path, tests: list[dict[str, Any]], *files: Path) -> str:
    """Return what promtool says against them; nothing when all is as expected."""
    path = folder / "rules_test.yml"
    named = files or tuple(RULES / name for name in FILES)
    path.write_text(json.dumps({
        "rule_files": [str(one) for one in named], "evaluation_interval": "1m", "tests": tests,
    }))  # fmt: skip
    done = run(tool("promtool"), "test", "rules", str(path))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def in_hub(some: Mapping[str, str], hub: str) -> list[dict[str, str]]:
    """Give each case a hub of its own, so that all are played at once."""
    return series({name.replace('hub="main"', f'hub="{hub}"'): values
                   for name, values in some.items()})  # fmt: skip


def expected(name: str, case: Case, hub: str) -> dict[str, Any]:
    labels = [{**alerts()[name]["labels"], **one, "hub": hub} for one in case.labels]
    return {"eval_time": case.at, "alertname": name,
            "exp_alerts": [{"exp_labels": one} for one in labels]}  # fmt: skip


def without_annotations(folder: Path) -> tuple[Path, ...]:
    """What is said may change; when it is said is tested."""
    text = yaml.safe_load((RULES / "alerts.yml").read_text())
    for group in text["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    path = folder / "alerts.yml"
    path.write_text(json.dumps(text))
    return (RULES / "recording.yml", path)


def test_each_alert_has_its_cases() -> None:
    assert set(CASES) == set(alerts())


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    played = []
    for name, case in CASES.items():
        played += in_hub(case.bad, f"{name}-bad") + in_hub(case.good, f"{name}-good")
    test = {"interval": "1m", "input_series": played, "alert_rule_test": [
        expected(name, case, f"{name}-bad") for name, case in CASES.items()]}  # fmt: skip
    assert not promtool(tmp_path, [test], *without_annotations(tmp_path))


def test_a_wrong_case_is_found(tmp_path: Path) -> None:
    name, case = next(iter(CASES.items()))
    wrong = {"interval": "1m", "input_series": in_hub(case.good, "main"),
             "alert_rule_test": [expected(name, case, "main")]}  # fmt: skip
    assert "got:[]" in promtool(tmp_path, [wrong], *without_annotations(tmp_path))


def test_recording_rules_make_one_of_two_sources(tmp_path: Path) -> None:
    tests = []
    for name, some, labels, value in RECORDED:
        shown = ", ".join(f'{key}="{text}"' for key, text in labels.items())
        tests.append({"interval": "1m", "input_series": series(some), "promql_expr_test": [
            {"expr": name, "eval_time": "5m",
             "exp_samples": [{"labels": f"{name}{{{shown}}}", "value": value}]}]})  # fmt: skip
    assert not promtool(tmp_path, tests)


@pytest.mark.parametrize(
    ("used_h", "given_h", "ran_h"), [(20, 100, 40), (80, 100, 40), (1, 100, 2), (0, 10, 100)]
)
def test_the_forecast_is_that_of_the_organizers_page(
    tmp_path: Path, used_h: int, given_h: int, ran_h: int
) -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    week = Week(None, None, start, start + timedelta(days=7))
    ours = used_at_end(
        used=GpuTime.hours(used_h), given=GpuTime.hours(given_h), week=week,
        now=start + timedelta(hours=ran_h),
    )  # fmt: skip
    labels = 'hub="main",section="utc"'
    told = {
        f'gpulab_section_gpu_seconds{{{labels},kind="used"}}': used_h * 3600,
        f'gpulab_section_gpu_seconds{{{labels},kind="given"}}': given_h * 3600,
        f"gpulab_section_week_elapsed_seconds{{{labels}}}": ran_h * 3600,
        f"gpulab_section_week_length_seconds{{{labels}}}": 7 * 86_400,
    }
    name = "gpulab:section_used_at_week_end:gpu_seconds"
    test = {
        "interval": "1m",
        "input_series": series({one: f"{value}x10" for one, value in told.items()}),
        "promql_expr_test": [{
            # Prometheus counts in floating point.
            "expr": f"round({name}, 0.001)", "eval_time": "5m",
            "exp_samples": [{"labels": '{hub="main", section="utc"}',
                             "value": round(ours.mgpu_ms / 10**6, 3)}],
        }],
    }  # fmt: skip
    assert not promtool(tmp_path, [test])


def test_each_alert_says_what_is_wrong_and_has_a_runbook() -> None:
    page = (PROJECT / "docs" / "runbooks.md").read_text()
    sections = dict(re.findall(r"^### (GpuLab\w+)\n\n(.*?)(?=\n##|\Z)", page,
                               re.MULTILINE | re.DOTALL))  # fmt: skip
    assert set(sections) == set(alerts())
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("page", "warn", "hint"), name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{name.lower()}"
        for word in ("Scholars:", "Look:", "Do:"):
            assert word in sections[name], f"{name}: {word}"
