"""The use cases of reserving a GPU share ahead: make, take back, list.

Like `quota.service`, one transaction each, the account's lock first; then the trail's, so that two
scholars who reach for the same time are decided one after the other.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import Connection

from quota.admission import ask_of
from quota.audit import By
from quota.clock import from_ms, to_ms
from quota.desk import Desk, open_desk
from quota.errors import BadStart, FlavorCannotBePlaced, IdConflict, NoSuchThing, NothingFree
from quota.kept_shares import KeptShare, Occupant, Plan, Wish, by_gpu, moments_to_try, place_share
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.placement import GpuUse, could_ever_fit, without
from quota.plain_text import check_person
from quota.reservations import Reservation, check_number, check_wish, closed_in, withdrawn
from quota.reserving import keeping
from quota.service import Books
from quota.shown import moment_text
from quota.store import reads, trail
from quota.store import reservations as rows
from quota.store.engine import reading, transaction

# Looked at one after the other until something is free; who asks waits for the answer.
_MOST_TRIED = 100
# Farther than any lab lets scholars reserve.
_NEAR = timedelta(days=400)


class Reserving:
    """What scholars of one hub's lab reserve ahead."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def reserve(
        self, key: UUID, name: str, *, flavor: str, starts_at: datetime, minutes: int, by: By
    ) -> Reservation:
        """Reserve a share for a scholar; repeating it changes nothing.

        Raises:
            Refusal: see `quota.reservations.check_wish`, `check_number`.
            FlavorCannotBePlaced: no GPU in service is large enough.
            NothingFree: none has room at that time; the sentence says when one has.
            IdConflict: the id was used for another reservation.

        """
        check_person(name)
        starts_at = _whole_ms(starts_at, self.books.clock.now())
        with transaction(self.books.engine, step="reserved") as tx:
            desk = self._desk(tx, name)
            earlier = rows.reservation(tx, key)
            if earlier is not None:
                return _same(earlier, desk, flavor, starts_at, minutes)
            found = check_wish(desk.lab, name, flavor, starts_at, minutes, now=desk.now)
            ends_at = starts_at + timedelta(minutes=minutes)
            check_number(desk.lab, rows.open_of(tx, desk.account.id, desk.now), starts_at, ends_at)
            trail.lock_trail(tx)
            wish = Wish(ask=ask_of(found), starts_at=starts_at, ends_at=ends_at)
            made = Reservation(
                id=key, account_id=desk.account.id, flavor=flavor, share_mgpu=found.share_mgpu,
                gpu_uuid=_placed(desk, found, wish), memory_mib=found.memory_mib,
                starts_at=starts_at, ends_at=ends_at, state="open", made_at=desk.now,
            )  # fmt: skip
            rows.insert_reservation(tx, made)
            note(desk, by, "reservation.make", made)
            return made

    def withdraw(self, key: UUID, *, by: By) -> Reservation:
        """Take a reservation back as its scholar; twice is once.

        Raises:
            NoSuchThing: nobody has this id.
            AlreadyDecided: it is over, or was given back before.

        """
        with transaction(self.books.engine, step="reservation_withdrawn") as tx:
            desk = self._desk(tx, self._holder(tx, key))
            before = rows.reservation(tx, key, lock=True)
            assert before is not None, "reservations are never deleted"
            after = withdrawn(before, at=desk.now)
            if after != before:
                rows.update_reservation(tx, after)
                note(desk, by, "reservation.withdraw", after, before)
            return after

    def holder(self, key: UUID) -> str:
        """Tell whose a reservation is.

        Raises:
            NoSuchThing: nobody has this id.

        """
        with reading(self.books.engine) as tx:
            return self._holder(tx, key)

    # -- lists ---------------------------------------------------------------------------------

    def listed(
        self, *, name: str | None, after: tuple[datetime, UUID] | None, most: int
    ) -> list[tuple[str, Reservation]]:
        """List reservations of one scholar or of all as they are now, the first to begin first."""
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            found = rows.reservations_of(tx, self.books.hub_id, account=name, after=after,
                                         most=most)  # fmt: skip
        return [(who, one.as_of(now)) for who, one in found]

    def newest(self, name: str, *, most: int) -> list[Reservation]:
        """List a scholar's own as they are now, the last to begin first."""
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            found = rows.newest_of(tx, self.books.hub_id, name, most=most)
        return [one.as_of(now) for one in found]

    def coming(self) -> list[tuple[str, Reservation]]:
        """List what is reserved from now on, the first to begin first."""
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            found = rows.all_open(tx, self.books.hub_id)
        return [(who, one) for who, one in found if one.as_of(now).is_open]

    # -- inside --------------------------------------------------------------------------------

    def _desk(self, tx: Connection, name: str) -> Desk:
        books = self.books
        return open_desk(tx, books.lab, books.hub_id, name, now=books.clock.now())

    def _holder(self, tx: Connection, key: UUID) -> str:
        found = rows.reservation(tx, key)
        if found is None:
            raise NoSuchThing("There is no such reservation.")
        name: str = reads.account_rows(tx, [found.account_id])[0]["name"]
        return name


def plan_at(
    lab: Lab, gpus: tuple[GpuUse, ...], shares: Iterable[KeptShare],
    occupants: list[Occupant], at: datetime, *, now: datetime,
) -> Plan:  # fmt: skip
    """Put together what there is to reserve on at an instant."""
    serving = without(gpus, lab.drained_gpus)
    return Plan(
        gpus=serving, shares=by_gpu(shares), kept=keeping(lab, serving, at), occupants=occupants,
        free_from=now + timedelta(minutes=lab.reservations.notice_min),
        max_sharers=lab.gpus.max_sharers,
    )  # fmt: skip


def note(
    desk: Desk, by: By, action: str, after: Reservation, before: Reservation | None = None
) -> None:
    """Write a line on the audit trail."""
    trail.write_audit(
        desk.tx, by, action, desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        before=None if before is None else _shown(before), after=_shown(after),
    )  # fmt: skip


def _placed(desk: Desk, flavor: Flavor, wish: Wish) -> str:
    """Choose the GPU of a wish.

    Raises:
        FlavorCannotBePlaced, NothingFree: why not.

    """
    tx, lab, hub_id, now = desk.tx, desk.lab, desk.account.hub_id, desk.now
    gpus = reads.gpu_uses(tx, hub_id)
    shares, there = rows.kept_shares(tx, hub_id, now), rows.occupants(rows.gpu_leases(tx, hub_id))

    def plan(at: datetime) -> Plan:
        return plan_at(lab, gpus, shares, there, at, now=now)

    first = plan(wish.starts_at)
    if not could_ever_fit(first.gpus, wish.ask):
        raise FlavorCannotBePlaced(f"No GPU in service is large enough for {flavor.title}.")
    found = place_share(wish, first)
    if found is not None:
        return found
    until = now + timedelta(days=lab.reservations.ahead_days)
    length = wish.ends_at - wish.starts_at
    for at in islice(moments_to_try(first, wish, until), _MOST_TRIED):
        later = Wish(ask=wish.ask, starts_at=at, ends_at=at + length)
        if closed_in(lab, at, later.ends_at) is None and place_share(later, plan(at)) is not None:
            raise NothingFree(_nothing_free(flavor, at, desk))
    raise NothingFree(_nothing_free(flavor, None, desk))


def _nothing_free(flavor: Flavor, free: datetime | None, desk: Desk) -> str:
    text = f"No GPU has room for {flavor.title} at that time."
    if free is None:
        return f"{text} Try another day, a shorter time or a smaller flavor."
    zone = desk.section.time_zone if desk.section is not None else "UTC"
    return f"{text} From {moment_text(free, zone)} on one has."


def _whole_ms(starts_at: datetime, now: datetime) -> datetime:
    """Return an instant as the books keep it.

    Raises:
        BadStart: it is so far away that it cannot be counted with.

    """
    if abs(starts_at - now) > _NEAR:
        raise BadStart("Choose a start within the next days.")
    return from_ms(to_ms(starts_at))


def _same(
    earlier: Reservation, desk: Desk, flavor: str, starts_at: datetime, minutes: int
) -> Reservation:
    wanted = (desk.account.id, flavor, starts_at, starts_at + timedelta(minutes=minutes))
    if wanted != (earlier.account_id, earlier.flavor, earlier.starts_at, earlier.ends_at):
        raise IdConflict("This id was used before for another reservation.")
    return earlier.as_of(desk.now)


def _shown(one: Reservation) -> dict[str, str]:
    return {
        "id": str(one.id), "state": one.state, "flavor": one.flavor, "gpu": one.gpu_uuid,
        "starts_at": one.starts_at.isoformat(), "ends_at": one.ends_at.isoformat(),
    }  # fmt: skip
