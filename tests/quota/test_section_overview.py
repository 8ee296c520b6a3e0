"""A section at a glance says the same as each account by itself, in few statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Engine, event

from quota.audit import By
from quota.helping import Helping
from quota.idling import Idling
from quota.lab_file import parse_lab
from quota.section_overview import ScholarLine, SectionOverview, section_overview
from quota.session_states import SessionState
from tests.api.office import OFFICE_YAML
from tests.quota.books import Desk, hours

TOMAS = By(actor="tomas", request_id="")


def office(engine: Engine, text: str = OFFICE_YAML) -> Desk:
    return Desk(engine, parse_lab(text, "lab.yaml"))


def overview(desk: Desk, section: str = "utc") -> SectionOverview:
    return section_overview(desk.books, section, "tomas")


def line(desk: Desk, name: str) -> ScholarLine:
    return next(one for one in overview(desk).scholars if one.name == name)


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Note every statement that is sent to the database."""
    found: list[str] = []

    def note(*given: object) -> None:
        found.append(str(given[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_balances_are_those_of_the_accounts(engine: Engine) -> None:
    desk = office(engine)
    desk.use("ada", "whole", hours=2)
    desk.run("blaise", "quarter")
    desk.office.grant(uuid4(), "chen", hours("1"), reason="demo", by=TOMAS, source="ta_grant")
    desk.go(every_s=600, minutes=47)
    for now in (desk.clock.now(), desk.clock.now() + timedelta(days=6)):
        desk.clock.set(now)
        found = {one.name: one.balance for one in overview(desk).scholars}
        assert found == {name: desk.books.account(name).balance for name in found}
        assert set(found) == {"ada", "blaise", "chen", "dina"}


def test_a_tas_own_hours_of_the_week_are_told(engine: Engine) -> None:
    desk = office(engine)
    assert overview(desk).ta_left == hours("3")
    desk.office.grant(uuid4(), "chen", hours("1"), reason="demo", by=TOMAS, source="ta_grant")
    assert overview(desk).ta_left == hours("2")
    desk.clock.advance(timedelta(days=6))
    assert overview(desk).ta_left == hours("3")
    desk.clock.advance(timedelta(days=60))
    assert not overview(desk).ta_left


def test_who_needs_somebody_comes_first(engine: Engine) -> None:
    desk = office(engine)
    helping = Helping(desk.books)
    desk.run("ada", "quarter")
    lease_id, _ = desk.run("blaise", "quarter")
    Idling(desk.books).note({lease_id: SessionState(state="empty", since=desk.clock.now())})
    assert [one.name for one in overview(desk).scholars] == ["blaise", "ada", "chen", "dina"]
    desk.office.ask(uuid4(), "dina", hours("2"), "a run")
    assert [one.name for one in overview(desk).scholars] == ["dina", "blaise", "ada", "chen"]
    for name in ("chen", "ada"):
        request = helping.raise_hand(
            uuid4(), name, message="x", path="", server_name="", by=By(actor=name, request_id="")
        )
        desk.clock.advance(timedelta(minutes=1))
    found = overview(desk)
    assert [one.name for one in found.scholars] == ["chen", "ada", "dina", "blaise"]
    assert ([who.name for who, _ in found.hands], found.unclaimed) == (["chen", "ada"], 2)
    helping.claim(request.id, by=TOMAS)
    assert overview(desk).unclaimed == 1
    desk.clock.advance(timedelta(days=8))
    assert not line(desk, "dina").requests


def test_it_tells_when_somebody_used_a_gpu_last(engine: Engine) -> None:
    desk = office(engine)
    assert line(desk, "ada").used_at is None
    desk.use("ada", "whole", minutes=30)
    ended = desk.clock.now()
    desk.go(every_s=3600, hours=3)
    assert line(desk, "ada").used_at == ended
    desk.run("ada", "cpu")
    found = line(desk, "ada")
    assert (found.is_running, found.is_on_gpu, found.used_at) == (True, False, ended)


def test_whoever_signed_up_is_in_the_default_section(engine: Engine) -> None:
    desk = office(engine, OFFICE_YAML + "default_section: berlin\n")
    desk.run("zoe", "cpu")
    found = section_overview(desk.books, "berlin", "tilda")
    assert [one.name for one in found.scholars] == ["zoe", "emeka"]


def test_more_scholars_take_no_more_statements(engine: Engine) -> None:
    few, many = office(engine), [f"s{number}" for number in range(30)]
    for name in ("ada", "blaise"):
        few.run(name, "quarter")
    with counted(engine) as before:
        overview(few)
    text = OFFICE_YAML.replace("[ada, blaise, chen, dina]", f"[ada, blaise, {', '.join(many)}]")
    lot = office(engine, text)
    for name in many[:6]:
        lot.ask(name, "quarter")
    with counted(engine) as after:
        overview(lot)
    assert len(after) <= len(before) + 1
