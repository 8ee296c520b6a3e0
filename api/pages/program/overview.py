"""The first page of organizers: what was given, used and promised, and what is wrong."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.pages.program.desk import OrganizerDep
from api.pages.rooms import Room, RoomDep
from quota.emergency_books import Emergencies
from quota.lab import Lab
from quota.office import Office
from quota.outlook import GpuOutlook, SectionOutlook, gpu_outlook, section_outlooks
from quota.shown import span_text
from quota.standings import LabStanding
from quota.store.emergencies import EmergencyRow

router = APIRouter(prefix="/program")

# So many looks of the worker may be late before somebody should have a look at it.
_LATE_TICKS = 4
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramView:
    """All that the overview shows."""

    at: datetime
    sections: tuple[SectionOutlook, ...]
    gpus: GpuOutlook
    open_requests: int
    tick_at: datetime | None
    troubles: list[str]
    emergency: EmergencyRow | None = None


@router.get("")
def get_program(request: Request, organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show how the program goes."""
    return room.looks.page(request, "program.html", organizer, view=_view(room))


@router.get("/live")
def get_live(organizer: OrganizerDep, room: RoomDep) -> HTMLResponse:
    """Show the part of the overview that refreshes by itself."""
    return room.looks.part("program_live.html", organizer, view=_view(room))


def _view(room: Room) -> ProgramView:
    books = room.books
    standing, tick_at = room.standings.now(), books.load().oldest_tick_at
    sections = section_outlooks(books.lab, standing)
    return ProgramView(
        at=standing.at, sections=sections, gpus=gpu_outlook(standing), tick_at=tick_at,
        emergency=Emergencies(books).open_now(),
        open_requests=len(Office(books).hour_requests(state="open", most=1_000)),
        troubles=[
            *_late(books.lab, tick_at, standing.at),
            *_short(sections),
            *_gpu_troubles(books.lab, standing),
            *(f"A change is left out, since it no longer fits lab.yaml: {one}"
              for one in books.rules.left_out[:_MOST_NAMED]),
        ],
    )  # fmt: skip


def _late(lab: Lab, tick_at: datetime | None, now: datetime) -> list[str]:
    if tick_at is None:
        return ["The worker has not looked at the sessions yet. Is it running?"]
    late_s = int((now - tick_at).total_seconds())
    if late_s <= _LATE_TICKS * lab.policy.tick_s:
        return []
    said = (
        f"The worker last looked {span_text(late_s)} ago; it should every {lab.policy.tick_s} "
        "seconds. The watchdog ends sessions meanwhile; ask an operator to look after the worker."
    )
    return [said]


def _short(sections: tuple[SectionOutlook, ...]) -> list[str]:
    return [
        f"{one.title}: until its week ends, {one.promised.hours_text()} GPU-hours are promised, "
        f"and the GPUs can give {one.possible.hours_text()} at most. Some people will not be "
        "able to use all of theirs."
        for one in sections if one.is_short
    ]  # fmt: skip


def _gpu_troubles(lab: Lab, standing: LabStanding) -> list[str]:
    lost = [gpu.uuid for gpu in standing.gpus
            if not gpu.in_service and gpu.uuid not in lab.drained_gpus]  # fmt: skip
    found = [f"The GPU {one} does not answer any more." for one in lost[:_MOST_NAMED]]
    if not any(gpu.in_service for gpu in standing.gpus):
        found.append("No GPU is in service.")
    serving = [gpu for gpu in standing.gpus if gpu.in_service]
    found += [f"No GPU in service is large enough for {lab.flavors[name].title}."
              for name in (lab.unplaceable(serving) if serving else ())]  # fmt: skip
    return found
