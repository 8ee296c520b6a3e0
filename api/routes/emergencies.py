"""Emergencies: what the hub has to know before one, and tells after it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.access import AccessDep
from api.deps import BooksDep, EmergenciesDep, check_hub
from api.schemas_emergency import (
    EmergencyIn,
    EmergencyStartIn,
    GpusOut,
    KnownGpuOut,
    OccupiedOut,
    ToldOut,
)
from quota.emergency import Emergency, EmergencyStart

router = APIRouter(prefix="/v1", tags=["emergencies"])


@router.get("/gpus")
def list_gpus(
    access: AccessDep, books: BooksDep, emergencies: EmergenciesDep,
    hub_id: Annotated[str, Query(max_length=64)] = "main",
) -> GpusOut:  # fmt: skip
    """See all GPUs and who is on them: what the hub goes by when the books are away."""
    access.require_hub()
    check_hub(books, hub_id)
    gpus, leases = emergencies.gpus()
    return GpusOut(
        gpus=[
            KnownGpuOut(uuid=gpu.uuid, name=gpu.name, kind=gpu.kind, memory_mib=gpu.memory_mib,
                        in_service=gpu.in_service, sharing=gpu.sharing,
                        holds_memory=gpu.holds_memory)
            for gpu in gpus
        ],
        occupied=[
            # An offered place is no session of theirs yet, but its room is not to be given away.
            OccupiedOut(lease_id=lease.id, account="" if lease.state == "waiting" else account,
                        gpu_uuid=lease.gpu_uuid or "", share_mgpu=lease.share_mgpu,
                        memory_mib=lease.memory_mib, ref=lease.ref or "",
                        is_starting=lease.state in ("waiting", "held"))
            for account, lease in leases
        ],
    )  # fmt: skip


@router.put("/emergencies/{emergency_id}")
def put_emergency(
    emergency_id: UUID, body: EmergencyIn, books: BooksDep,
    emergencies: EmergenciesDep, access: AccessDep,
) -> ToldOut:  # fmt: skip
    """Tell of an emergency, or of its end; repeating the call changes nothing."""
    access.require_hub()
    check_hub(books, body.hub_id)
    told = body.model_dump(exclude={"hub_id"})
    emergencies.note(Emergency(id=emergency_id, **told), by=access.by)
    return ToldOut(id=emergency_id)


@router.put("/emergencies/{emergency_id}/starts/{lease_id}")
def put_emergency_start(
    emergency_id: UUID, lease_id: UUID, body: EmergencyStartIn,
    emergencies: EmergenciesDep, access: AccessDep,
) -> ToldOut:  # fmt: skip
    """Tell of a session that was started in one; repeating the call changes nothing."""
    access.require_hub()
    start = EmergencyStart(lease_id=lease_id, emergency_id=emergency_id, **body.model_dump())
    emergencies.note_start(start, by=access.by)
    return ToldOut(id=lease_id)
