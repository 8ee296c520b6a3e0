"""Rules changed while the lab runs: checked, tagged, on the trail, seen by every process."""

import threading

import pytest
from sqlalchemy import Engine

from quota import amending
from quota.audit import By
from quota.errors import BadRule, NoSuchThing, StaleEdit
from quota.rulebook import Amendment, amended, entry_body, rules_of
from quota.service import Books
from tests.quota.books import LAB_YAML, PROGRAM, Desk, hours, lab_with, make_lab

OLGA, OMAR = By(actor="olga"), By(actor="omar")


def change(desk: Desk, hours_per_week: object, *, tag: str | None = None, by: By = OLGA) -> str:
    body, _ = desk.office.rule("sections", "utc")
    return desk.office.change_rule("sections", "utc", {**body, "hours_per_week": hours_per_week},
                                   tag=tag, by=by, reason="more to do")  # fmt: skip


def test_p13_a_change_counts_at_once_and_stands_on_the_trail(desk: Desk) -> None:
    _, tag = desk.office.rule("sections", "utc")
    new = change(desk, 12.5, tag=tag)
    assert desk.balance() == "12.50"
    assert desk.office.rule("sections", "utc")[1] == new != tag
    (line,) = desk.office.trail()
    assert (line.actor, line.action, line.subject, line.reason) == (
        "olga", "sections.change", "utc", "more to do")  # fmt: skip
    assert line.before is not None
    assert '"hours_per_week": "10"' in line.before
    assert '"hours_per_week": "12.5"' in (line.after or "")


def test_p13_the_second_of_two_organizers_is_told(desk: Desk) -> None:
    _, tag = desk.office.rule("sections", "utc")
    change(desk, 12, tag=tag)
    with pytest.raises(StaleEdit):
        change(desk, 8, tag=tag, by=OMAR)
    assert desk.balance() == "12.00"
    change(desk, 12, tag=tag, by=OMAR)  # the same again is no harm
    assert len(desk.office.trail()) == 1


def test_p13_catches_an_edit_that_asks_for_no_tag(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: whoever comes last wins, and nobody is told."""
    _, tag = desk.office.rule("sections", "utc")
    monkeypatch.setattr(amending, "entry_tag", lambda *_: tag)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_p13_the_second_of_two_organizers_is_told(desk)


def test_p13_two_organizers_at_the_same_moment(engine: Engine) -> None:
    desks = [Desk(engine), Desk(engine)]
    _, tag = desks[0].office.rule("sections", "utc")
    begin, outcomes = threading.Barrier(2), [""] * 2

    def edit(place: int) -> None:
        begin.wait()
        try:
            change(desks[place], 20 + place, tag=tag)
            outcomes[place] = "done"
        except StaleEdit:
            outcomes[place] = "stale"

    threads = [threading.Thread(target=edit, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["done", "stale"]
    winner = outcomes.index("done")
    for desk in desks:
        desk.books.reload_rules()
        assert desk.books.lab.sections["utc"].hours_per_week == hours(str(20 + winner))
    assert len(desks[0].office.trail()) == 1


def test_another_process_follows_at_its_next_tick(desk: Desk) -> None:
    other = Books(desk.engine, make_lab(), desk.clock)
    change(desk, 12)
    assert other.account("ada").balance == hours("10")
    other.tick([], seen_at=desk.clock.now())
    assert other.account("ada").balance == hours("12")


@pytest.mark.parametrize(
    ("part", "name", "body", "says"),
    [
        ("sections", "utc", {"time_zone": "Mars"}, "is not a time zone"),
        ("sections", "utc", {"time_zone": "UTC", "hours": 1}, "not known here"),
        ("sections", "utc", {"time_zone": "UTC", "hours_per_week": "1e9"}, "no GPU time"),
        ("sections", "utc", {"time_zone": "UTC", "hours_per_week": float("nan")}, "no GPU time"),
        ("sections", "utc", {"time_zone": "UTC", "scholars": ["emeka"]}, "already in section"),
        ("sections", "utc", {"time_zone": "UTC", "scholars": ["EMEKA\u202e"]}, "user name"),
        ("scholars", "nobody", {"opted_out": True}, "no section lists"),
        ("due_dates", "x", {"due": "2026-12-01"}, "day with a time"),
        ("blackouts", "x", {"starts": "2026-12-02 00:00", "ends": "2026-12-01 00:00"}, "ends at"),
        ("sections", "Bad Name", {"time_zone": "UTC"}, "short name"),
    ],
)
def test_what_the_file_would_refuse_is_refused_with_its_sentence(
    desk: Desk, part: str, name: str, body: dict[str, object], says: str
) -> None:
    with pytest.raises(BadRule, match=says):
        desk.office.change_rule(part, name, body, tag=None, by=OLGA, reason="x")
    assert desk.office.trail() == []


def test_other_parts_and_unknown_entries_cannot_be_changed(desk: Desk) -> None:
    for part, name in (("policy", "tick_s"), ("flavors", "cpu"), ("due_dates", "none")):
        with pytest.raises(NoSuchThing):
            desk.office.change_rule(part, name, None, tag=None, by=OLGA, reason="x")


def test_an_entry_can_be_added_and_taken_away(desk: Desk) -> None:
    due = {"title": "Essay", "due": "2026-11-26 20:00", "hours": 2}
    tag = desk.office.change_rule("due_dates", "essay", due, tag="absent", by=OLGA, reason="new")
    assert desk.balance() == "12.00"
    gone = desk.office.change_rule("due_dates", "essay", None, tag=tag, by=OLGA, reason="no")
    assert gone == "absent"
    assert desk.balance() == "10.00"
    desk.books.reload_rules()
    assert desk.books.lab.due_dates == {}


def test_an_entry_reads_as_it_is_written() -> None:
    lab = lab_with(PROGRAM + """
scholars: {ada: {hours_per_week: 7.25, absences: [{week: 1, use_in: [2]}]}}
due_dates: {essay: {due: 2026-11-26 20:00, hours: 90 min, hours_from: 2026-11-25}}
tas: {tomas: {office_hours: [{day: monday, starts: 18:00, ends: "24:00"}]}}
blackouts: {move: {starts: 2026-11-26 20:00, ends: 2026-11-26 22:00, time_zone: Asia/Tokyo}}
""", section="hours_in_weeks: {2: 4}, pool: {hours_per_week: 1}")  # fmt: skip
    for part, name in (("sections", "utc"), ("scholars", "ada"), ("due_dates", "essay"),
                       ("tas", "tomas"), ("blackouts", "move")):  # fmt: skip
        body = entry_body(lab, part, name)
        again = amended(lab, [Amendment(part=part, name=name, body=body, version=1)])
        assert getattr(again, part)[name] == getattr(lab, part)[name], (part, body)


# -- when lab.yaml itself changes below the amendments -------------------------------------------


def test_an_amendment_that_does_not_fit_a_new_file_is_left_out_named_and_comes_back(
    desk: Desk,
) -> None:
    desk.office.change_rule(
        "scholars", "ada", {"hours_per_week": 3}, tag=None, by=OLGA, reason="x"
    )
    change(desk, 12)
    desk.follow(make_lab(LAB_YAML.replace("[ada, blaise", "[blaise")))
    assert list(desk.books.rules.left_out) == []
    assert desk.balance("ada") == "3.00", "the amended section still lists ada"
    desk.follow(make_lab(LAB_YAML.replace("utc:", "gmt:")))
    (left_out,) = desk.books.rules.left_out
    assert "ada" in left_out
    desk.follow(make_lab())
    assert desk.books.rules.left_out == ()
    assert desk.balance("ada") == "3.00"


def section(name: str, *scholars: str, version: int) -> Amendment:
    body = {"time_zone": "UTC", "tas": ["tomas"], "scholars": list(scholars)}
    return Amendment(part="sections", name=name, body=body, version=version)


@pytest.mark.parametrize("flip", [False, True])
def test_amendments_that_need_each_other_are_used_in_any_order(*, flip: bool) -> None:
    swap = [section("utc", "emeka", version=5), section("berlin", "ada", version=6)]
    broken = Amendment(part="scholars", name="zoe", body={"opted_out": True}, version=1)
    for changes in (swap, [broken, *swap], [*swap, broken]):
        rules = rules_of(make_lab(), changes[::-1] if flip else changes)
        assert rules.lab.roster == {"emeka": "utc", "ada": "berlin"}
        assert len(rules.left_out) == (broken in changes)


def test_of_two_that_exclude_each_other_one_is_used() -> None:
    both = [section("utc", "ada", "emeka", version=5), section("berlin", "emeka", version=6)]
    rules = rules_of(make_lab(), both)
    assert len(rules.amendments) == len(rules.left_out) == 1
