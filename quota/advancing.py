"""Advancing accounts under their locks where more happened than that sessions are still running.

Many at once share a transaction, since each commit costs a round trip to the disk. One that a
pool or help budget pays goes alone: whoever locks a budget holds no other scholar's account. If
an account of a group cannot be advanced, all of the group are advanced alone, so that one broken
account never holds up the rest.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from quota.allowances import boost_ids
from quota.amount import GpuTime
from quota.attaching import keep_helping
from quota.attachments import Attachment
from quota.budgets import (
    draw_from_pool,
    pool_left,
    pool_share,
    return_help,
    wants_help,
    wants_pool,
)
from quota.desk import open_desk
from quota.errors import BooksUnavailable
from quota.lab import Lab
from quota.leases import Lease, stopping
from quota.ledger import Account
from quota.news import news_of_advance
from quota.outbox import tell
from quota.reconcile import Advance, Notice, Seen, advance
from quota.store import reads, writes
from quota.store.engine import transaction
from quota.tallies import tallies_of
from quota.wording import lost_text

# Few enough that nobody waits long for one of the accounts.
_TOGETHER = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a tick knows: rules, what was seen, what is left in the pools, which GPUs are lost."""

    lab: Lab
    seen: Seen
    now: datetime
    pools: Mapping[str, GpuTime]
    lost: Collection[str] = ()


def advance_one(
    account: Account, leases: list[Lease], step: Step, *, given: Collection[UUID],
    pool_holds: GpuTime | None = None,
) -> Advance:  # fmt: skip
    """Bring one account and its open leases up to what was seen, in memory."""
    section = step.lab.section_of(account.name)
    if pool_holds is None:
        pool_holds = step.pools.get(section.name, GpuTime.ZERO) if section else GpuTime.ZERO
    pool = pool_share(step.lab, section, account, pool_holds, step.now)
    hit = [one for one in leases if one.state == "active" and one.gpu_uuid in step.lost]
    leases = [stopping(one, reason="gpu_lost", at=step.now) if one in hit else one
              for one in leases]  # fmt: skip
    ahead = advance(
        account, leases, step.seen, lab=step.lab, section=section, now=step.now, given=given,
        pool=pool,
    )  # fmt: skip
    ahead.notices += [
        Notice(account_id=account.id, lease_id=one.id, kind="stopped", text=lost_text(one),
               at=step.now) for one in hit
    ]  # fmt: skip
    return ahead


def is_paid_by_others(
    account: Account, leases: list[Lease], attachment: Attachment | None, step: Step
) -> bool:
    """Tell whether a pool or help budget has to be asked before this account goes on."""
    section = step.lab.section_of(account.name)
    return wants_help(account, leases, attachment, step.lab, step.now) or wants_pool(
        account, leases, step.lab, section, step.now
    )


def advance_locked(
    engine: Engine, accounts: Sequence[Account], step: Step, helped: Mapping[int, Attachment]
) -> Iterator[Advance]:
    """Advance accounts, given in the order of their ids; what is broken is raised at the end."""
    broken: Exception | None = None
    for start in range(0, len(accounts), _TOGETHER):
        group = accounts[start : start + _TOGETHER]
        try:
            done, left = _advance_together(engine, group, step, helped)
        except BooksUnavailable:
            raise
        except Exception:  # noqa: BLE001 - which one it is shows when each goes alone
            done, left = [], list(group)
        yield from done
        for account in left:
            try:
                yield _advance_alone(engine, account, step, helped.get(account.id))
            except BooksUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - raised below, after everybody had a turn
                broken = broken or error
    if broken is not None:
        raise broken


# -- many in one transaction ---------------------------------------------------------------------


def _advance_together(
    engine: Engine, accounts: Sequence[Account], step: Step, helped: Mapping[int, Attachment]
) -> tuple[list[Advance], list[Account]]:
    """Advance those that pay for themselves; return what was done, and who has to go alone."""
    lab, now = step.lab, step.now
    done: list[tuple[Account, list[Lease], Advance]] = []
    left: list[Account] = []
    with transaction(engine, step="tick_advances") as tx:
        ids = [one.id for one in accounts]
        rows = reads.account_rows(tx, ids, lock=True)
        lots, leases = reads.open_lots(tx, ids), reads.open_leases_of(tx, ids)
        given = boosts_given(tx, rows, lab, now)
        for row in rows:
            account, before = reads.account_of(row, lots[row["id"]]), leases[row["id"]]
            ahead = advance_one(account, before, step, given=given)
            if account.id in helped or _others_may_pay(account, ahead, step):
                left.append(account)  # nothing of this is saved
            else:
                done.append((account, before, ahead))
        news = [one for account, _, ahead in done
                for one in news_of_advance(account, ahead, lab, now)]  # fmt: skip
        writes.save_accounts(tx, [account for account, _, _ in done])
        changes = [pair for _, before, ahead in done
                   for pair in zip(before, ahead.leases, strict=True)]  # fmt: skip
        writes.update_leases(tx, changes)
        writes.save_notices(tx, [one for _, _, ahead in done for one in ahead.notices])
        tell(tx, lab, accounts[0].hub_id, news)
        _count(tx, changes)
    return [ahead for _, _, ahead in done], left


def _others_may_pay(account: Account, ahead: Advance, step: Step) -> bool:
    section = step.lab.section_of(account.name)
    # Before a session is stopped the pool itself is asked: what the tick knows of it may be old.
    has_pool = section is not None and section.pool is not None
    return (has_pool and bool(ahead.stops)) or is_paid_by_others(account, ahead.leases, None, step)


def boosts_given(
    tx: Connection, rows: Sequence[RowMapping], lab: Lab, now: datetime
) -> Collection[UUID]:
    """Look up for many accounts at once which of the present boosts they have had."""
    if not lab.due_dates:
        return ()
    wanted = [
        lot_id
        for row in rows
        for lot_id in boost_ids(row["id"], lab, lab.section_of(row["name"]), row["name"], now)
    ]
    return reads.existing_lots(tx, wanted)


# -- one alone ---------------------------------------------------------------------------------


def _advance_alone(
    engine: Engine, account: Account, step: Step, attachment: Attachment | None
) -> Advance:
    lab, now = step.lab, step.now
    with transaction(engine, step="tick_advances_alone") as tx:
        desk = open_desk(tx, lab, account.hub_id, account.name, now=now)
        if attachment is not None:
            keep_helping(desk, attachment.id)
        if wants_pool(desk.account, desk.leases, lab, desk.section, now):
            draw_from_pool(desk, sum(one.weight_mgpu for one in desk.leases if one.is_running))
        given = reads.existing_lots(
            tx, boost_ids(account.id, lab, desk.section, account.name, now)
        )
        left = pool_left(tx, lab, account.hub_id, desk.section, now)
        ahead = advance_one(desk.account, desk.leases, step, given=given, pool_holds=left)
        news = news_of_advance(desk.account, ahead, lab, now)
        desk.save()
        changes = list(zip(desk.leases, ahead.leases, strict=True))
        writes.update_leases(tx, changes)
        writes.save_notices(tx, ahead.notices)
        tell(tx, lab, account.hub_id, news)
        _count(tx, changes)
        desk.leases = [lease for lease in ahead.leases if lease.is_open]
        if attachment is not None:
            keep_helping(desk, attachment.id)
        return_help(desk)
        desk.save()
    return ahead


def _count(tx: Connection, changes: Iterable[tuple[Lease, Lease]]) -> None:
    # In one order, so that two who count never wait for each other.
    for (name, label), by in sorted(tallies_of(changes).items()):
        writes.add_to_counter(tx, name, label, by)
