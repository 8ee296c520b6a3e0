"""What the hub tells of an emergency afterwards: the trail, and leases for what runs without one.

The hub tells it before it asks for any other GPU, so that what was started without the books has
its place in them before somebody else can get it. The worker, which sees the sessions themselves,
may come first; then there is nothing left to open. See docs/decisions/0020-emergency.md.
"""

from dataclasses import replace

from quota.admission import ask_of
from quota.audit import By
from quota.desk import Desk, open_desk
from quota.emergency import Emergency, EmergencyStart
from quota.emergency_times import MOST_HOURS, MOST_LENGTH
from quota.errors import BadText, IdConflict, NoSuchThing
from quota.lab_gpus import Flavor
from quota.leases import Lease
from quota.placement import GpuUse, without
from quota.plain_text import check_text
from quota.service import Books
from quota.store import emergencies as rows
from quota.store import reads, slots, writes
from quota.store.emergencies import EmergencyRow
from quota.store.engine import reading, transaction
from quota.store.trail import lock_trail, write_audit

SUBJECT = "emergency"
"""What the trail's lines about emergencies themselves are about."""

_SHOWN = 20


class Emergencies:
    """The emergencies in the books of one hub."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def note(self, one: Emergency, *, by: By) -> None:
        """Take note of an emergency, or of its end; repeating it changes nothing.

        Raises:
            BadText: it lasts longer than any may, or its reason is no line of plain text.
            IdConflict: the id was used for another one.

        """
        check_text(one.reason, "The reason")
        if not one.opened_at < one.until <= one.opened_at + MOST_LENGTH:
            raise BadText(f"An emergency lasts {MOST_HOURS} hours at most.")
        hub_id = self._books.hub_id
        with transaction(self._books.engine, step="emergency_noted") as tx:
            lock_trail(tx)
            before = rows.emergency(tx, one.id)
            if before is not None:
                _check_same(before, one)
                if before.closed_at is not None or one.closed_at is None:
                    return  # all of it is known
            rows.save_emergency(tx, hub_id, before, one)
            if before is None:
                write_audit(tx, replace(by, actor=one.opened_by), "emergency.open", SUBJECT,
                            hub_id=hub_id, at=self._books.clock.now(), reason=one.reason,
                            after={"opened_at": one.opened_at, "until": one.until})  # fmt: skip
            if one.closed_at is not None:
                write_audit(tx, replace(by, actor=one.closed_by), "emergency.close", SUBJECT,
                            hub_id=hub_id, at=self._books.clock.now(), reason=one.reason,
                            after={"closed_at": one.closed_at})  # fmt: skip

    def note_start(self, one: EmergencyStart, *, by: By) -> None:
        """Take note of a session that was started; repeating it changes nothing.

        Raises:
            NoSuchThing: there is no such emergency.
            IdConflict: the lease's id was used for another one.

        """
        books = self._books
        with transaction(books.engine, step="emergency_start") as tx:
            desk = open_desk(tx, books.lab, books.hub_id, one.account, now=books.clock.now())
            known = rows.start(tx, one.lease_id)
            if known is not None:
                if known != one:
                    raise IdConflict("This id was used before for another session.")
                return
            emergency = rows.emergency(tx, one.emergency_id)
            if emergency is None:
                raise NoSuchThing("There is no such emergency.")
            rows.insert_start(tx, one)
            write_audit(tx, replace(by, actor=one.account), "emergency.start", one.account,
                        hub_id=books.hub_id, at=desk.now, reason=emergency.reason,
                        after={"lease": str(one.lease_id), "flavor": one.flavor,
                               "gpu": one.gpu_uuid, "started_at": one.started_at,
                               "ends_at": one.ends_at})  # fmt: skip
            flavor = books.lab.flavors.get(one.flavor)
            if desk.lease(one.lease_id) is None and flavor is not None:
                _open_lease(desk, one, flavor)

    def newest(self) -> list[EmergencyRow]:
        """List the emergencies, the newest first."""
        with reading(self._books.engine) as tx:
            return rows.newest_emergencies(tx, self._books.hub_id, most=_SHOWN)

    def open_now(self) -> EmergencyRow | None:
        """Return the emergency that is open now, as far as the hub has told of it."""
        now = self._books.clock.now()
        return next((row for row in self.newest() if row.one.is_open(now)), None)

    def gpus(self) -> tuple[tuple[GpuUse, ...], list[tuple[str, Lease]]]:
        """Return all GPUs, and the leases that occupy them, with whose they are."""
        books = self._books
        with reading(books.engine) as tx:
            gpus = without(reads.gpu_uses(tx, books.hub_id), books.lab.drained_gpus)
            return gpus, list(rows.leases_on_gpus(tx, books.hub_id))


def _check_same(before: Emergency, one: Emergency) -> None:
    begun = replace(one, closed_by=before.closed_by, closed_at=before.closed_at)
    if begun != before:
        raise IdConflict("This id was used before for another emergency.")


def _open_lease(desk: Desk, one: EmergencyStart, flavor: Flavor) -> None:
    """Open the lease of a session that runs; where there is no room, the worker will see to it.

    Nothing is set aside: what it uses is charged from its own start when the worker sees it, and
    may leave its account in debt.
    """
    if not slots.take_gpu(desk.tx, one.gpu_uuid, ask_of(flavor),
                          max_sharers=desk.lab.gpus.max_sharers):  # fmt: skip
        return
    writes.insert_lease(desk.tx, Lease(
        id=one.lease_id, account_id=desk.account.id,
        server_name=_free_name(desk, one),
        flavor=flavor.name, image="", state="held", weight_mgpu=flavor.weight_mgpu,
        share_mgpu=flavor.share_mgpu, memory_mib=flavor.memory_mib, gpu_uuid=one.gpu_uuid,
        requested_at=one.started_at, asked_at=one.started_at, held_at=one.started_at,
    ))  # fmt: skip
    desk.save()


def _free_name(desk: Desk, one: EmergencyStart) -> str:
    """Return a server's name that no other open lease of the account has."""
    taken = {lease.server_name for lease in desk.leases}
    name = one.server_name
    return name if name not in taken else f"{name}#{one.lease_id.hex[-12:]}"
