"""Who takes part, week by week: what an organizer needs to decide who completed the program."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from quota.errors import NoSuchThing
from quota.lab_people import Absence, Scholar
from quota.participation import Participation, participation
from tests.quota.books import NOON, PROGRAM, Desk, hours, lab_with

SCHOLARS = {
    "blaise": Scholar(name="blaise", absences=(Absence(week=1, use_in=(2,)),)),
    "dina": Scholar(name="dina", opted_out=True),
}


def of(desk: Desk, name: str) -> Participation:
    (one,) = participation(desk.books, name=name)
    return one


def states(desk: Desk, name: str) -> list[str]:
    return [one.state for one in of(desk, name).weeks]


def test_each_week_of_each_scholar_is_what_it_was(engine: Engine) -> None:
    desk = Desk(engine, lab_with(PROGRAM).model_copy(update={"scholars": SCHOLARS}))
    desk.use("ada", "whole", hours=1)
    _, ref = desk.run("chen", "cpu")
    desk.finish(ref)
    desk.tick()
    assert states(desk, "ada") == ["active", "to_come", "to_come", "to_come"]
    assert states(desk, "dina") == ["to_come", "to_come", "to_come", "opted_out"]
    desk.clock.set(NOON + timedelta(days=7))
    desk.use("blaise", "quarter", hours=2)
    desk.clock.set(NOON + timedelta(days=41))  # in the week of the project
    desk.use("ada", "whole", hours=1)
    desk.clock.set(NOON + timedelta(days=60))
    assert states(desk, "ada") == ["active", "absent", "absent", "active"]
    assert states(desk, "blaise") == ["away", "active", "absent", "absent"]
    assert states(desk, "chen") == ["active", "absent", "absent", "absent"], "on a CPU, too"
    assert states(desk, "dina") == ["absent", "absent", "absent", "opted_out"]
    found = {one.name: one for one in participation(desk.books)}
    assert {name: one.final_project for name, one in found.items()} == {
        "ada": "taken", "blaise": "not_taken", "chen": "not_taken", "dina": "opted_out",
        "emeka": "not_taken",
    }  # fmt: skip
    assert (found["ada"].active, found["ada"].missed) == (2, 2)
    assert [one.used for one in found["ada"].weeks] == [
        hours("1"), hours("0"), hours("0"), hours("1")
    ]  # fmt: skip
    assert [one.sessions for one in found["chen"].weeks] == [1, 0, 0, 0]
    desk.check()


def test_a_section_alone_and_nobody_who_is_not_there(engine: Engine) -> None:
    desk = Desk(engine, lab_with(PROGRAM))
    assert [one.name for one in participation(desk.books, section="berlin")] == ["emeka"]
    assert participation(desk.books, name="nobody") == []
    with pytest.raises(NoSuchThing, match="there is berlin, utc"):
        participation(desk.books, section="x")
    with pytest.raises(NoSuchThing, match="no program"):
        participation(Desk(engine).books)
