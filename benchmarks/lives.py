"""What many scholars did in many weeks: entries, lots and leases, composed fast.

Some lives are lived by the books' own code: weeks settled, holds placed, charges drawn. Each
account then gets one of them under ids of its own and with its own hash chain, which is all in
which the books of two people who did the same differ. The check of all books would find what is
wrong.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from quota.allowances import settle
from quota.amount import GpuTime
from quota.chain import GENESIS, digest_of
from quota.clock import to_ms
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account, Lot
from quota.posting import post_use, set_hold

LIVES = 40
GPUS = 10
_WEEK = timedelta(days=7)
_STEP = timedelta(minutes=10)
# A hold step is a hold and a charge; a week ends two lots and gives two.
_ENTRIES_PER_STEP = 2
_ENTRIES_PER_WEEK = 4
# One in twenty people is there when the week ends.
_RUNNING = LIVES // 20
# Where an id says which kind of UUID it is.
_KIND_BITS = 0xF << 76 | 0x3 << 62
# Transfers get ids that begin with the account: an index of millions that come in no order takes
# as long to write as all the rest. Nothing that is measured here looks for transfers.
_PLACE_BITS = 96
_PLACE = (1 << _PLACE_BITS) - 1

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Life:
    """What somebody did: plain rows, ids as numbers; those of entries as `digest_of` has them."""

    account: Account
    entries: tuple[Row, ...]
    lots: tuple[dict[str, Any], ...]
    leases: tuple[dict[str, Any], ...]


def lives(lab: Lab, *, weeks: int, entries: int, now: datetime) -> list[Life]:
    """Live some lives of about so many entries each, up to now."""
    steps_per_week = max(1.0, (entries / weeks - _ENTRIES_PER_WEEK) / _ENTRIES_PER_STEP)
    return [_life(lab, number, weeks, steps_per_week, now) for number in range(LIVES)]


def _life(lab: Lab, number: int, weeks: int, steps_per_week: float, now: datetime) -> Life:
    account = Account(id=number + 1, hub_id="main", kind="scholar", name=f"s{number}")
    section = lab.section_of(account.name)
    leases, done = [], 0
    for week in range(weeks):
        monday = now - (weeks - week) * _WEEK
        settle(account, [], lab=lab, section=section, now=monday)
        # Some weeks nothing, some twice as much, each week by another part of the people.
        busy = (week + number) % 3
        wanted = round(steps_per_week * (week + 1 + (busy - 1) / 2)) - done
        if week == weeks - 1 and number < _RUNNING:
            leases.append(_session(account, now - max(wanted, 1) * _STEP, max(wanted, 1), now))
        elif wanted > 0:
            begin = monday + timedelta(days=1, hours=number % 12)
            leases.append(_over(_session(account, begin, wanted, None)))
            done += wanted
    return Life(
        account, tuple(_rows(account)), tuple(_fields(lot) for lot in account.new_lots),
        tuple(_fields(lease) for lease in leases),
    )  # fmt: skip


def _session(account: Account, begin: datetime, steps: int, seen: datetime | None) -> Lease:
    """Use some hold steps; one that is seen at an instant goes on, with a part not posted."""
    lease = Lease(
        id=uuid4(), account_id=account.id, server_name="", flavor="gpu", image="base",
        state="active", weight_mgpu=100, share_mgpu=1, memory_mib=1, requested_at=begin,
        asked_at=begin, held_at=begin, started_at=begin, charged_until=begin,
        observed_until=begin, ref=uuid4().hex,
    )  # fmt: skip
    cost = GpuTime.of(lease.weight_mgpu, _STEP // timedelta(milliseconds=1))
    at = begin
    for _ in range(steps if seen is None else steps - 1):
        lease, at = set_hold(account, lease, cost, at=at), at + _STEP
        lease = post_use(account, lease, at, at=at)
    if seen is None:
        return lease
    return replace(set_hold(account, lease, cost, at=at), observed_until=seen)


def _over(lease: Lease) -> Lease:
    ended_at = lease.charged_until
    return replace(lease, state="ended", ended_at=ended_at, observed_until=ended_at,
                   end_reason="person")  # fmt: skip


def _rows(account: Account) -> Iterator[Row]:
    for one in account.new_entries:
        yield (
            one.seq, one.part, one.posted.mgpu_ms, one.held.mgpu_ms, _ms(one.from_at),
            _ms(one.until_at), to_ms(one.at), one.transfer_id.int,
            one.lot_id and one.lot_id.int, one.lease_id and one.lease_id.int, one.kind,
            one.author, one.reason,
        )  # fmt: skip


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)


def _fields(one: Lot | Lease) -> dict[str, Any]:
    return {name: _plain(getattr(one, name)) for name in one.__slots__}


def _plain(value: object) -> object:
    """Return what the database has of a value; an id as a number."""
    if isinstance(value, GpuTime):
        return value.mgpu_ms
    if isinstance(value, datetime):
        return to_ms(value)
    return value.int if isinstance(value, UUID) else value


# -- the same for another person --------------------------------------------------------------


class Person:
    """One account that has lived a life, with ids and a chain of its own."""

    def __init__(self, number: int, life: Life) -> None:
        self.id = number + 1
        self.life = life
        self.gpu_uuid = f"GPU-{number // LIVES % GPUS}"
        self._mask = secrets.randbits(128) & ~_KIND_BITS
        self._head = GENESIS

    def lots(self) -> Iterator[dict[str, Any]]:
        """Yield rows for the table."""
        for one in self.life.lots:
            yield one | {"id": self._own(one["id"]), "account_id": self.id}

    def leases(self) -> Iterator[dict[str, Any]]:
        """Yield rows for the table; running ones have a slot on one of the GPUs."""
        for one in self.life.leases:
            gpu_uuid = None if one["state"] == "ended" else self.gpu_uuid
            yield one | {"id": self._own(one["id"]), "account_id": self.id, "gpu_uuid": gpu_uuid,
                         "ref": self._own(one["id"]).hex()}  # fmt: skip

    def entries(self) -> Iterator[Row]:
        """Yield rows as `digest_of` takes them, with the hash at the end."""
        head, mine_only = GENESIS, self.id << _PLACE_BITS
        own: dict[int | None, bytes | None] = {None: None}
        for row in self.life.entries:
            for one in row[8:10]:
                if one not in own:
                    own[one] = self._own(one)
            transfer_id = (row[7] & _PLACE | mine_only).to_bytes(16)
            mine = (*row[:7], transfer_id, own[row[8]], own[row[9]], *row[10:])
            head = digest_of(head, self.id, mine)
            yield (*mine, head)
        self._head = head

    def account(self) -> dict[str, Any]:
        """Return the row for the table; the head is known when the entries have been yielded."""
        one = self.life.account
        return {
            "id": self.id, "hub_id": one.hub_id, "kind": one.kind, "name": f"s{self.id - 1}",
            "posted": one.posted.mgpu_ms, "held": one.held.mgpu_ms, "debt": one.debt.mgpu_ms,
            "seq": one.seq, "head": self._head, "allowance_from": _ms(one.allowance_from),
        }  # fmt: skip

    def _own(self, one: int) -> bytes:
        return (one ^ self._mask).to_bytes(16)
