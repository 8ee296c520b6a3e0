"""When and why a running session has to end: its hours run out, or the GPUs are closed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from quota.agenda import Window, blackouts
from quota.amount import GpuTime
from quota.entitlement import boosts_of, current_week, next_allowance
from quota.exhaustion import LOOK_AHEAD, Coming, exhausts_at
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import Lease
from quota.ledger import Account
from quota.reserving import is_kept_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The first instant at which a session may not run any more, and why."""

    at: datetime
    why: Literal["exhausted", "blackout", "reserved"]
    title: str = ""


def runs_out_at(
    account: Account, leases: Sequence[Lease], *, lab: Lab, section: Section | None,
    now: datetime, pool: GpuTime = GpuTime.ZERO,
) -> datetime | None:  # fmt: skip
    """Return when the account's GPU time is used up, with all that will be given by then.

    What the section's pool would pay counts, so that nobody is warned at every step of it.
    """
    coming = coming_boosts(lab, section, account.name, now=now)
    week = current_week(lab, section, now)
    if pool and week is not None:
        coming = (*coming, (week.starts_at, week.ends_at, pool))
    return exhausts_at(
        account.lots, account.debt, leases, now=now,
        next_week=next_allowance(lab, section, account.name, now),
        coming=coming,
    )  # fmt: skip


def coming_boosts(
    lab: Lab, section: Section | None, scholar: str, *, now: datetime
) -> tuple[Coming, ...]:
    """Return the extra hours of due dates that begin after now and in sight."""
    if section is None or not lab.due_dates:
        return ()
    return tuple(
        (due.hours_from, due.due_at, due.hours)
        for due in boosts_of(lab, section, scholar)
        if now < due.hours_from <= now + LOOK_AHEAD
    )


def closing(lab: Lab, now: datetime) -> Window | None:
    """Return the blackout that is on, else the next one in sight."""
    if not lab.blackouts:
        return None
    ahead = (window for window in blackouts(lab) if window.ends_at > now)
    found = next(ahead, None)
    return found if found is not None and found.starts_at <= now + LOOK_AHEAD else None


def closed_now(lab: Lab, now: datetime) -> Window | None:
    """Return the blackout that is on now, up to the end of all that follow without a pause."""
    on: Window | None = None
    for window in blackouts(lab) if lab.blackouts else ():
        if on is None and window.covers(now):
            on = window
        elif on is not None and window.starts_at <= on.ends_at < window.ends_at:
            on = replace(on, ends_at=window.ends_at)
    return on


def ending_of(
    lease: Lease, runs_out: datetime | None, blackout: Window | None, lab: Lab
) -> Ending | None:
    """Return the end of one running session; None while none is in sight."""
    found = []
    # What was told at the start holds unless the rules have set that time free since.
    # For a reservation that is given back, the worker sets the session free: `quota.clearing`.
    is_kept = lease.yields_to is not None or (
        lease.yields_at is not None and is_kept_from(lab, lease.yields_at)
    )
    if lease.yields_at is not None and is_kept:
        found.append(Ending(at=lease.yields_at, why="reserved"))
    if runs_out is not None and lease.weight_mgpu > 0:
        found.append(Ending(at=runs_out, why="exhausted"))
    if blackout is not None and lease.share_mgpu > 0:
        found.append(Ending(at=blackout.starts_at, why="blackout", title=blackout.title))
    return min(found, key=lambda one: one.at, default=None)
