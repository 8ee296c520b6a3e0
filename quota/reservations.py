"""A GPU share that a scholar reserves ahead: what may be wished for, and what becomes of it. Pure.

open -> withdrawn by its scholar, no_show when nobody came, called_off when its GPU is gone, used
when its scholar has another GPU already, over at its end. It costs nothing: what is charged is the
session that its scholar starts in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from quota.admission import ask_of
from quota.agenda import Window, blackouts
from quota.errors import (
    AlreadyDecided,
    BadLength,
    BadStart,
    GpusClosed,
    NoReservations,
    NoSuchFlavor,
    NotOnRoster,
    TooManyReservations,
)
from quota.kept_shares import KeptShare
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.lab_reservations import SHORTEST_MIN
from quota.placement import Ask

ReservationState = Literal["open", "withdrawn", "no_show", "called_off", "used", "over"]

# Told so long before, a scholar whose reservation cannot be kept can still plan something else.
_CALLED_OFF_BEFORE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A share of one GPU for one scholar in [starts_at, ends_at).

    At `begun_at` the lab first saw that its time is on.
    """

    id: UUID
    account_id: int
    flavor: str
    gpu_uuid: str
    share_mgpu: int
    memory_mib: int
    starts_at: datetime
    ends_at: datetime
    state: ReservationState
    made_at: datetime
    begun_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether anything is kept."""
        return self.state == "open"

    def as_of(self, now: datetime) -> "Reservation":
        """Return it as it is at an instant, also where its end has not been written yet."""
        return closed(self, "over", at=self.ends_at) if _is_over(self, now) else self

    def share(self, account: str, *, is_taken: bool) -> KeptShare:
        """Return what is kept of its GPU."""
        return KeptShare(
            reservation_id=self.id, account=account, gpu_uuid=self.gpu_uuid,
            ask=Ask(self.share_mgpu, self.memory_mib), starts_at=self.starts_at,
            ends_at=self.ends_at, is_taken=is_taken,
        )  # fmt: skip


def closed(one: Reservation, state: ReservationState, *, at: datetime) -> Reservation:
    """Close a reservation."""
    assert one.is_open
    return replace(one, state=state, closed_at=at)


def withdrawn(one: Reservation, *, at: datetime) -> Reservation:
    """Take a reservation back; twice is once.

    Raises:
        AlreadyDecided: it is over, or was given back before.

    """
    if one.state == "withdrawn":
        return one
    if not one.as_of(at).is_open:
        raise AlreadyDecided("This reservation is over, or was given back before.")
    return closed(one, "withdrawn", at=at)


# -- what may be wished for ----------------------------------------------------------------------


def check_wish(
    lab: Lab, name: str, flavor_name: str, starts_at: datetime, minutes: int, *, now: datetime
) -> Flavor:
    """Check a wish against the rules; return the flavor.

    Raises:
        NoReservations, NotOnRoster, NoSuchFlavor, BadStart, BadLength, GpusClosed: what is wrong.

    """
    rules = lab.reservations
    if not rules.are_taken:
        raise NoReservations("This lab takes no reservations. Ask an organizer.")
    if lab.section_of(name) is None:
        raise NotOnRoster("You are on no section's roster, so you have no GPU-hours to use.")
    flavor = lab.flavors.get(flavor_name)
    if flavor is None or not flavor.is_gpu:
        names = ", ".join(sorted(one.name for one in lab.flavors.values() if one.is_gpu))
        raise NoSuchFlavor(f"Only a flavor with a GPU can be reserved. The lab has: {names}.")
    if not SHORTEST_MIN <= minutes <= rules.longest_min:
        raise BadLength(f"Choose {SHORTEST_MIN} to {rules.longest_min} minutes.")
    if starts_at < now + timedelta(minutes=rules.ahead_least_min):
        raise BadStart(_too_soon(rules.ahead_least_min))
    if starts_at > now + timedelta(days=rules.ahead_days):
        raise BadStart(f"Choose a start within the next {rules.ahead_days} days.")
    closing = closed_in(lab, starts_at, starts_at + timedelta(minutes=minutes))
    if closing is not None:
        raise GpusClosed(f"The GPUs are closed then: {closing.title}.")
    return flavor


def closed_in(lab: Lab, starts_at: datetime, ends_at: datetime) -> Window | None:
    """Return the first blackout of a time."""
    return next((one for one in blackouts(lab)
                 if one.starts_at < ends_at and starts_at < one.ends_at), None)  # fmt: skip


def check_number(
    lab: Lab, mine: Iterable[Reservation], starts_at: datetime, ends_at: datetime
) -> None:
    """Check a wish against what its scholar has reserved already.

    Raises:
        TooManyReservations: as many as the lab allows, or one for the same time.

    """
    some = list(mine)
    if any(one.starts_at < ends_at and starts_at < one.ends_at for one in some):
        raise TooManyReservations("You have reserved a part of this time already.")
    if len(some) >= lab.reservations.most_open:
        raise TooManyReservations(
            f"You have {len(some)} open, which is as many as the lab allows. Cancel one first."
        )


def ask_for(one: Reservation, lab: Lab) -> Ask:
    """Tell what a reservation occupies; the models follow the rules of now."""
    flavor = lab.flavors.get(one.flavor)
    models = () if flavor is None else ask_of(flavor).models
    return Ask(one.share_mgpu, one.memory_mib, models)


def _too_soon(least_min: int) -> str:
    if not least_min:
        return "Choose a start that is not over yet."
    hours, minutes = divmod(least_min, 60)
    span = f"{hours} h {minutes} min" if hours and minutes else (
        f"{hours} h" if hours else f"{minutes} min")  # fmt: skip
    return f"Choose a start at least {span} from now; before that, ask for a session at once."


# -- what becomes of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What the scholar of a reservation has on GPUs: `is_taken` on the reserved one, as much.

    `last_end` is when their last session on any GPU ended.
    """

    is_taken: bool = False
    has_other: bool = False
    waits: bool = False
    last_end: datetime | None = None


def became_of(
    one: Reservation, holder: Holder, lab: Lab, *, can_be_kept: bool, now: datetime
) -> Reservation:
    """Return a reservation as the lab finds it now."""
    if _is_over(one, now):
        return closed(one, "over", at=one.ends_at)
    told_from = one.starts_at - _CALLED_OFF_BEFORE if lab.reservations.are_taken else now
    if not can_be_kept and not holder.is_taken and now >= told_from:
        return closed(one, "called_off", at=now)
    if now < one.starts_at:
        return one
    if one.begun_at is None:
        one = replace(one, begun_at=now)
    if holder.is_taken:
        return one
    if holder.has_other:
        return closed(one, "used", at=now)
    return closed(one, "no_show", at=now) if _is_missed(one, holder, lab, now) else one


def _is_over(one: Reservation, now: datetime) -> bool:
    return one.is_open and now >= one.ends_at


def _is_missed(one: Reservation, holder: Holder, lab: Lab, now: datetime) -> bool:
    if holder.waits or one.begun_at is None:
        return False
    since = max(one.begun_at, holder.last_end or one.begun_at)
    return now - since >= timedelta(minutes=lab.reservations.no_show_min)
