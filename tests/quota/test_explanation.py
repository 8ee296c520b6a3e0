"""Why somebody has this many hours: whatever happened, the lines sum to the balance."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from quota.amount import GpuTime
from quota.audit import By
from quota.errors import Refusal
from quota.refunding import Incident
from tests.quota.books import NOON, PROGRAM, Desk, hours, lab_with

OLGA, TOMAS = By(actor="olga"), By(actor="tomas")
LAB = lab_with(
    PROGRAM
    + """
roll_over: {percent: 30, lasts_weeks: 2}
due_dates:
  essay: {title: Essay, due: 2026-11-26 20:00, hours: 2}
  report: {title: Report, due: 2026-12-03 20:00, hours: 1}
scholars: {ada: {hours_per_week: 2}, blaise: {absences: [{week: 1, use_in: [2]}]}}
""",
    section="pool: {hours_per_week: 1, most_per_scholar: 30 min}, help_hours_per_week: 1",
    ta_hours_per_week=GpuTime.hours(2),
)
SCHOLARS = ("ada", "blaise")

actions = st.tuples(
    st.sampled_from(["start", "finish", "grant", "ta", "refund", "attach", "detach", "pass"]),
    st.sampled_from(SCHOLARS),
    st.integers(1, 40),
)


class Class:
    """Two scholars, a TA and an organizer who do whatever comes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.refs: dict[str, str] = {}
        self.attached: list[UUID] = []

    def act(self, what: str, who: str, size: int) -> None:
        desk, office = self.desk, self.desk.office
        now = desk.clock.now()
        match what:
            case "start":
                view = desk.ask(who, "quarter" if size % 2 else "whole")
                if view.lease.state == "held":
                    self.refs[who] = desk.start(view)
            case "finish" if self.refs.get(who) in desk.containers:
                desk.finish(self.refs[who])
            case "grant":
                office.grant(uuid4(), who, hours(f"{size} min"), by=OLGA, reason="extra",
                             until=now + timedelta(hours=size))  # fmt: skip
            case "ta":
                office.grant(uuid4(), who, hours(f"{size} min"), by=TOMAS, reason="help",
                             source="ta_grant")  # fmt: skip
            case "refund" if now > NOON:
                hit = Incident(id=str(uuid4()), starts_at=max(NOON, now - timedelta(minutes=size)),
                               ends_at=now, reason="cooling")  # fmt: skip
                office.refund(hit, by=OLGA)
            case "attach":
                one = office.attach(uuid4(), who, server_name="", mode="observe", minutes=size,
                                    by=TOMAS, reason="asked")  # fmt: skip
                self.attached.append(one.id)
            case "detach" if self.attached:
                office.detach(self.attached.pop(), "detached", by=TOMAS)
            case "pass":
                desk.clock.advance(timedelta(hours=size * 2))
            case _:
                pass


def check_explanations(desk: Desk) -> None:
    for who in SCHOLARS:
        found = desk.books.explanation(who)
        view = desk.books.account(who)
        assert GpuTime.total(line.amount for line in found.lines) == found.balance
        assert (found.balance, found.held) == (view.balance, view.held)
        assert all(line.amount for line in found.lines), "no line says nothing"
        assert all(line.text for line in found.lines)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, min_size=5, max_size=25))
def test_the_lines_always_sum_to_the_balance(
    engine: Engine, history: list[tuple[str, str, int]]
) -> None:
    # Each history in a hub of its own, so that one database serves all.
    desk = Desk(engine, LAB, hub_id=f"hub-{uuid4().hex[:12]}")
    people = Class(desk)
    for what, who, size in history:
        with suppress(Refusal):
            people.act(what, who, size)
        check_explanations(desk)
        desk.go(every_s=240, minutes=4)
        check_explanations(desk)
    desk.check()


def test_each_line_says_what_gave_or_took(desk: Desk) -> None:
    desk.follow(LAB)
    desk.office.grant(uuid4(), "ada", hours("1"), by=OLGA, reason="lost a day")
    desk.run("ada", "quarter")
    desk.go(every_s=300, minutes=10)
    desk.clock.advance(timedelta(minutes=10))
    found = desk.books.explanation("ada")
    lines = [(line.kind, line.text, line.amount.text()) for line in found.lines]
    assert lines[:2] == [
        ("boost", "extra hours for Essay", "2"),
        ("charge", "used by sessions, from extra hours for Essay", "-2.5 min"),
    ]
    assert sorted(lines[2:4]) == [
        ("allowance", "week 1, set for ada", "2"), ("grant", "lost a day", "1"),
    ]  # fmt: skip
    assert lines[4:] == [("running", "used by running sessions, not posted yet", "-2.5 min")]
