"""A tick that remembers which accounts are calm finds what one that looks at everybody finds."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, select

from quota import calm
from quota.audit import By
from quota.calm import CalmAccounts
from quota.errors import Refusal
from quota.lab import Lab
from quota.lab_people import Section
from quota.store.engine import reading
from quota.store.tables import accounts, entries, leases, lots, notices
from quota.tick import TickResult
from tests.quota.books import PROGRAM, Desk, hours, lab_with
from tests.quota.memory import engine_in_memory

# From some minutes before all of it until after: much begins and ends in these two days.
START = "2026-11-28T22:10"
SCHOLARS = ("ada", "blaise", "chen", "dina", "emeka")
OLGA, TOMAS = By(actor="olga"), By(actor="tomas")
RULES = (
    PROGRAM
    + """
roll_over: {percent: 50, most_hours: 2}
due_dates:
  essay: {due: 2026-11-30 01:30, hours: 2, hours_from: 2026-11-29}
  review: {due: 2026-11-28 23:05, hours: 1, sections: [utc]}
blackouts:
  move: {title: Moving, starts: 2026-11-29 03:00, ends: 2026-11-29 03:20}
"""
)
POOL = "pool: {hours_per_week: 2, most_per_scholar: 30 min}, help_hours_per_week: 1"


class Twins:
    """The same books twice, ticked by two workers: one remembers, one forgets at once."""

    def __init__(self, engines: list[Engine], lab: Lab, seed: int) -> None:
        self.desks = [Desk(engine, lab=lab) for engine in engines]
        for desk in self.desks:
            desk.at(START)
        self.rng = Random(seed)
        self.running: dict[str, str] = {}

    def go(self, steps: int) -> None:
        """Let somebody do something now and then; then time passes and both tick."""
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        if self.rng.random() < 0.3:
            self.rng.choice((self.start, self.start, self.end, self.give, self.attach))()
        self.wait(self.rng.choice((1, 5, 14, 15, 15, 15, 15, 16, 40, 90)))

    def start(self) -> None:
        who, flavor = self.rng.choice(SCHOLARS), self.rng.choice(("cpu", "quarter", "quarter"))
        lease_id, ref = self.id(), None
        for desk in self.desks:
            try:
                view = desk.ask(who, flavor, lease_id=lease_id)
            except Refusal:
                continue
            if view.lease.state == "held":
                ref = desk.start(view)
        if ref is not None:
            self.running[ref] = who

    def end(self) -> None:
        if not self.running:
            return
        ref = self.rng.choice(sorted(self.running))
        is_asked = self.rng.random() < 0.5
        for desk in self.desks:
            lease_id = desk.containers[ref].lease_id
            if is_asked and lease_id is not None:
                desk.books.stop_lease(lease_id, "person")
            else:
                desk.finish(ref)

    def give(self) -> None:
        grant_id, who = self.id(), self.rng.choice(SCHOLARS)
        until = self.desks[0].clock.now() + timedelta(minutes=self.rng.randint(5, 300))
        for desk in self.desks:
            desk.office.grant(grant_id, who, hours("9 min"), by=OLGA, reason="more", until=until)

    def attach(self) -> None:
        attachment_id, who = self.id(), self.rng.choice(SCHOLARS[:4])
        for desk in self.desks:
            try:
                desk.office.attach(attachment_id, who, server_name="", mode="observe", minutes=5,
                                   by=TOMAS, reason="help")  # fmt: skip
            except Refusal:
                continue

    def wait(self, seconds: int) -> None:
        found = []
        for desk in self.desks:
            desk.clock.advance(timedelta(seconds=seconds))
            if desk is self.desks[1]:
                desk.books._calm = CalmAccounts()
            result = desk.tick()
            for order in result.stops:
                if order.ref in desk.containers:
                    desk.finish(order.ref)
            found.append(told(result))
        assert found[0] == found[1], self.desks[0].clock.now()
        self.running = {ref: self.running.get(ref, "") for ref in self.desks[0].containers}

    def id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128))


def told(result: TickResult) -> dict[str, object]:
    return {
        "deadlines": {one.lease_id: (one.ref, one.at) for one in result.deadlines},
        "stops": {one.lease_id: one for one in result.stops},
        "removals": sorted(result.removals), "ended": result.ended, "next": result.next_end_at,
    }  # fmt: skip


def all_rows(engine: Engine) -> list[list[tuple[object, ...]]]:
    """Return the books, without the ids that are made up anew."""
    with reading(engine) as tx:
        found = [
            tx.execute(select(*(c for c in table.c if (table, c.name) != (notices, "id")))).all()
            for table in (accounts, leases, lots, entries, notices)
        ]
    return [sorted((tuple(row) for row in rows), key=repr) for rows in found]


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    with engine_in_memory(tmp_path, "calm") as one, engine_in_memory(tmp_path, "other") as other:
        yield [one, other]


@pytest.mark.parametrize(
    ("seed", "keys", "steps"),
    [(1, "", 150), (2, POOL, 150),
     *(pytest.param(seed, keys, 1500, marks=pytest.mark.long)
       for seed in (3, 4) for keys in ("", POOL))],
)  # fmt: skip
def test_what_is_remembered_is_what_would_be_found(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch, seed: int, keys: str, steps: int
) -> None:
    passed = count_passed(monkeypatch)
    twins = Twins(engines, lab_with(RULES, section=keys), seed)
    twins.go(steps)
    first, second = map(all_rows, engines)
    assert first == second
    assert len(passed) > steps // 10, "hardly anybody was calm: nothing is shown by this"
    for desk in twins.desks:
        desk.check()


def count_passed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Count how often an account is passed over."""
    passed: list[bool] = []
    goes_on = calm.Calm.goes_on

    def counted(self: calm.Calm, by_lease: dict[UUID, object]) -> bool:
        found = goes_on(self, by_lease)  # type: ignore[arg-type]
        passed.extend([True] * found)
        return found

    monkeypatch.setattr(calm.Calm, "goes_on", counted)
    return passed


def test_a_memory_that_forgets_an_edge_is_found_out(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_edges(_self: calm.Glance, _section: Section | None) -> Iterator[datetime]:
        return iter(())

    monkeypatch.setattr(calm.Glance, "_edges", no_edges)
    twins = Twins(engines, lab_with(RULES), seed=1)
    with pytest.raises(AssertionError):
        twins.go(1500)


def test_an_account_is_opened_again_when_rules_change(engines: list[Engine]) -> None:
    desk = Desk(engines[0], lab=lab_with())
    desk.run("ada", "quarter")
    desk.go(minutes=1)
    desk.follow(lab_with(section="hours_in_weeks: {}").model_copy(update={"sections": {}}))
    desk.go(minutes=1)
    with_no_section = desk.books.account("ada")
    assert with_no_section.section is None


def test_calm_accounts_are_not_opened(engines: list[Engine]) -> None:
    desk = Desk(engines[0])
    for who in ("ada", "blaise"):
        desk.run(who, "quarter")
    desk.go(seconds=30)
    asked: list[str] = []
    event.listen(engines[0], "before_cursor_execute",
                 lambda _c, _cur, sql, *_: asked.append(sql))  # fmt: skip
    desk.go(seconds=15)
    assert any("FROM accounts" in sql for sql in asked)
    assert not any("FROM lots" in sql for sql in asked)
