"""What organizers, TAs and scholars ask of the office in a simulation, drawn by chance.

A deed is drawn once, with all its ids, and may then be done any number of times: whoever got no
answer asks the same again. What the office may say no to is part of the deed; anything else that
it says ends the search.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, get_args
from uuid import UUID, uuid5

from quota.amount import GpuTime
from quota.attachments import DetachReason
from quota.audit import By
from quota.bulk import GrantRow, plan_grants
from quota.errors import (
    AlreadyDecided,
    BadAmount,
    BadRule,
    BudgetSpent,
    NoSuchAccount,
    NoSuchThing,
    NotAttachable,
    Refusal,
    StaleEdit,
)
from quota.lab import Lab
from quota.office import Office
from quota.refunding import Incident
from quota.roster import plan_import, read_roster

OLGA = By(actor="olga", request_id="simulated")
_HOURS = ("0.25", "0.5", "1", "2")


DeedName = Literal[
    "grant", "ta_grant", "bulk", "ask", "answer", "withdraw", "refund", "rule", "roster",
    "attach", "detach",
]  # fmt: skip
DEEDS: tuple[DeedName, ...] = get_args(DeedName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something to ask of the office, and what it may refuse it with."""

    name: DeedName
    do: Callable[[Office], object]
    refusals: tuple[type[Refusal], ...] = ()
    # What must be in the books for ever once the office has said yes.
    gives: Mapping[UUID, GpuTime] = field(default_factory=dict)


class Staff:
    """Draws what happens in the office; remembers what it has asked for before."""

    def __init__(self, lab: Lab, rng: Random) -> None:
        self._first_lab = lab
        self._rng = rng
        self._requests: list[UUID] = []
        self._incidents: list[Incident] = []

    def draw(self, lab: Lab, now: datetime) -> Deed:
        """Draw what somebody wants of the office now."""
        draws: dict[Callable[[Lab, datetime], Deed], int] = {
            self._grant: 2, self._ta_grant: 2, self._bulk: 1, self._ask: 4, self._answer: 4,
            self._withdraw: 1, self._refund: 2, self._rule: 4, self._roster: 2,
        }  # fmt: skip
        return self._rng.choices(list(draws), list(draws.values()))[0](lab, now)

    def attach(self, who: str, ta: str) -> tuple[UUID, int, Deed]:
        """Draw a TA who attaches to a scholar's session, and for how many minutes."""
        attachment_id, minutes = self._id(), self._rng.randint(2, 80)
        mode = self._rng.choice(("observe", "co_edit"))
        return attachment_id, minutes, Deed(
            name="attach",
            do=lambda office: office.attach(
                attachment_id, who, server_name="", mode=mode,  # type: ignore[arg-type]
                minutes=minutes, by=By(actor=ta), reason="a question",
            ),
            refusals=(NotAttachable, NoSuchAccount),
        )  # fmt: skip

    def detach(self, attachment_id: UUID) -> Deed:
        """Draw an end of an attachment before its time."""
        why: DetachReason = self._rng.choice(("detached", "scholar_ended"))
        return Deed(name="detach", refusals=(NoSuchThing,),
                    do=lambda office: office.detach(attachment_id, why, by=OLGA))  # fmt: skip

    # -- giving ----------------------------------------------------------------------------

    def _grant(self, lab: Lab, now: datetime) -> Deed:
        grant_id, who, amount = self._id(), self._scholar(lab), self._amount()
        until = self._rng.choice((None, now + timedelta(hours=self._rng.randint(2, 200))))
        return Deed(
            name="grant", gives={grant_id: amount}, refusals=(NoSuchAccount, BadAmount),
            do=lambda office: office.grant(grant_id, who, amount, by=OLGA, reason="for trying",
                                           until=until),
        )  # fmt: skip

    def _ta_grant(self, lab: Lab, _now: datetime) -> Deed:
        grant_id, who, amount, by = self._id(), self._scholar(lab), self._amount(), self._ta(lab)
        return Deed(
            name="ta_grant", gives={grant_id: amount}, refusals=(BudgetSpent, NoSuchAccount),
            do=lambda office: office.grant(grant_id, who, amount, by=by, reason="a good question",
                                           source="ta_grant"),
        )  # fmt: skip

    def _bulk(self, lab: Lab, now: datetime) -> Deed:
        some = self._rng.sample(sorted(lab.roster), k=min(3, len(lab.roster)))
        rows = [GrantRow(line=line, account=who, hours=self._rng.choice(_HOURS), reason="all")
                for line, who in enumerate(some, start=1)]  # fmt: skip
        plan = plan_grants(self._id(), rows, lab, now)
        return Deed(name="bulk", gives={one.id: one.amount for one in plan.grants},
                    do=lambda office: office.grant_many(plan, by=OLGA))  # fmt: skip

    def _refund(self, _lab: Lab, now: datetime) -> Deed:
        if not self._incidents or self._rng.random() < 0.6:
            starts_at = now - timedelta(minutes=self._rng.randint(70, 700))
            ends_at = starts_at + timedelta(minutes=self._rng.randint(5, 69))
            self._incidents.append(Incident(id=f"i{len(self._incidents)}", starts_at=starts_at,
                                            ends_at=ends_at, reason="a fault"))  # fmt: skip
        incident = self._rng.choice(self._incidents)
        # A clock that stands back says that it is not over yet.
        return Deed(name="refund", refusals=(BadAmount,),
                    do=lambda office: office.refund(incident, by=OLGA))  # fmt: skip

    # -- requests for hours ------------------------------------------------------------------

    def _ask(self, lab: Lab, _now: datetime) -> Deed:
        request_id, who, amount = self._id(), self._scholar(lab), self._amount()
        self._requests.append(request_id)
        return Deed(name="ask", refusals=(BadAmount, NoSuchAccount),
                    do=lambda office: office.ask(request_id, who, amount, "more"))  # fmt: skip

    def _answer(self, lab: Lab, now: datetime) -> Deed:
        if not self._requests:
            return self._ask(lab, now)
        request_id, by = self._rng.choice(self._requests[-3:]), OLGA
        granted = self._rng.choice((None, self._amount(), self._amount()))
        if granted is not None and self._rng.random() < 0.5:
            by = self._ta(lab)
        source: Any = "request" if by == OLGA else "ta_grant"
        return Deed(
            name="answer", refusals=(AlreadyDecided, BudgetSpent, NoSuchThing, NoSuchAccount),
            gives={} if granted is None else {uuid5(request_id, "grant"): granted},
            do=lambda office: office.answer(request_id, granted, by=by, text="so be it",
                                            source=source),
        )  # fmt: skip

    def _withdraw(self, lab: Lab, now: datetime) -> Deed:
        if not self._requests:
            return self._ask(lab, now)
        request_id = self._rng.choice(self._requests[-3:])
        return Deed(name="withdraw", refusals=(AlreadyDecided, NoSuchThing),
                    do=lambda office: office.withdraw(request_id, by=OLGA))  # fmt: skip

    # -- rules -------------------------------------------------------------------------------

    def _rule(self, lab: Lab, now: datetime) -> Deed:
        rng = self._rng
        name, who = rng.choice(sorted(lab.sections)), self._scholar(lab)
        begins = now + timedelta(hours=rng.randint(1, 40))
        window = {"starts": _written(begins), "ends": _written(begins + timedelta(hours=1))}
        due = {"due": _written(now + timedelta(hours=rng.randint(5, 90))), "hours": 1}
        part, entry, changes = rng.choice((
            ("sections", name, {"hours_per_week": rng.randint(0, 5)}),
            ("sections", name, {"help_hours_per_week": rng.randint(0, 3)}),
            ("sections", name, {"pool": {"hours_per_week": rng.randint(1, 3)}}),
            ("scholars", who, {"opted_out": rng.random() < 0.5}),
            ("scholars", who, {"hours_per_week": rng.randint(1, 6)}),
            ("scholars", who, None),
            ("due_dates", "extra", due), ("due_dates", "extra", None),
            ("blackouts", "extra", window), ("blackouts", "extra", None),
        ))  # fmt: skip
        is_stale = rng.random() < 0.1
        return Deed(
            name="rule", refusals=(StaleEdit, BadRule, NoSuchThing),
            do=lambda office: _change(office, part, entry, changes, is_stale=is_stale),
        )  # fmt: skip

    def _roster(self, lab: Lab, _now: datetime) -> Deed:
        """Take somebody out, move somebody, or take everybody in again who was taken out."""
        where = dict(lab.roster)
        who, how = self._scholar(lab), self._rng.choice(("remove", "move", "all"))
        if how == "remove" and len(where) > 2:
            del where[who]
        elif how == "move":
            where[who] = self._rng.choice(sorted(lab.sections))
        else:
            where = dict(self._first_lab.roster) | where
        text = "\n".join(["name,section", *(f"{name},{where[name]}" for name in sorted(where))])
        return Deed(name="roster", refusals=(BadRule,), do=lambda office: _import(office, text))

    # -- chance ------------------------------------------------------------------------------

    def _id(self) -> UUID:
        return UUID(int=self._rng.getrandbits(128), version=4)

    def _amount(self) -> GpuTime:
        return GpuTime.hours(self._rng.choice(_HOURS))

    def _scholar(self, lab: Lab) -> str:
        return self._rng.choice(sorted(lab.roster))

    def _ta(self, lab: Lab) -> By:
        tas = sorted({ta for section in lab.sections.values() for ta in section.tas})
        return By(actor=self._rng.choice(tas))


def _change(
    office: Office, part: str, name: str, changes: Mapping[str, Any] | None, *, is_stale: bool
) -> None:
    """Read an entry and write it with a change, as a page does."""
    body: dict[str, Any] = {}
    tag = "absent"
    if name in getattr(office.books.lab, part):
        body, tag = office.rule(part, name)
    wanted = None if changes is None else {**body, **changes}
    office.change_rule(part, name, wanted, tag="0000" if is_stale else tag, by=OLGA,
                       reason="for trying")  # fmt: skip


def _import(office: Office, text: str) -> None:
    rows, faults = read_roster(text)
    plan = plan_import(office.books.lab, rows, remove_others=True)
    assert not faults
    assert not plan.faults, plan.faults
    if not plan.is_empty:
        office.import_roster(plan, by=OLGA, reason="a new list")


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
