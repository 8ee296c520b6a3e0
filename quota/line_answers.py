"""What is told to one who waits: the place, why, in which order, and about how long.

Reads in another's transaction, nothing written.
"""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from quota.clock import ms_between
from quota.endings import closing, ending_of, runs_out_at
from quota.forecast import Lengths, Running, forecast
from quota.lab import Lab
from quota.leases import Lease
from quota.ledger import Account
from quota.requests import Asked
from quota.store import reads
from quota.store.usage import session_lengths
from quota.turns import room_now, the_line
from quota.views import LineView
from quota.waiting import Place, place_of
from quota.wording import WAIT_TEXTS, kept_text, order_text

# Everybody in the line asks every two seconds; what they are told changes slowly.
_FRESH_FOR = timedelta(seconds=10)
# Enough for all kinds of sessions of the last days, and read in a millisecond.
_NEWEST = 200
_IN_LINE = ("all_taken", "reserved", "kept_for_larger")


class Forecasts:
    """When it will be whose turn, worked out for the whole line at once and kept for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[datetime, dict[UUID, datetime | None]]] = {}

    def turn_of(
        self, tx: Connection, lab: Lab, hub_id: str, lease_id: UUID, *, now: datetime
    ) -> datetime | None:
        """Return when it will be somebody's turn; None when nobody can tell."""
        with self._lock:
            made = self._made.get(hub_id)
        if made is not None and lease_id in made[1] and now - _FRESH_FOR < made[0] <= now:
            return made[1][lease_id]
        turns = _turns(tx, lab, hub_id, now=now)
        with self._lock:
            self._made[hub_id] = (now, turns)
        return turns.get(lease_id)


def line_view(
    tx: Connection, lab: Lab, account: Account, asked: Asked, *, now: datetime,
    forecasts: Forecasts,
) -> LineView:  # fmt: skip
    """Show a place in the line."""
    reason, place = asked.wait_reason or "all_taken", asked.place
    if place is None or reason not in _IN_LINE:
        position, of = (place.position, place.of) if place else (1, 1)
        return LineView(
            position=position,
            of=of,
            reason=reason,
            text=WAIT_TEXTS[reason],
            estimated_wait_s=None,
            offered=asked.lease.offered_at is not None,
        )
    at = forecasts.turn_of(tx, lab, account.hub_id, asked.lease.id, now=now)
    return LineView(
        position=place.position,
        of=place.of,
        reason=reason,
        text=_text(lab, account.name, asked, place, reason),
        estimated_wait_s=None if at is None else max(0, ms_between(now, at)) // 1000,
        offered=False,
    )


def line_now(
    tx: Connection, lab: Lab, account: Account, lease: Lease, *, now: datetime,
    forecasts: Forecasts,
) -> LineView:  # fmt: skip
    """Show where somebody stands who only looks, and does not ask for the turn."""
    room = room_now(tx, lab, account.hub_id, now)
    others = [one for one in the_line(tx, lab, account.hub_id, now) if one.lease_id != lease.id]
    place = place_of(reads.waiter_of(lease, account.name), others, room, now=now)
    reason: str = place.why_not
    if not room.gpus:
        reason = "no_gpus_known"
    elif lease.gpu_uuid is not None or place.slot is not None:
        reason = "not_there"
    asked = Asked(lease=lease, place=place, wait_reason=reason)
    return line_view(tx, lab, account, asked, now=now, forecasts=forecasts)


def _text(lab: Lab, name: str, asked: Asked, place: Place, reason: str) -> str:
    """Say why one waits and, to one who is not alone, what the order of the line is."""
    section = lab.section_of(name)
    said = [WAIT_TEXTS[reason]]
    if place.kept is not None:
        zone = UTC if section is None else section.zone
        said = [kept_text(place.kept.title, place.kept.starts_at.astimezone(zone),
                          place.kept.ends_at.astimezone(zone))]  # fmt: skip
    if place.of > 1:
        meets = any(one.co_working for one in lab.sections.values())
        said.append(order_text(lab.line, asked.lease.used_permille or 0, meets=meets,
                               reserves=lab.reservations.are_taken))  # fmt: skip
    return " ".join(said)


def _turns(tx: Connection, lab: Lab, hub_id: str, *, now: datetime) -> dict[UUID, datetime | None]:
    line = the_line(tx, lab, hub_id, now)
    room = room_now(tx, lab, hub_id, now)
    lengths = Lengths(tuple(sorted(session_lengths(tx, hub_id, newest=_NEWEST))))
    found = forecast(line, _occupants(tx, lab, hub_id, now=now), lengths, room, now=now)
    return {one.lease_id: found.get(one.lease_id) for one in line}


def _occupants(tx: Connection, lab: Lab, hub_id: str, *, now: datetime) -> list[Running]:
    """Read who holds slots and when each session has to end."""
    by_account = {
        account_id: some
        for account_id, some in reads.all_open_leases(tx, hub_id).items()
        if any(lease.occupies for lease in some)
    }
    lots, blackout = reads.open_lots(tx, by_account), closing(lab, now)
    found = []
    for row in reads.account_rows(tx, by_account):
        section, mine = lab.section_of(row["name"]), by_account[row["id"]]
        account = reads.account_of(row, lots[row["id"]])
        runs_out = runs_out_at(account, mine, lab=lab, section=section, now=now)
        for lease in mine:
            if lease.gpu_uuid is not None:
                ending = ending_of(lease, runs_out, blackout, lab)
                found.append(Running(
                    gpu_uuid=lease.gpu_uuid, ask=reads.waiter_of(lease, account.name).ask,
                    ends_at=None if ending is None else ending.at, started_at=lease.started_at,
                ))  # fmt: skip
    return found
