"""Running a class through the real books, from one thing that happens to the next.

There is no step where nothing can change. A tick that is left out changes no book: what a session
costs is metered from the runtime's own start to its own end, and split where lots end, whenever
that is seen; when hours run out, the last tick has told. So ticks are due where sessions start or
end, where hours run out, at time-outs, and where the rules change by themselves (edges of weeks,
boosts, blackouts). A test compares the books with those of a worker that ticks every 15 s.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random

from quota.clock import ManualClock
from quota.errors import Refusal
from quota.lease_ids import lease_id_of
from quota.simulation.events import Event, EventKind, Queue, Stay
from quota.simulation.keeper import Answer, Keeper
from quota.simulation.people import (
    comes_again,
    container_of,
    next_in_line,
    note_run_out,
    note_wait,
    wanted_by,
)
from quota.simulation.record import Record, WaitEnd
from quota.simulation.visits import Span, Visit, edges
from quota.simulation.world import World
from quota.tick import TickResult

_MS = timedelta(milliseconds=1)
# The hub asks again every two seconds; a lost answer is asked for again after as long.
_ASK_AGAIN = timedelta(seconds=2)
# How long a session takes to go when it has to: within the grace, and never at once.
_GOES_IN = timedelta(seconds=5)
_SHORT_OF_HOURS = ("insufficient_balance",)


class Simulation:
    """One class, one lab, one set of books; `run` takes it from the first week to the last."""

    def __init__(
        self, keeper: Keeper, clock: ManualClock, visits: Iterable[Visit], *, span: Span,
        seed: int = 0, silent_s: int | None = None,
    ) -> None:  # fmt: skip
        self.keeper = keeper
        # Who is in which section when the class begins: what is noted is noted by that.
        self.first_lab = keeper.lab
        self.clock = clock
        self.span = span
        self.world = World()
        self.record = Record()
        self.rng = Random(seed)  # noqa: S311
        self.queue = Queue()
        self.here: dict[str, Stay] = {}
        self.line: list[Stay] = []
        self.dying: set[str] = set()
        self.due_ticks: set[tuple[datetime, frozenset[str] | None]] = set()
        # How long one counts as waiting who has closed the page.
        self.silent = timedelta(seconds=silent_s or keeper.lab.policy.waiter_timeout_s)
        for visit in visits:
            if span.starts_at <= visit.at < span.ends_at:
                self.queue.push(visit.at, Event(kind="arrive", visit=visit))
        for at in edges(keeper.lab, span):
            self.queue.push(at, Event(kind="edge"))

    @property
    def now(self) -> datetime:
        """The simulated instant."""
        return self.clock.now()

    def run(self, after_step: Callable[[Event], None] | None = None) -> Record:
        """Let everything happen, until all sessions are over."""
        while self.queue:
            at, event = self.queue.pop()
            if at >= self.span.ends_at and event.kind in ("arrive", "edge", "organize"):
                continue
            self.clock.set(at)
            self.step(event)
            self.record.steps += 1
            if after_step is not None:
                after_step(event)
        return self.record

    def step(self, event: Event) -> None:
        """Let one thing happen."""
        match event.kind:
            case "arrive":
                assert event.visit is not None
                self._arrive(event.visit)
            case "tick":
                self.due_ticks.discard((self.now, event.names))
                self.tick(event.names)
            case "edge":
                self.tick(None)
                for stay in [one for one in self.line if not one.has_given_up]:
                    self._ask(stay)
            case "organize":
                self.organize(event)
            case _:
                if event.stay is not None and event.stay.state != "over":
                    self._go_on(event.kind, event.stay)

    def organize(self, event: Event) -> None:
        """Do something that organizers and TAs do; nothing here."""

    def started(self, stay: Stay) -> None:
        """Take note of a session that has begun; nothing here."""

    def push(self, kind: EventKind, at: datetime, stay: Stay | None = None) -> None:
        """Plan what happens to a stay, or to the whole lab."""
        self.queue.push(at, Event(kind=kind, stay=stay))

    # -- a scholar -------------------------------------------------------------------------

    def _arrive(self, visit: Visit) -> None:
        if visit.scholar in self.here:
            return
        lease_id = lease_id_of(self.now, self.rng.getrandbits(80))
        self.here[visit.scholar] = stay = Stay(visit=visit, lease_id=lease_id, came_at=self.now)
        self.push("give_up", self.now + visit.patience_ms * _MS, stay)
        self._ask(stay)

    def _go_on(self, kind: EventKind, stay: Stay) -> None:
        steps = {
            "ask": self._ask_while_waiting,
            "give_up": self._give_up,
            "left": self._left,
            "start": self._start,
            "leave": self._leave,
            "finish": self._finish,
        }
        steps[kind](stay)

    def _finish(self, stay: Stay) -> None:
        self.world.finish(stay.ref, self.now)
        self.tick(stay.names)

    def _ask(self, stay: Stay) -> None:
        wanted = wanted_by(stay, self.keeper.lab)
        is_present = stay.back_at is None or self.now >= stay.back_at
        try:
            answer = self.keeper.request(stay.lease_id, wanted, present=is_present)
        except Refusal as refusal:
            self._refused(stay, refusal.code)
            return
        match answer.state:
            case "waiting":
                self._wait(stay, answer)
            case "held":
                self._admitted(stay, answer)
            case "ended":
                self._over(stay, "missed_turn")
            case _:
                pass

    def _wait(self, stay: Stay, answer: Answer) -> None:
        if answer.wait_reason == "previous_ending":
            self.push("ask", self.now + _ASK_AGAIN, stay)
            return
        if stay.state == "asking":
            stay.state = "waiting"
            self.line.append(stay)
            self._keep_place(stay)
        if answer.gpu_uuid is not None and not stay.has_offer:
            stay.has_offer = True
            offer = timedelta(seconds=self.keeper.lab.policy.offer_s)
            self.plan_tick(self.now + offer, stay.names)
            if stay.back_at is not None and stay.back_at < self.now + offer:
                self.push("ask", stay.back_at, stay)

    def _keep_place(self, stay: Stay) -> None:
        """Ask before the silence is too long: what the hub does every two seconds."""
        half = timedelta(seconds=self.keeper.lab.policy.waiter_timeout_s) / 2
        self.push("ask", self.now + half, stay)

    def _ask_while_waiting(self, stay: Stay) -> None:
        if stay.has_given_up or stay.state not in ("asking", "waiting"):
            return
        was_waiting = stay.state == "waiting"
        self._ask(stay)
        if was_waiting and stay.state == "waiting" and not stay.has_offer:
            self._keep_place(stay)

    def _admitted(self, stay: Stay, answer: Answer) -> None:
        if stay.state not in ("asking", "waiting"):
            return
        self.line = [one for one in self.line if one is not stay]
        note_wait(self.record, self.first_lab, stay, "started", now=self.now)
        stay.state, stay.gpu_uuid = "held", answer.gpu_uuid
        if stay.visit.fate != "never_starts":
            self.push("start", self.now + stay.visit.starts_in_ms * _MS, stay)
            return
        out = self.now + timedelta(seconds=self.keeper.lab.policy.spawn_timeout_s)
        self.plan_tick(out, stay.names)
        self.plan_tick(out + _GOES_IN, stay.names)

    def _refused(self, stay: Stay, code: str) -> None:
        if code in _SHORT_OF_HOURS:
            note_run_out(self.record, self.first_lab, stay, now=self.now)
        self._over(stay, "refused", code)

    def _give_up(self, stay: Stay) -> None:
        """Close the page; the place in the line is kept until the silence is noticed."""
        if stay.state not in ("asking", "waiting"):
            return
        self._ask(stay)
        if stay.state in ("asking", "waiting"):
            stay.has_given_up = True
            self.push("left", self.now + self.silent, stay)

    def _left(self, stay: Stay) -> None:
        if stay.state == "waiting":
            self.keeper.stop(stay.lease_id, "left_line")
        self._over(stay, "missed_turn" if stay.has_offer else "gave_up")
        self.move_line()

    def _start(self, stay: Stay) -> None:
        self.world.start(container_of(stay, self.now))
        stay.state = "running"
        self.push("leave", self.now + stay.visit.stays_ms * _MS, stay)
        self.started(stay)
        self.tick(stay.names)

    def _leave(self, stay: Stay) -> None:
        if self.world.is_running(stay.ref) and stay.ref not in self.dying:
            goes_in = self.leaving(stay)
            self.dying.add(stay.ref)
            self.push("finish", self.now + goes_in, stay)

    def leaving(self, _stay: Stay) -> timedelta:
        """Tell the books, where that is simulated; return how long the session takes to go."""
        return timedelta(0)

    # -- the end of a stay -----------------------------------------------------------------

    def _over(self, stay: Stay, ended: WaitEnd | None, code: str = "") -> None:
        if ended is not None:
            note_wait(self.record, self.first_lab, stay, ended, code, now=self.now)
            again = comes_again(stay, ended, now=self.now)
            if again is not None:
                self.queue.push(again.at, Event(kind="arrive", visit=again))
        self.line = [one for one in self.line if one is not stay]
        self.dying.discard(stay.ref)
        stay.state = "over"
        if self.here.get(stay.visit.scholar) is stay:
            del self.here[stay.visit.scholar]

    # -- the worker ------------------------------------------------------------------------

    def plan_tick(self, at: datetime, names: frozenset[str] | None) -> None:
        """Let the worker look at an instant, once."""
        if (at, names) not in self.due_ticks:
            self.due_ticks.add((at, names))
            self.queue.push(at, Event(kind="tick", names=names))

    def tick(self, names: frozenset[str] | None) -> None:
        """Let the worker look at all, or at those for whom something has changed."""
        self.record.ticks += 1
        self.take_up(self.keeper.tick(self.world, names), names)

    def take_up(self, result: TickResult, names: frozenset[str] | None) -> None:
        """Do what a tick says, and see who is over and who comes next."""
        for order in result.stops:
            stay = self.here.get(order.account)
            if order.ref in self.dying or stay is None or stay.ref != order.ref:
                continue
            self.dying.add(order.ref)
            if order.reason == "exhausted":
                note_run_out(self.record, self.first_lab, stay, now=self.now)
            self.push("finish", self.now + _GOES_IN, stay)
        for ref in result.removals:
            self.world.remove(ref)
        self._see_ends(names)
        if result.next_end_at is not None and result.next_end_at > self.now:
            self.plan_tick(result.next_end_at, names)
        self.move_line()

    def _see_ends(self, names: frozenset[str] | None) -> None:
        for scholar in list(self.here) if names is None else names:
            stay = self.here.get(scholar)
            if stay is None or stay.state == "asking":
                continue
            if stay.state == "running":
                if stay.ref not in self.world.containers:
                    self._over(stay, None)
            elif self.keeper.state_of(stay.lease_id) == "ended":
                self._over(stay, "missed_turn" if stay.state == "waiting" else None)

    # -- the line --------------------------------------------------------------------------

    def move_line(self) -> None:
        """Let those ask whose turn it is. The others would hear what they know: wait."""
        while (stay := next_in_line(self.keeper, self.line)) is not None:
            if stay.back_at is None and stay.visit.away_ms:
                stay.back_at = self.now + stay.visit.away_ms * _MS
            self._ask(stay)
            if stay in self.line and not stay.has_offer:
                return
