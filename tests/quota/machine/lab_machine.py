"""The machine: everything that people, runtimes, clocks and policy do to the books.

Time passes as the worker would let it: it looks again when somebody's time ends (up to T later),
and what it wants stopped is gone within the grace G.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Engine

from quota import answers
from quota.amount import GpuTime
from quota.audit import By
from quota.clock import ManualClock, to_ms
from quota.desk import open_desk
from quota.errors import InsufficientBalance, Refusal
from quota.invariants import describe
from quota.lab import Lab
from quota.lab_file import parse_lab
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.office import Office
from quota.service import Books
from quota.store import reads
from quota.store.engine import reading, transaction
from quota.tick import TickResult
from quota.views import LeaseView
from tests.quota.books import NOON, gpu
from tests.quota.machine.model import WEEK_MS, Model, Run

LAB_YAML = """
sections:
  grants: {time_zone: UTC, scholars: [ada, blaise], hours_per_week: 3}
  edits: {time_zone: Asia/Kolkata, scholars: [chen, dina], hours_per_week: 2}
flavors:
  cpu: {weight_mgpu: 0}
  quarter: {weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}
  odd: {weight_mgpu: 143, share_mgpu: 142, memory_mib: 2000}
  whole: {weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {docker: "gpulab/base:latest"}
gpus: {mode: declared, declared: [{name: Virtual GPU, memory_mib: 16384, count: 2}]}
policy: {sessions_per_scholar: 2, max_spawning: 3}
"""
KOLKATA_MS = -int(5.5 * 3_600_000)
OVERSPEND_MS = 50_000  # T + G
WHO = st.sampled_from(["ada", "blaise", "chen", "dina"])
FLAVOR = st.sampled_from(["cpu", "quarter", "odd", "whole"])
REASON = st.sampled_from(["person", "spawn_failed", "server_gone", "organizer"])


class LabMachine(RuleBasedStateMachine):
    """One lab from an empty database on."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOON)
        self.lab = parse_lab(LAB_YAML, "lab.yaml")
        self.books = Books(self.engine, self.lab, self.clock)
        self.books.set_inventory([gpu("GPU-0"), gpu("GPU-1")])
        offsets = {"ada": 0, "blaise": 0, "chen": KOLKATA_MS, "dina": KOLKATA_MS}
        hours = {who: self.lab.section_of(who).hours_per_week.mgpu_ms for who in offsets}  # type: ignore[union-attr]
        self.model = Model(hours, offsets)
        self.containers: dict[str, Observed] = {}
        self.asked: dict[UUID, LeaseRequest] = {}
        self.older: tuple[list[Observed], ManualClock] | None = None
        self.result = TickResult()
        self.entries = 0

    # -- people ----------------------------------------------------------------

    @rule(who=WHO, flavor=FLAVOR, server=st.sampled_from(["", "b"]), present=st.booleans())
    def ask(self, who: str, flavor: str, server: str, *, present: bool) -> None:
        wanted = LeaseRequest(hub_id="main", account=who, server_name=server, flavor=flavor,
                              image="base")  # fmt: skip
        self._request(uuid4(), wanted, present=present)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), present=st.booleans())
    def ask_again(self, data: st.DataObject, *, present: bool) -> None:
        lease_id = data.draw(st.sampled_from(list(self.asked)))
        self._request(lease_id, self.asked[lease_id], present=present)

    def _request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> None:
        who, now = wanted.account, to_ms(self.clock.now())
        weight = self.books.lab.flavors[wanted.flavor].weight_mgpu
        with reading(self.engine) as tx:
            known = reads.lease_by_id(tx, lease_id)
        self.model.touch(who, now)
        try:
            view = self.books.request_lease(lease_id, wanted, present=present)
        except InsufficientBalance:
            least = weight * self.books.lab.policy.minimum_start_s * 1000
            assert self._available(who) < least
            return
        except Refusal:
            return
        if view.line is None or view.line.reason != "previous_ending":
            self.asked[lease_id] = wanted
        was_held = known is not None and known.state == "held"
        is_new_hold = view.lease.state == "held" and not was_held
        assert not (is_new_hold and weight) or self._available(who) >= 0, "over-committed"

    def _available(self, who: str) -> int:
        """What the model leaves after the holds that the books show."""
        now, aside = self.clock.now(), GpuTime.ZERO
        for session in self.books.account(who).sessions:
            lease = session.lease
            aside += max(lease.hold - lease.unposted(now), GpuTime.ZERO)
        return self.model.balance(who, to_ms(now)) - aside.mgpu_ms

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), reason=REASON)
    def stop(self, data: st.DataObject, reason: str) -> None:
        lease_id = data.draw(st.sampled_from(list(self.asked)))
        self.model.touch(self.asked[lease_id].account, to_ms(self.clock.now()))
        self.books.stop_lease(lease_id, reason)

    @rule(who=st.sampled_from(["ada", "blaise"]), minutes=st.integers(1, 240))
    def grant(self, who: str, minutes: int) -> None:
        grant_id, amount = uuid4(), GpuTime.parse(f"{minutes} min")
        for _ in range(2):
            Office(self.books).grant(
                grant_id, who, amount, by=By(actor="olga"), reason="for the model"
            )
        self.model.give(who, amount.mgpu_ms, to_ms(self.clock.now()))

    # -- the runtime -----------------------------------------------------------

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        views = [self.books.lease(lease_id) for lease_id in self.asked]
        held = [view for view in views if view.lease.state in ("held", "stopping")
                and f"c-{view.lease.id}" not in self.containers
                and view.lease.started_at is None]  # fmt: skip
        if not held:
            return
        self._start(data.draw(st.sampled_from(held)))

    def _start(self, view: LeaseView) -> None:
        if view.lease.state not in ("held", "stopping"):
            return
        ref = f"c-{view.lease.id}"
        self.containers[ref] = Observed(
            ref=ref, lease_id=view.lease.id, hub_id="main", account=view.account,
            server_name=view.lease.server_name, flavor=view.lease.flavor,
            started_at=self.clock.now(), finished_at=None, exit_code=None,
        )  # fmt: skip

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self._finish(data.draw(st.sampled_from(self.running())))

    def running(self) -> list[str]:
        return [ref for ref, one in self.containers.items() if one.is_running]

    def _finish(self, ref: str) -> None:
        one = self.containers[ref]
        self.containers[ref] = replace(one, finished_at=self.clock.now(), exit_code=0)

    @rule(who=WHO, flavor=FLAVOR, server=st.sampled_from(["", "b"]), seconds=st.integers(0, 7200))
    def work(self, who: str, flavor: str, server: str, seconds: int) -> None:
        """The usual way: ask, start at once, and go on working for a while."""
        lease_id = uuid4()
        wanted = LeaseRequest(hub_id="main", account=who, server_name=server, flavor=flavor,
                              image="base")  # fmt: skip
        self._request(lease_id, wanted, present=True)
        if lease_id in self.asked:
            self._start(self.books.lease(lease_id))
        self._pass(timedelta(seconds=seconds))

    # -- the worker ------------------------------------------------------------

    @rule()
    def tick(self) -> None:
        self._tick(list(self.containers.values()), self.clock)

    @rule()
    def tick_with_everything_twice(self) -> None:
        self._tick(2 * list(self.containers.values()), self.clock)

    @precondition(lambda self: self.older is not None)
    @rule()
    def tick_with_an_older_observation(self) -> None:
        assert self.older is not None
        self._tick(*self.older)

    @precondition(lambda self: self.running() and self._is_far_from_a_week_end())
    @rule(data=st.data())
    def miss_one(self, data: st.DataObject) -> None:
        missed = data.draw(st.sampled_from(self.running()))
        seen = [one for ref, one in self.containers.items() if ref != missed]
        self.clock.advance(timedelta(milliseconds=1))
        self._tick(seen, self.clock)
        self.tick()

    @rule()
    def restart(self) -> None:
        self.books = Books(self.engine, self.books.lab, self.clock)

    def _tick(self, seen: list[Observed], at: ManualClock) -> None:
        now, seen_at = to_ms(self.clock.now()), to_ms(at.now())
        self.older = (seen, ManualClock(at.now()))
        with reading(self.engine) as tx:
            open_leases = reads.all_open_leases(tx, "main")
            busy = [row["name"] for row in reads.account_rows(tx, open_leases)]
        self.result = self.books.tick(seen, seen_at=at.now())
        for one in seen:
            assert one.started_at is not None
            weight = self.lab.flavors[one.flavor].weight_mgpu
            run = Run(one.account, weight, to_ms(one.started_at))
            until = seen_at if one.finished_at is None else to_ms(one.finished_at)
            self.model.see(one.ref, run, until, is_over=one.finished_at is not None)
        for who in busy:
            self.model.touch(who, now)
        self.lab = self.books.lab
        for ref, known in self.model.runs.items():
            if ref in self.containers:
                known.weight = self.lab.flavors[self.containers[ref].flavor].weight_mgpu
        for ref in self.result.removals:
            if ref in self.containers and not self.containers[ref].is_running:
                del self.containers[ref]

    # -- time ------------------------------------------------------------------

    @rule(seconds=st.integers(1, 900))
    def wait_a_little(self, seconds: int) -> None:
        self._pass(timedelta(seconds=seconds))

    @rule(minutes=st.integers(10, 600), lag_s=st.integers(0, 30), grace_s=st.integers(0, 20))
    def wait_long(self, minutes: int, lag_s: int, grace_s: int) -> None:
        self._pass(timedelta(minutes=minutes), lag_s=lag_s, grace_s=grace_s)

    @rule(days=st.integers(1, 9))
    def wait_days(self, days: int) -> None:
        self._pass(timedelta(days=days))

    @precondition(lambda self: self._is_far_from_a_week_end())
    @rule(minutes=st.integers(1, 60))
    def set_the_clock_back_and_right_again(self, minutes: int) -> None:
        self.tick()
        right, figures = self.clock.now(), self._figures()
        self.clock.advance(timedelta(minutes=-minutes))
        self.tick()
        self._laws()
        self.clock.set(right)
        self.tick()
        assert self._figures() == figures, "a clock set back and right again cost somebody"

    def _figures(self) -> dict[str, int]:
        """What people are shown: all that can be used, less what is used and not yet posted."""
        now, found = self.clock.now(), {}
        with reading(self.engine) as tx:
            for who in self.model.hours:
                account, mine = answers._settled(tx, self.books.lab, "main", who, now=now)
                unposted = GpuTime.total(lease.unposted(now) for lease in mine)
                found[who] = (account.usable(now) - unposted).mgpu_ms
        return found

    def _is_far_from_a_week_end(self) -> bool:
        now = to_ms(self.clock.now())
        hours = [(now - offset - 4 * 86_400_000) % WEEK_MS / 3_600_000
                 for offset in self.model.offset_ms.values()]  # fmt: skip
        return all(2 < one < 166 for one in hours)

    def _pass(self, by: timedelta, *, lag_s: int = 0, grace_s: int = 5) -> None:
        self.tick()
        end = self.clock.now() + by
        while self.clock.now() < end:
            at = end
            if self.result.stops:
                at = min(at, self.clock.now() + timedelta(seconds=grace_s))
            elif self.result.next_end_at is not None:
                at = min(at, self.result.next_end_at + timedelta(seconds=lag_s))
            at = max(at, self.clock.now() + timedelta(milliseconds=1))
            refs = [order.ref for order in self.result.stops if order.ref in self.running()]
            self.clock.set(at)
            for ref in refs:
                self._finish(ref)
            self.tick()

    # -- policy ----------------------------------------------------------------

    @rule(minutes=st.sampled_from([0, 1, 30, 60, 120, 300]))
    def change_the_hours(self, minutes: int) -> None:
        self.tick()
        amount = GpuTime.parse(f"{minutes} min")
        edits = self.lab.sections["edits"].model_copy(update={"hours_per_week": amount})
        self.books.lab = _with(self.lab, sections=self.lab.sections | {"edits": edits})
        self.tick()
        for who in edits.scholars:
            # An account learns of new hours when it is next settled; here, at once.
            with transaction(self.engine) as tx:
                open_desk(tx, self.books.lab, "main", who, now=self.clock.now())
            self.model.change_hours(who, amount.mgpu_ms, to_ms(self.clock.now()))

    @rule(flavor=st.sampled_from(["quarter", "odd", "whole"]), weight=st.integers(1, 2000))
    def change_a_weight(self, flavor: str, weight: int) -> None:
        changed = self.lab.flavors[flavor].model_copy(update={"weight_mgpu": weight})
        self.books.lab = _with(self.lab, flavors=self.lab.flavors | {flavor: changed})
        self.tick()

    # -- the laws --------------------------------------------------------------

    @invariant()
    def the_laws_hold(self) -> None:
        self._laws()

    def _laws(self) -> None:
        found = self.books.check()
        assert not found, describe(found)

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        now = to_ms(self.clock.now())
        for who, balance in self._figures().items():
            known = self.model.balance(who, now)
            assert balance == known, (who, balance - known)
            assert known >= -2 * 2000 * OVERSPEND_MS, "more overspent than T + G allows"


def _with(lab: Lab, **parts: object) -> Lab:
    return lab.model_copy(update=parts)
