"""Every alarm is counted from the start, and docs/runbooks.md says what to do about it."""

import ast
import re
from collections.abc import Iterator

from api import watchdog_metrics, worker_metrics
from tests.architecture import code

PAGE = code.ROOT / "docs" / "runbooks.md"
COUNTED = {*worker_metrics.ALARMS, *watchdog_metrics.ALARMS}


def _alarms() -> Iterator[str]:
    """Name each event that is logged with `alarm=True`."""
    for path in (code.ROOT / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and any(
                one.arg == "alarm" and getattr(one.value, "value", None) is True
                for one in node.keywords
            ):
                event = node.args[0]
                assert isinstance(event, ast.Constant), f"{path}: {ast.unparse(node)}"
                yield str(event.value)


def test_each_alarm_is_counted_from_the_start() -> None:
    assert {*_alarms()} == COUNTED


def test_the_runbooks_name_each_alarm_and_no_other() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)
    named = [name for heading in headings for name in re.findall(r"`([a-z_]+)`", heading)]
    assert sorted(named) == sorted(COUNTED)
