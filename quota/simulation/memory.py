"""Books in memory for planning: the same rules as the store's, without a database.

Everything that decides or counts is the real thing (`settle`, `decide`, `place_of`, `advance`,
`Account`); only what `requests`, `desk` and `tick` read and write is kept in dictionaries here. A
test lets both keep the books of one class and compares every wait, charge and lot.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from quota.admission import Admit, Decision, Funds, Refuse, Wait, decide
from quota.allowances import boost_ids, settle
from quota.budgets import wants_pool
from quota.chain import GENESIS
from quota.clock import Clock
from quota.desk import funds
from quota.errors import InsufficientBalance
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.leases import Lease, LeaseRequest, LeaseState, ended, stopping
from quota.ledger import Account
from quota.placement import Ask, GpuUse, occupy, release
from quota.reconcile import Seen, advance
from quota.simulation.holding import Holding
from quota.simulation.keeper import Answer
from quota.simulation.pools import Pools
from quota.simulation.world import HUB_ID, World
from quota.store.reads import waiter_of
from quota.tick import TickResult
from quota.turns import room_of
from quota.waiting import Place, Room, Waiter, next_served, place_of


class MemoryKeeper:
    """Books of one hub in memory."""

    def __init__(self, lab: Lab, clock: Clock, gpus: Iterable[GpuUse]) -> None:
        self._lab = lab
        self.clock = clock
        self.gpus = {gpu.uuid: gpu for gpu in gpus}
        self.holdings: dict[str, Holding] = {}
        self.holders: dict[UUID, Holding] = {}
        self.ends: dict[UUID, Lease] = {}
        self.waiting: dict[UUID, Lease] = {}
        self.starting: set[UUID] = set()
        self.pools = Pools(lab)

    @property
    def lab(self) -> Lab:
        """The rules in force."""
        return self._lab

    # -- asking ----------------------------------------------------------------------------

    def request(self, lease_id: UUID, wanted: LeaseRequest, *, present: bool) -> Answer:
        """Ask for a session; refusals are raised."""
        now = self.clock.now()
        holding = self._settled(wanted.account, now)
        known = self.ends.get(lease_id) or holding.leases.get(lease_id)
        if known is not None and known.state != "waiting":
            return Answer(state=known.state, gpu_uuid=known.gpu_uuid)
        flavor = self._lab.flavors[wanted.flavor]
        lease = known or _new_lease(holding, lease_id, wanted, flavor, now)
        if flavor.is_gpu and self._line(now):
            lease = holding.with_use(lease, self._lab, now)
        place = self._place(holding, lease, now)
        decision = self._decide(holding, lease, flavor, place, present=present, now=now)
        match decision:
            case Refuse(refusal=refusal):
                self._keep(holding, ended(lease, reason="refused", at=now))
                raise refusal
            case Wait(reason=reason, offer=offer):
                lease = lease if place.slot else holding.with_use(lease, self._lab, now)
                return self._wait(holding, lease, reason, offer, now)
            case Admit() as admit:
                yields_at = place.kept.starts_at if place.kept else None
                lease = replace(lease, yields_at=yields_at)
                return self._admit(holding, lease, admit, now)

    def stop(self, lease_id: UUID, reason: str) -> None:
        """Ask for the end of a lease."""
        now = self.clock.now()
        holding = self.holders[lease_id]
        lease = holding.leases.get(lease_id)
        if lease is None:
            return
        if lease.state == "waiting":
            self._keep(holding, ended(lease, reason=reason, at=now))
        elif lease.state in ("held", "active"):
            self._keep(holding, stopping(lease, reason=reason, at=now))

    def state_of(self, lease_id: UUID) -> LeaseState:
        """Tell the state of a lease."""
        lease = self.ends.get(lease_id) or self.holders[lease_id].leases[lease_id]
        return lease.state

    def next_in_line(self, ids: Collection[UUID]) -> UUID | None:
        """Tell who of these gets a slot now if they ask."""
        if len(self.starting) >= self._lab.policy.max_spawning:
            return None
        now = self.clock.now()
        room = self._room(now)
        return next_served(self._line(now), ids, room, now=now)

    def _decide(
        self, holding: Holding, lease: Lease, flavor: Flavor, place: Place, *, present: bool,
        now: datetime,
    ) -> Decision:  # fmt: skip
        gpus = tuple(self.gpus.values()) if flavor.is_gpu else ()
        starting = len(self.starting) if flavor.is_gpu else 0

        def decided() -> Decision:
            return decide(flavor, self._funds(holding, lease, now), gpus, place, present=present,
                          starting=starting, policy=self._lab.policy)  # fmt: skip

        decision = decided()
        is_short = isinstance(decision, Refuse) and isinstance(
            decision.refusal, InsufficientBalance
        )
        if is_short and self._draw(holding, flavor.weight_mgpu, now):
            decision = decided()
        return decision

    def _draw(self, holding: Holding, weight_mgpu: int, now: datetime) -> bool:
        can_pay = self._funds(holding, None, now)
        is_drawn = self.pools.draw(
            holding.account, holding.section, can_pay.available, weight_mgpu, now=now
        )
        holding.note()
        return is_drawn

    def _funds(self, holding: Holding, lease: Lease | None, now: datetime) -> Funds:
        mine = [one for one in holding.leases.values() if lease is None or one.id != lease.id]
        return funds(holding.account, mine, lab=self._lab, section=holding.section, now=now)

    def _room(self, now: datetime) -> Room:
        return room_of(self._lab, tuple(self.gpus.values()), now)

    def _place(self, holding: Holding, lease: Lease, now: datetime) -> Place:
        if lease.gpu_uuid is not None:
            kept = self._room(now).others_time(holding.account.name, lease.gpu_uuid, now)
            return Place(position=1, of=1, slot=self.gpus[lease.gpu_uuid], kept=kept)
        if lease.share_mgpu == 0:
            return Place(position=1, of=1, slot=None)
        line = [waiter for waiter in self._line(now) if waiter.lease_id != lease.id]
        return place_of(waiter_of(lease, holding.account.name), line, self._room(now), now=now)

    def _wait(
        self, holding: Holding, lease: Lease, reason: str, offer: GpuUse | None, now: datetime
    ) -> Answer:
        after = replace(lease, asked_at=now)
        if offer is not None and lease.gpu_uuid is None:
            after = replace(after, gpu_uuid=offer.uuid, offered_at=now)
            self._take(offer.uuid, _ask(after))
        self._keep(holding, after)
        return Answer(state="waiting", gpu_uuid=after.gpu_uuid, wait_reason=reason)

    def _admit(self, holding: Holding, lease: Lease, admit: Admit, now: datetime) -> Answer:
        slot = admit.slot
        if slot is not None and lease.gpu_uuid is None:
            self._take(slot.uuid, _ask(lease))
        holding.account.pend(lease.id, admit.hold, at=now)
        holding.note()
        uuid = slot.uuid if slot else None
        self._keep(holding, replace(lease, state="held", hold=admit.hold, gpu_uuid=uuid,
                                    asked_at=now, held_at=now))  # fmt: skip
        return Answer(state="held", gpu_uuid=uuid)

    # -- the worker ------------------------------------------------------------------------

    def tick(self, world: World, names: Collection[str] | None) -> TickResult:
        """Bring the books of those up to now for whom something has changed."""
        now = self.clock.now()
        seen = {one.lease_id: one for one in world.observe(names) if one.lease_id is not None}
        result = TickResult()
        for name in list(self.holdings) if names is None else names:
            holding = self.holdings.get(name)
            if holding is not None and holding.leases:
                self._advance(holding, Seen(at=now, by_lease=seen), result, now)
        return result

    def _advance(self, holding: Holding, seen: Seen, result: TickResult, now: datetime) -> None:
        self._settle(holding, now)
        running = [one for one in holding.leases.values() if one.is_running]
        weight = sum(lease.weight_mgpu for lease in running)
        if wants_pool(holding.account, running, self._lab, holding.section, now):
            self._draw(holding, weight, now)
        before = list(holding.leases.values())
        ahead = advance(
            holding.account, before, seen, lab=self._lab, section=holding.section, now=now,
            given=holding.lots,
        )  # fmt: skip
        holding.note()
        for lease in ahead.leases:
            self._keep(holding, lease)
        result.stops += ahead.stops
        result.removals += ahead.removals
        ends = [at for at in (result.next_end_at, ahead.ends_at) if at is not None]
        result.next_end_at = min(ends, default=None)

    # -- what is kept ----------------------------------------------------------------------

    def holding(self, name: str) -> Holding:
        """Return a scholar's books, made on first use."""
        found = self.holdings.get(name)
        if found is None:
            number = len(self.holdings) + 1
            account = Account(id=number, hub_id=HUB_ID, kind="scholar", name=name, head=GENESIS)
            found = Holding(account, self._lab.section_of(name))
            self.holdings[name] = found
        return found

    def _settled(self, name: str, now: datetime) -> Holding:
        holding = self.holding(name)
        self._settle(holding, now)
        return holding

    def _settle(self, holding: Holding, now: datetime) -> None:
        account, section = holding.account, holding.section
        wanted = boost_ids(account.id, self._lab, section, account.name, now)
        given = [one for one in wanted if one in holding.lots]
        after = settle(account, list(holding.leases.values()), lab=self._lab, section=section,
                       now=now, given=given)  # fmt: skip
        holding.leases = {lease.id: lease for lease in after}
        holding.note()

    def _keep(self, holding: Holding, lease: Lease) -> None:
        self.holders[lease.id] = holding
        self.waiting.pop(lease.id, None)
        self.starting.discard(lease.id)
        before = holding.leases.get(lease.id)
        if before is not None and before.gpu_uuid is not None and lease.gpu_uuid is None:
            self.gpus[before.gpu_uuid] = release(self.gpus[before.gpu_uuid], _ask(before))
        if lease.state == "ended":
            holding.leases.pop(lease.id, None)
            self.ends[lease.id] = lease
            return
        holding.leases[lease.id] = lease
        if lease.state == "waiting":
            self.waiting[lease.id] = lease
        elif lease.state == "held" and lease.gpu_uuid is not None:
            self.starting.add(lease.id)

    def _take(self, uuid: str, ask: Ask) -> None:
        # Of the GPU as it is: a slot from the line shows it with those ahead already on it.
        self.gpus[uuid] = occupy(self.gpus[uuid], ask)

    def _line(self, now: datetime) -> list[Waiter]:
        since = now - timedelta(seconds=self._lab.policy.waiter_timeout_s)
        return [waiter_of(lease, self.holders[lease.id].account.name)
                for lease in self.waiting.values()
                if lease.gpu_uuid is None and lease.asked_at > since]  # fmt: skip


def _new_lease(
    holding: Holding, lease_id: UUID, wanted: LeaseRequest, flavor: Flavor, now: datetime
) -> Lease:
    return Lease(
        id=lease_id, account_id=holding.account.id, server_name=wanted.server_name,
        flavor=flavor.name, image=wanted.image, state="waiting", weight_mgpu=flavor.weight_mgpu,
        share_mgpu=flavor.share_mgpu, memory_mib=flavor.memory_mib, requested_at=now,
        asked_at=now,
    )  # fmt: skip


def _ask(lease: Lease) -> Ask:
    return Ask(lease.share_mgpu, lease.memory_mib)
