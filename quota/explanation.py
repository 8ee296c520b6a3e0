"""Why somebody has this many hours: lines that sum to the balance. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quota.amount import GpuTime
from quota.ledger import Lot
from quota.store.usage import LotUse

_TEXTS = {
    "give": "",
    "draw": "",
    "adjust": "changed afterwards: ",
    "charge": "used by sessions, from ",
    "repay": "debt of earlier use, paid from ",
    "return": "given back, of ",
    "expiry": "not used in time, of ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One reason for a part of the balance."""

    kind: str
    text: str
    amount: GpuTime
    author: str
    lot_id: UUID | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A balance and the lines that sum to it."""

    account: str
    balance: GpuTime
    held: GpuTime
    available: GpuTime
    lines: tuple[BalanceLine, ...]


def explain(
    lots: Iterable[Lot], uses: Sequence[LotUse], *, debt: GpuTime, unposted: GpuTime,
    now: datetime,
) -> tuple[BalanceLine, ...]:  # fmt: skip
    """Return one line for each thing that gave or took GPU time which counts now."""
    lines: list[BalanceLine] = []
    for lot in sorted(lots, key=lambda lot: (lot.ends_at, lot.starts_at, lot.id)):
        if lot.is_usable(now):
            lines += _lot_lines(lot, [one for one in uses if one.lot_id == lot.id])
    if unposted:
        lines.append(_line("running", "used by running sessions, not posted yet", -unposted))
    if debt:
        lines.append(_line("debt", "debt of earlier use", -debt))
    return tuple(lines)


def _lot_lines(lot: Lot, uses: Sequence[LotUse]) -> Iterable[BalanceLine]:
    written = GpuTime.total(one.amount for one in uses)
    # What settling gave in memory only, since looking writes nothing.
    ahead = lot.remaining - written
    by_kind = {one.kind: one.amount for one in uses}
    by_kind["give"] = by_kind.get("give", GpuTime.ZERO) + ahead
    for kind, prefix in _TEXTS.items():
        amount = by_kind.get(kind, GpuTime.ZERO)
        if amount:
            yield BalanceLine(
                kind=lot.source if kind in ("give", "draw") else kind,
                text=f"{prefix}{lot.reason}", amount=amount, author=lot.author, lot_id=lot.id,
                ends_at=lot.ends_at,
            )  # fmt: skip


def _line(kind: str, text: str, amount: GpuTime) -> BalanceLine:
    return BalanceLine(kind=kind, text=text, amount=amount, author="gpulab", lot_id=None,
                       ends_at=None)  # fmt: skip
