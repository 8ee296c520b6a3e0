"""Writing what is taken of each GPU, and which GPUs there are."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, literal, select, update

from quota.failpoints import failpoint
from quota.placement import FULL_MGPU, Ask, GpuUse
from quota.store.statements import Statement, change, write, written_point
from quota.store.tables import gpus

# Only if there is still room: of two that reach for the same slot, one gets it.
_TAKING = (
    update(gpus)
    .where(
        gpus.c.uuid == bindparam("gpu"),
        gpus.c.in_service,
        gpus.c.used_mgpu + bindparam("share") <= FULL_MGPU,
        gpus.c.used_mib + bindparam("mib") <= gpus.c.memory_mib,
        gpus.c.sharers < case((gpus.c.sharing == "exclusive", 1), else_=bindparam("most")),
    )
    .values(
        used_mgpu=gpus.c.used_mgpu + bindparam("share"),
        used_mib=gpus.c.used_mib + bindparam("mib"),
        sharers=gpus.c.sharers + 1,
    )
)
_TAKE_GPU = Statement(_TAKING)
# The same as a question that fails where nothing was taken, and all that is sent with it.
_TAKE_GPU_OR_FAIL = Statement(
    select(literal(1) // func.count()).select_from(_TAKING.returning(gpus.c.uuid).cte("taken"))
)
_RELEASE_GPU = Statement(
    update(gpus)
    .where(gpus.c.uuid == bindparam("gpu"))
    .values(
        used_mgpu=gpus.c.used_mgpu - bindparam("share"),
        used_mib=gpus.c.used_mib - bindparam("mib"),
        sharers=gpus.c.sharers - 1,
    )
)


def take_gpu(tx: Connection, uuid: str, ask: Ask, *, max_sharers: int) -> bool:
    """Occupy a part of a GPU; False when somebody else was faster."""
    is_taken = change(tx, _TAKE_GPU, _taking(uuid, ask, max_sharers)) == 1
    failpoint("slot_taken")
    return is_taken


def take_gpu_late(tx: Connection, uuid: str, ask: Ask, *, max_sharers: int) -> None:
    """Occupy a part of a GPU with what is sent next, so that its row is locked for a moment.

    All who start a session reach for the same row. If somebody else was faster, that shows later,
    at the commit at the latest, as `quota.store.statements.OvertakenError`.
    """
    write(tx, _TAKE_GPU_OR_FAIL, [_taking(uuid, ask, max_sharers)])
    written_point(tx, "slot_taken")


def _taking(uuid: str, ask: Ask, max_sharers: int) -> dict[str, Any]:
    return {"gpu": uuid, "share": ask.share_mgpu, "mib": ask.memory_mib, "most": max_sharers}


def release_gpu(tx: Connection, uuid: str, ask: Ask) -> None:
    """Give an occupation back."""
    write(tx, _RELEASE_GPU, [{"gpu": uuid, "share": ask.share_mgpu, "mib": ask.memory_mib}])


def save_inventory(
    tx: Connection, hub_id: str, devices: Iterable[GpuUse], *, now: datetime
) -> None:
    """Write which GPUs there are. One that is gone leaves service; its use is not touched."""
    known = {
        row.uuid: row for row in tx.execute(select(gpus).where(gpus.c.hub_id == hub_id)).all()
    }
    for device in devices:
        values = {"name": device.name, "kind": device.kind, "memory_mib": device.memory_mib,
                  "in_service": True, "sharing": device.sharing,
                  "holds_memory": device.holds_memory, "lost_at": None}  # fmt: skip
        row = known.pop(device.uuid, None)
        if row is None:
            tx.execute(insert(gpus).values(uuid=device.uuid, hub_id=hub_id, used_mgpu=0,
                                           used_mib=0, sharers=0, **values))  # fmt: skip
        elif any(getattr(row, name) != value for name, value in values.items()):
            tx.execute(update(gpus).where(gpus.c.uuid == device.uuid).values(**values))
    for uuid, row in known.items():
        if row.sharers == 0:
            tx.execute(delete(gpus).where(gpus.c.uuid == uuid))
        elif row.in_service:
            tx.execute(update(gpus).where(gpus.c.uuid == uuid)
                       .values(in_service=False, lost_at=now))  # fmt: skip


def lost_gpus(tx: Connection, hub_id: str, *, since: datetime) -> frozenset[str]:
    """Name the GPUs that have been gone from the machine since then, with sessions on them."""
    query = select(gpus.c.uuid).where(gpus.c.hub_id == hub_id, gpus.c.lost_at <= since)
    return frozenset(tx.execute(query).scalars())
