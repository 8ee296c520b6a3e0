"""Log lines, alarms, and the policy file under a running service."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from api import policy
from api.logs import configure_logs
from api.policy import LabFile
from api.worker_metrics import WorkerMetrics
from quota.errors import BooksUnavailable
from quota.lab import Lab
from quota.lab_file import LabFileError
from quota.rulebook import Rules
from tests.quota.books import LAB_YAML, make_lab


@contextmanager
def worker_logs() -> Iterator[WorkerMetrics]:
    """Log as the worker does. No fixture, since capturing begins anew for the test itself."""
    found, root = WorkerMetrics(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("worker", on_alarm=found.count_alarm)
    yield found
    structlog.reset_defaults()
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_logged_as_an_alarm_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with worker_logs() as metrics:
        log = structlog.get_logger()
        log.error("session_not_stopped", alarm=True)
        log.error("session_not_stopped", alarm=False)
        log.error("something_new", alarm=True)
    value = metrics.registry.get_sample_value
    assert value("gpulab_worker_alarms_total", {"event": "session_not_stopped"}) == 1
    assert value("gpulab_worker_alarms_total", {"event": "something_new"}) == 1
    assert [one["process"] for one in _events(capsys)] == ["worker"] * 3


def test_p47_a_line_is_one_line_and_short(capsys: pytest.CaptureFixture[str]) -> None:
    with worker_logs():
        structlog.get_logger().warning("odd", name="a\r\nb" + "x" * 100_000)
        logging.getLogger("library").warning("said %s", "y" * 100_000)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 1024
    assert json.loads(lines[1])["level"] == "warning"


def test_a_mistake_is_logged_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with worker_logs():
        try:
            json.loads("{")
        except ValueError:
            structlog.get_logger().exception("broken")
            logging.getLogger("library").exception("broken too")
    own, foreign = _events(capsys)
    assert "JSONDecodeError" in str(own["exception"])
    assert "JSONDecodeError" in str(foreign["exception"])


def test_a_lab_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB_YAML)
    file = LabFile(path)
    assert not file.refresh()
    path.write_text(LAB_YAML.replace("Test lab", "Other lab"))
    assert file.refresh()
    assert file.lab.name == "Other lab"
    assert not file.refresh()


def test_a_lab_file_that_is_wrong_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabFileError):
        LabFile(tmp_path / "none.yaml")


@pytest.mark.anyio
async def test_the_service_follows_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holder:
        lab: Lab
        rules = Rules(lab=make_lab())

        def reload_rules(self) -> None:
            raise BooksUnavailable("locked")

    monkeypatch.setattr(policy, "_LOOK_EVERY_S", 0.01)
    path = tmp_path / "lab.yaml"
    path.write_text(LAB_YAML)
    file, holder = LabFile(path), Holder()
    holder.lab = file.lab
    async with file.watched(holder):  # type: ignore[arg-type]
        path.write_text("name: [")
        await asyncio.sleep(0.1)
        assert holder.lab.name == "Test lab", "the last good policy stays"
        path.write_text(LAB_YAML.replace("Test lab", "Other lab"))
        for _ in range(500):
            if holder.lab.name == "Other lab":
                break
            await asyncio.sleep(0.01)
    assert holder.lab.name == "Other lab", "also while the books do not answer"
