"""An account's books in memory: lots, holds, charges. Pure; `quota.store` loads and saves them.

Every change is made by an `Entry`; entries are never changed. An entry moves `posted` (what the
account owns) or `held` (what is set aside), and may name the lot it moves. So these hold always:

    account.posted = sum(entry.posted) = sum(lot.remaining) - debt
    account.held   = sum(entry.held)   = sum(lease.hold over open leases)
    lot.remaining  = sum(entry.posted over the entries of that lot)
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal
from uuid import UUID, uuid5

from quota.amount import GpuTime
from quota.chain import GENESIS, entry_hash
from quota.clock import ms_between, to_ms

ZERO = GpuTime(0)

EntryKind = Literal[
    "give", "adjust", "expiry", "hold", "void", "charge", "repay", "draw", "return"
]
LotSource = Literal[
    "allowance", "boost", "roll_over", "absence", "grant", "ta_grant", "request", "refund",
    "pool", "help",
]  # fmt: skip
AccountKind = Literal["scholar", "pool", "help", "ta"]

# Help pays all of the time for which it was given, a pool only what nothing else does.
_RANKS = {"help": 0, "pool": 2}


def drawing_rank(source: str) -> int:
    """Return which lots are used up first, whatever their ends: a lower rank before a higher."""
    return _RANKS.get(source, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. `hash` covers it and the line before."""

    seq: int
    transfer_id: UUID
    part: int
    kind: EntryKind
    posted: GpuTime
    held: GpuTime
    lot_id: UUID | None
    lease_id: UUID | None
    from_at: datetime | None
    until_at: datetime | None
    author: str
    reason: str
    at: datetime
    hash: bytes = b""


@dataclass(slots=True, kw_only=True)
class Lot:
    """GPU time that can be used within [starts_at, ends_at)."""

    id: UUID
    source: LotSource
    amount: GpuTime
    remaining: GpuTime
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    closed_at: datetime | None = None

    def is_usable(self, at: datetime) -> bool:
        """Tell whether time spent at this instant can be drawn from the lot."""
        return self.starts_at <= at < self.ends_at


@dataclass(slots=True, kw_only=True)
class Account:
    """One holder of GPU time, with its open lots, and the entries made since it was loaded."""

    id: int
    hub_id: str
    kind: str
    name: str
    posted: GpuTime = ZERO
    held: GpuTime = ZERO
    debt: GpuTime = ZERO
    seq: int = 0
    head: bytes = GENESIS
    allowance_from: datetime | None = None
    lots: list[Lot] = field(default_factory=list)
    new_entries: list[Entry] = field(default_factory=list)
    new_lots: list[Lot] = field(default_factory=list)
    changed_lots: dict[UUID, Lot] = field(default_factory=dict)

    # -- reading ---------------------------------------------------------------------------

    def usable(self, at: datetime) -> GpuTime:
        """Sum what the lots hold that can be used at this instant, less the debt."""
        return GpuTime.total(lot.remaining for lot in self.lots if lot.is_usable(at)) - self.debt

    def available(self, at: datetime) -> GpuTime:
        """Tell what a new hold could be placed on: usable time less what is held."""
        return self.usable(at) - self.held

    # -- giving and taking back ------------------------------------------------------------

    def give(self, lot: Lot, *, at: datetime) -> None:
        """Add a new lot; a debt is paid from it as soon as it can be used."""
        assert not lot.remaining, "the entry fills the lot"
        self.lots.append(lot)
        self.new_lots.append(lot)
        self._write("give", lot.id, posted=lot.amount, lot=lot, author=lot.author, at=at,
                    reason=lot.reason)  # fmt: skip
        self.repay(at=at)

    def adjust(self, lot: Lot, amount: GpuTime, *, author: str, reason: str, at: datetime) -> None:
        """Set a lot to another amount; what is used already is not taken back."""
        change = max(amount - lot.amount, -lot.remaining)
        if not change:
            return
        lot.amount += change
        lot.closed_at = None
        transfer_id = uuid5(lot.id, f"adjust:{self.seq}")
        self._write("adjust", transfer_id, posted=change, lot=lot, author=author, reason=reason,
                    at=at)  # fmt: skip
        if lot not in self.lots:
            self.lots.append(lot)

    def reschedule(self, lot: Lot, ends_at: datetime, *, reason: str, at: datetime) -> None:
        """Let a lot end at another instant; the entry says so, no amount moves."""
        assert ends_at > lot.starts_at
        if ends_at == lot.ends_at:
            return
        lot.ends_at = ends_at
        transfer_id = uuid5(lot.id, f"adjust:{self.seq}")
        self._write("adjust", transfer_id, lot=lot, author="lab.yaml", reason=reason, at=at)

    # -- between accounts: what one gives another gets, under one transfer id -----------------

    def receive(
        self, lot: Lot, amount: GpuTime, transfer_id: UUID, *, author: str, reason: str,
        at: datetime,
    ) -> None:  # fmt: skip
        """Take over an amount that another account has given away for this lot."""
        assert amount > ZERO
        if lot not in self.lots:
            assert not lot.remaining, "the entry fills the lot"
            self.lots.append(lot)
            self.new_lots.append(lot)
            lot.amount = ZERO
        lot.amount += amount
        self._write("draw", transfer_id, posted=amount, lot=lot, author=author, reason=reason,
                    at=at)  # fmt: skip

    def give_away(
        self, amount: GpuTime, transfer_id: UUID, *, author: str, reason: str, at: datetime
    ) -> None:
        """Give an amount to another account; the caller has checked that it is available."""
        assert ZERO < amount <= self.available(at)
        left = amount
        for part, lot in enumerate(self._in_drawing_order(at), start=1):
            drawn = min(left, lot.remaining)
            if drawn:
                self._write("draw", transfer_id, part=part, posted=-drawn, lot=lot, author=author,
                            reason=reason, at=at)  # fmt: skip
                left -= drawn
        assert not left, "what is available is in the lots"

    def hand_back(
        self, lot: Lot, amount: GpuTime, transfer_id: UUID, *, reason: str, at: datetime
    ) -> None:
        """Give back what another account filled a lot with and was not used."""
        self._write("return", transfer_id, posted=-amount, lot=lot, reason=reason, at=at)

    def take_back(self, amount: GpuTime, transfer_id: UUID, *, reason: str, at: datetime) -> None:
        """Put back what another account did not use; the caller knows that a lot is open."""
        last = self._in_drawing_order(at)[-1]
        self._write("return", transfer_id, part=1, posted=amount, lot=last, reason=reason, at=at)

    def expire(self, lot: Lot, *, at: datetime) -> None:
        """Close a lot whose time is over; what is left of it lapses."""
        if lot.remaining:
            self._write("expiry", uuid5(lot.id, "expiry"), posted=-lot.remaining, lot=lot,
                        author="gpulab", reason="not used in time", at=at)  # fmt: skip
        self._close(lot, at)

    def repay(self, *, at: datetime, usable_at: datetime | None = None) -> None:
        """Pay a debt, never forgiven, from what can be used now, or could be in a missed week."""
        for lot in self._in_drawing_order(usable_at or at):
            paid = min(self.debt, lot.remaining)
            if not paid:
                continue
            transfer_id = uuid5(lot.id, f"repay:{self.seq}")
            self._write("repay", transfer_id, posted=-paid, lot=lot, author="gpulab",
                        reason="debt of earlier use", at=at)  # fmt: skip
            self._write("repay", transfer_id, part=1, posted=paid, author="gpulab",
                        reason="debt of earlier use", at=at)  # fmt: skip

    # -- holds and charges -----------------------------------------------------------------

    def pend(self, lease_id: UUID, amount: GpuTime, *, at: datetime) -> None:
        """Set time aside for a lease. The caller has checked that it is available."""
        assert amount >= ZERO
        if amount:
            transfer_id = uuid5(lease_id, f"hold:{self.seq}")
            self._write("hold", transfer_id, held=amount, lease_id=lease_id, at=at)

    def void(self, lease_id: UUID, amount: GpuTime, *, at: datetime) -> None:
        """Give held time back."""
        assert amount >= ZERO
        if amount:
            transfer_id = uuid5(lease_id, f"void:{self.seq}")
            self._write("void", transfer_id, held=-amount, lease_id=lease_id, at=at)

    def charge(
        self, lease_id: UUID, *, weight_mgpu: int, start: datetime, until: datetime,
        from_hold: GpuTime, at: datetime,
    ) -> GpuTime:  # fmt: skip
        """Post the use of [start, until) and return what of the hold it consumed.

        The interval is split where lots begin or end, so that a session across the end of a week
        draws each week's part from that week. What no lot covers becomes debt.
        """
        consumed = ZERO
        for piece_start, piece_end in self._pieces(start, until):
            cost = GpuTime.of(weight_mgpu, ms_between(piece_start, piece_end))
            released = min(cost, from_hold - consumed)
            consumed += released
            self._draw(lease_id, cost, released, piece_start, piece_end, at=at)
        return consumed

    def _draw(
        self, lease_id: UUID, cost: GpuTime, released: GpuTime, start: datetime, until: datetime,
        *, at: datetime,
    ) -> None:  # fmt: skip
        transfer_id = uuid5(lease_id, f"charge:{to_ms(start)}")
        draws: list[tuple[Lot | None, GpuTime]] = []
        left = cost
        for lot in self._in_drawing_order(start):
            drawn = min(left, lot.remaining)
            if drawn:
                draws.append((lot, drawn))
                left -= drawn
        if left:
            draws.append((None, left))
        for part, (source, drawn) in enumerate(draws):
            self._write("charge", transfer_id, part=part, posted=-drawn,
                        held=-released if part == 0 else ZERO, lot=source, lease_id=lease_id,
                        span=(start, until), at=at)  # fmt: skip

    def _pieces(self, start: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        edges = {edge for lot in self.lots for edge in (lot.starts_at, lot.ends_at)}
        cuts = [start, *sorted(edge for edge in edges if start < edge < until), until]
        return [(a, b) for a, b in pairwise(cuts) if a < b]

    def _in_drawing_order(self, at: datetime) -> list[Lot]:
        """What ends first is used first, so that as little as possible lapses."""
        usable = [lot for lot in self.lots if lot.is_usable(at)]
        return sorted(usable, key=lambda lot: (drawing_rank(lot.source), lot.ends_at, lot.id))

    # -- the only writer of entries --------------------------------------------------------

    def _write(
        self, kind: EntryKind, transfer_id: UUID, *, at: datetime, part: int = 0,
        posted: GpuTime = ZERO, held: GpuTime = ZERO, lot: Lot | None = None,
        lease_id: UUID | None = None, span: tuple[datetime, datetime] | None = None,
        author: str = "gpulab", reason: str = "",
    ) -> None:  # fmt: skip
        self.posted += posted
        self.held += held
        if lot is not None:
            lot.remaining += posted
            self.changed_lots[lot.id] = lot
        else:
            self.debt -= posted
        assert self.held >= ZERO, "holds never go below nothing"
        assert lot is None or lot.remaining >= ZERO, "a lot is never overdrawn"
        bare = Entry(
            seq=self.seq + 1, transfer_id=transfer_id, part=part, kind=kind, posted=posted,
            held=held, lot_id=lot.id if lot else None, lease_id=lease_id,
            from_at=span[0] if span else None, until_at=span[1] if span else None,
            author=author, reason=reason, at=at,
        )  # fmt: skip
        self._append(bare)

    def _append(self, bare: Entry) -> None:
        self.head = entry_hash(self.id, bare, self.head)
        self.seq = bare.seq
        fields = {name: getattr(bare, name) for name in Entry.__slots__ if name != "hash"}
        self.new_entries.append(Entry(**fields, hash=self.head))

    def _close(self, lot: Lot, at: datetime) -> None:
        lot.closed_at = at
        self.changed_lots[lot.id] = lot
        self.lots.remove(lot)
