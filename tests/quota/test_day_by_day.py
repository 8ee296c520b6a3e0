"""What docs/organizers.md shows under "Day by day" comes out so: 7.25 hours, and why."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.audit import By
from quota.clock import ManualClock
from quota.lab_file import parse_lab
from quota.refunding import Incident
from quota.roster import plan_import, read_roster
from tests.quota.books import Desk

ROOT = Path(__file__).parents[2]
OLGA = By(actor="olga-lindqvist")


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    text = (ROOT / "examples/mlss-2022.yaml").read_text()
    for old, new in (
        ("time_zone: Europe/London\n", "time_zone: Europe/London\n    hours_in_weeks: {4: 9}\n"),
        (
            "    hours: 3\n    hours_from: 2022-07-14\n",
            "    hours: 4\n    hours_from: 2022-07-14\n",
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    clock = ManualClock(datetime(2022, 7, 14, 8, tzinfo=UTC))
    desk = Desk(engine, parse_lab(text, "lab.yaml"), clock)
    yield desk
    desk.check()


def test_why_one_scholar_has_seven_and_a_quarter_hours_left(desk: Desk) -> None:
    rows, faults = read_roster("name,section\nnewcomer-nia,europe-africa\n")
    plan = plan_import(desk.books.lab, rows, remove_others=False)
    assert faults == []
    assert [row.name for row in plan.added] == ["newcomer-nia"]
    desk.office.import_roster(plan, by=OLGA, reason="late admission")
    desk.use("newcomer-nia", "whole-gpu", hours=10)
    incident = Incident(id="cooling", starts_at=datetime(2022, 7, 14, 12, tzinfo=UTC),
                        ends_at=datetime(2022, 7, 14, 13, 15, tzinfo=UTC),
                        reason="the cooling failed")  # fmt: skip
    (tried,) = desk.office.refund(incident, by=OLGA, dry_run=True)
    (given,) = desk.office.refund(incident, by=OLGA)
    assert (tried.account, tried.amount.text()) == ("newcomer-nia", "1.25")
    assert given.amount == tried.amount
    desk.at("2022-07-15T12:00")
    found = desk.books.explanation("newcomer-nia")
    assert found.balance.hours_text() == "7.25"
    assert sum(line.amount.mgpu_ms for line in found.lines) == found.balance.mgpu_ms
    guide = (ROOT / "docs/organizers.md").read_text()
    _, _, shown = guide.partition("gpulab account newcomer-nia --why")
    for line in found.lines:
        assert f"{line.amount.hours_text():>6}  {line.text}" in shown, (line.amount.text(), line)
