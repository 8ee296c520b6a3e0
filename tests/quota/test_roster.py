"""A roster from a file: planned, whole or not at all, with every fault on its line."""

import pytest

from quota.audit import By
from quota.roster import RosterPlan, plan_import, read_roster
from tests.quota.books import Desk, lab_with

OLGA = By(actor="olga")


def plan(desk: Desk, *lines: str, remove_others: bool = False) -> RosterPlan:
    rows, faults = read_roster("\n".join(("name,section", *lines)))
    assert faults == []
    return plan_import(desk.books.lab, rows, remove_others=remove_others)


def test_new_scholars_come_others_move_and_the_rest_stays(desk: Desk) -> None:
    found = plan(desk, "zoe,utc", "emeka,utc", "ada,utc")
    assert [row.name for row in found.added] == ["zoe"]
    assert [(row.name, where) for row, where in found.moved] == [("emeka", "berlin")]
    assert (found.removed, found.same) == ((), 1)
    desk.office.import_roster(found, by=OLGA, reason="term begins")
    roster = desk.books.lab.roster
    assert {who for who, where in roster.items() if where == "utc"} == {
        "ada", "blaise", "chen", "dina", "zoe", "emeka",
    }  # fmt: skip
    assert desk.balance("zoe") == "10.00"
    assert plan(desk, "zoe,utc", "emeka,utc", "ada,utc").is_empty
    assert [line.action for line in desk.office.trail()] == ["sections.change"] * 2


def test_a_move_back_and_a_later_edit_leave_nobody_out(desk: Desk) -> None:
    for section in ("utc", "berlin", "utc"):
        desk.office.import_roster(plan(desk, f"emeka,{section}"), by=OLGA, reason="x")
        body, _ = desk.office.rule("sections", "berlin")
        desk.office.change_rule("sections", "berlin", {**body, "title": f"after {section}"},
                                tag=None, by=OLGA, reason="x")  # fmt: skip
        assert desk.books.rules.left_out == ()
        assert desk.books.lab.roster["emeka"] == section


def test_who_is_not_in_a_whole_roster_goes_with_all_that_was_set(desk: Desk) -> None:
    desk.follow(lab_with("scholars: {ada: {hours_per_week: 3}, dina: {hours_per_week: 4}}"))
    found = plan(desk, "dina,utc", remove_others=True)
    assert [who for who, _ in found.removed] == ["ada", "blaise", "chen", "emeka"]
    desk.office.import_roster(found, by=OLGA, reason="they left")
    assert (desk.books.lab.roster, list(desk.books.lab.scholars)) == ({"dina": "utc"}, ["dina"])
    assert not desk.books.lab.knows("ada")


def test_a_wrong_section_or_a_scholar_twice_is_named_and_nothing_planned(desk: Desk) -> None:
    found = plan(desk, "zoe,Utc", "yan,utc", "yan,berlin")
    assert found.faults == (
        "line 2: there is no section 'Utc'; write berlin, utc",
        "line 4: yan stands in line 3 already",
    )
    assert found.is_empty


@pytest.mark.parametrize("name", [
    "Zoe", "z\u00f6e", "zo\u0435", "zoe\u200b", "\u202ezoe", "zoe\0", "zo e", "z" * 64, "..",
    "z..e", "-zoe", "\uff5aoe", "", "zoe/x", "\U0001f600", "zoe\ud800",
])  # fmt: skip
def test_names_that_hub_disk_or_container_would_not_take_are_named(name: str) -> None:
    rows, (fault,) = read_roster(f"name,section\nok,utc\n{name},utc\n")
    assert [row.name for row in rows] == ["ok"]
    assert fault.startswith("line 3: ")
    assert "user name" in fault


def test_files_from_spreadsheets_are_read() -> None:
    text = '\ufeffSection, Name ,e-mail\r\n utc , zoe ,"z, o"\r\n\r\n"utc","yan",\r\n'
    rows, faults = read_roster(text)
    assert faults == []
    assert [(row.line, row.name, row.section) for row in rows] == [
        (2, "zoe", "utc"),
        (4, "yan", "utc"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("name;section\nzoe;utc\n", "the column 'name' is missing"),
        ("name\nzoe\n", "the column 'section' is missing"),
        ("name,section\nzoe\n", "line 2: a cell is missing"),
        ("name,section\n" + "zoe,utc\n" * 100_001, "more than 100,000 lines"),
        (f'name,section\n"{"x" * 200_000}",utc\n', "this is no CSV"),
    ],
)
def test_what_is_no_roster_is_said(text: str, says: str) -> None:
    _, faults = read_roster(text)
    assert any(says in fault for fault in faults)


def test_100_000_scholars_are_planned_with_the_one_bad_line_named() -> None:
    lines = [f"scholar-{number},utc" for number in range(100_000)]
    lines[41_234] = "Scholar 41234,utc"
    rows, (fault,) = read_roster("name,section\n" + "\n".join(lines))
    assert fault.startswith("line 41236: ")
    found = plan_import(lab_with(), rows, remove_others=True)
    assert len(found.added) == 99_999
