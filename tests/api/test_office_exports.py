"""Usage that adds up in every format, and calendars that are right across clock changes."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from icalendar import Calendar
from sqlalchemy import Engine

from api.exports import safe_cell
from tests.api.desk import ApiDesk, open_service, problem
from tests.api.office import OFFICE_YAML, add_people

SPAN = "from=2026-11-01T00:00:00Z&until=2026-12-01T00:00:00Z"


def used(desk: ApiDesk) -> None:
    desk.books.run("ada", "quarter")
    desk.books.go(every_s=120, minutes=45)
    desk.books.run("emeka", "quarter")
    desk.books.go(every_s=120, minutes=20)
    for ref in list(desk.books.containers):
        desk.books.finish(ref)
    desk.books.tick()


def test_all_formats_have_the_same_sums(office: ApiDesk) -> None:
    used(office)
    total = sum(int(office.get(f"/v1/accounts/{who}").json()["charged_mgpu_ms"])
                for who in ("ada", "emeka"))  # fmt: skip
    assert total == 250 * (65 + 20) * 60_000
    found = {form: office.get(f"/v1/usage?{SPAN}&format={form}", "token-olga").content
             for form in ("json", "csv", "parquet")}  # fmt: skip
    lines = json.loads(found["json"])["lines"]
    rows = list(csv.DictReader(io.StringIO(found["csv"].decode())))
    table = pq.read_table(io.BytesIO(found["parquet"]))
    assert sum(one["mgpu_ms"] for one in lines) == total
    assert sum(int(one["mgpu_ms"]) for one in rows) == total
    assert sum(table["mgpu_ms"].to_pylist()) == total
    assert len(lines) == len(rows) == table.num_rows
    assert {one["account"] for one in rows} == {"ada", "emeka"}
    assert table["from_at"][0].as_py() == datetime.fromisoformat(lines[0]["from_at"])
    only = office.get(f"/v1/usage?{SPAN}&section=berlin&format=csv", "token-tilda").text
    assert {one["account"] for one in csv.DictReader(io.StringIO(only))} == {"emeka"}
    mine = office.get(f"/v1/usage?{SPAN}", "token-ada").json()["lines"]
    assert {one["account"] for one in mine} == {"ada"}


def test_an_empty_time_is_a_whole_file(office: ApiDesk) -> None:
    span = "from=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z"
    assert office.get(f"/v1/usage?{span}", "token-olga").json()["lines"] == []
    assert office.get(f"/v1/usage?{span}&format=csv", "token-olga").text.count("\r\n") == 1
    raw = office.get(f"/v1/usage?{span}&format=parquet", "token-olga").content
    assert pq.read_table(io.BytesIO(raw)).num_rows == 0


@pytest.mark.parametrize("span", ["from=2026-11-01T00:00:00Z&until=2026-11-01T00:00:00Z",
                                  "from=2026-11-01T00:00:00&until=2026-12-01T00:00:00",
                                  "from=2000-11-01T00:00:00Z&until=2026-12-01T00:00:00Z",
                                  "from=x&until=y", ""])  # fmt: skip
def test_times_that_are_none(office: ApiDesk, span: str) -> None:
    problem(office.get(f"/v1/usage?{span}", "token-olga"), 422, "invalid_request")


def test_no_cell_is_a_formula(engine: Engine, tmp_path: Path) -> None:
    """Where everybody may come in, so may a name that a spreadsheet would run."""
    (tmp_path / "lab.yaml").write_text(OFFICE_YAML + "default_section: utc\n")
    with open_service(engine, tmp_path) as desk:
        add_people(desk)
        desk.books.books.lab = desk.app.state.books.lab
        for name in ("=cmd|' /C calc'!A0", "+1", "-1+2", "@sum(a1)"):
            desk.books.run(name, "quarter", server="s")
            desk.books.go(every_s=60, minutes=11)
            desk.books.finish(next(iter(desk.books.containers)))
            desk.books.tick()
        text = desk.get(f"/v1/usage?{SPAN}&format=csv", "token-olga").text
        names = {row["account"] for row in csv.DictReader(io.StringIO(text))}
        assert names == {"'=cmd|' /C calc'!A0", "'+1", "'-1+2", "'@sum(a1)"}
        desk.books.check()


def test_cells_that_are_no_formulas_stay() -> None:
    kept = ("ada", "7.25", "-0.50", 12, None, "")
    assert tuple(safe_cell(one) for one in kept) == kept
    assert [safe_cell(one) for one in ("\t=1", "\r=1", "-", "=1")] == [
        "'\t=1", "'\r=1", "'-", "'=1"]  # fmt: skip


DST_YAML = """
name: Lab
organizers: [olga]
program: {starts_on: 2027-03-22, weeks: [{topic: Before}, {topic: After}]}
sections:
  berlin:
    title: Berlin
    time_zone: Europe/Berlin
    scholars: [emeka]
    tas: [tilda]
    hours_per_week: 5
    co_working: [{day: saturday, starts: '18:00', ends: '20:00'},
                 {day: monday, starts: '18:00', ends: '20:00'}]
tas:
  tilda: {office_hours: [{day: tuesday, starts: '09:00', ends: '10:00'}]}
due_dates:
  review: {title: "Review, part 1; final", due: 2027-03-28 23:59, hours: 4}
blackouts:
  move: {title: Moving day, starts: 2027-03-28 20:00, ends: 2027-03-29 06:00}
flavors: {cpu: {title: CPU, weight_mgpu: 0}}
images: {base: {title: Base, docker: "gpulab/base:latest"}}
"""


def test_p12_a_calendar_is_right_across_the_clock_change(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(DST_YAML)
    with open_service(engine, tmp_path) as desk:
        add_people(desk)
        reply = desk.get("/v1/calendars/berlin.ics", "token-emeka")
        week = desk.get("/v1/week/berlin?at=2027-03-27T12:00:00Z", "token-emeka").json()
        again = desk.get("/v1/calendars/berlin.ics", "token-tilda")
    assert reply.headers["content-type"] == "text/calendar; charset=utf-8"
    events: list[Any] = Calendar.from_ical(reply.content).walk("VEVENT")
    assert len({str(one["uid"]) for one in events}) == len(events)
    assert again.content == reply.content, "the same events under the same names"
    found = [(str(one["summary"]), one["dtstart"].dt, one["dtend"].dt) for one in events]

    def utc(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
        return datetime(2027, month, day, hour, minute, tzinfo=UTC)

    assert [one[1] for one in found if one[0].startswith("Week")] == [utc(21, 23), utc(28, 22)]
    assert [one[1] for one in found if one[0].startswith("Due")] == [utc(28, 21, 59)]
    co_working = sorted(one[1:] for one in found if one[0].startswith("Co-working"))
    assert co_working == [(at, at + timedelta(hours=2)) for at in (
        utc(22, 17), utc(27, 17), utc(29, 16), utc(3, 16, month=4))]  # fmt: skip
    assert [one[1] for one in found if "tilda" in one[0]] == [utc(23, 8), utc(30, 7)]
    assert [one[1:] for one in found if one[0].startswith("GPUs closed")] == [
        (utc(28, 20), utc(29, 6))]  # fmt: skip
    assert any(one[0] == "Due: Review, part 1; final" for one in found)
    starts, ends = (datetime.fromisoformat(week["week"][key]) for key in ("starts_at", "ends_at"))
    assert ends - starts == timedelta(hours=167)
    assert [one["name"] for one in week["due"]] == ["review"]
