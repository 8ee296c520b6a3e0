"""P30: what is remembered of sessions while the books are away."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.sightings import Sightings
from quota.observed import Observed
from tests.api.runtime import session

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sightings.json"


def _ended(one: Observed, at: datetime) -> Observed:
    return replace(one, finished_at=at, exit_code=0)


def test_p30_what_vanished_ended_when_it_was_seen_last(path: Path) -> None:
    runs, stays = session(NOON, "runs"), session(NOON, "stays")
    over = _ended(session(NOON, "over"), NOON + timedelta(minutes=1))
    made = replace(session(NOON, "made"), started_at=None)
    Sightings(path).keep([runs, stays, over, made], seen_at=NOON)
    Sightings(path).keep([runs, stays], seen_at=LATER)
    # The process may have been killed at any moment: the next one knows all the same.
    found = {one.ref: one for one in Sightings(path).complete([stays])}
    assert found.keys() == {"runs", "stays", "over"}
    assert found["stays"] == stays
    assert found["over"] == over
    assert found["runs"] == replace(runs, finished_at=LATER, ended_how="vanished")


def test_nothing_is_kept_once_it_is_in_the_books(path: Path) -> None:
    sightings = Sightings(path)
    sightings.keep([session(NOON)], seen_at=NOON)
    assert path.exists()
    sightings.forget()
    assert list(path.parent.iterdir()) == []
    assert Sightings(path).complete([]) == sightings.complete([]) == []
    sightings.forget()


def test_p30_another_process_loses_nothing_of_what_the_first_one_saw(path: Path) -> None:
    first, second = Sightings(path), Sightings(path)
    first.keep([session(NOON, "a")], seen_at=NOON)
    second.keep([session(NOON, "b")], seen_at=LATER)
    assert {one.ref for one in Sightings(path).complete([])} == {"a", "b"}


def test_p30_a_full_file_is_an_alarm_at_half_and_never_silent(path: Path) -> None:
    sightings = Sightings(path, most=4)
    alarms = []
    for count in range(1, 7):
        some = [session(NOON, f"c-{number}") for number in range(count)]
        with capture_logs() as logs:
            sightings.keep(some, seen_at=NOON)
        alarms.append([one["event"] for one in logs if one.get("alarm")])
    half, lost = ["sightings_half_full"], ["sightings_lost"]
    assert alarms == [[], half, [], [], lost, lost]
    assert [one.ref for one in Sightings(path).complete([])] == ["c-0", "c-1", "c-2", "c-3"]


def test_p30_a_full_disk_is_an_alarm_and_the_process_still_knows(path: Path) -> None:
    # As a disk that is full: nothing can be written beside the file.
    path.with_suffix(".tmp").mkdir()
    sightings = Sightings(path)
    with capture_logs() as logs:
        sightings.keep([session(NOON)], seen_at=NOON)
    assert [one["event"] for one in logs if one.get("alarm")] == ["sightings_not_written"]
    assert [one.finished_at for one in sightings.complete([])] == [NOON]
    path.with_suffix(".tmp").rmdir()
    sightings.keep([], seen_at=LATER)
    assert [one.finished_at for one in Sightings(path).complete([])] == [NOON]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 2}', '{"version": 1}', '{"version": 1, "sessions": [3]}',
     '{"version": 1, "sessions": [{"ref": "a", "seen_at": "2026-11-25T12:00:00"}]}'],
)  # fmt: skip
def test_p30_a_file_that_cannot_be_read_is_an_alarm(path: Path, text: str) -> None:
    path.write_text(text)
    with capture_logs() as logs:
        sightings = Sightings(path)
    assert [one["event"] for one in logs if one.get("alarm")] == ["sightings_not_read"]
    sightings.keep([session(NOON)], seen_at=NOON)
    assert len(json.loads(path.read_text())["sessions"]) == 1
