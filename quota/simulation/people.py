"""What simulated people ask for, who of them is next, and what is noted of them."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from quota.clock import ms_between
from quota.lab import Lab
from quota.lab_people import Section
from quota.leases import LeaseRequest
from quota.simulation.events import Stay
from quota.simulation.keeper import Keeper
from quota.simulation.record import Record, RunOut, Wait, WaitEnd
from quota.simulation.visits import Visit
from quota.simulation.world import HUB_ID, Ran


def wanted_by(stay: Stay, lab: Lab) -> LeaseRequest:
    """Return what a visit asks for."""
    visit = stay.visit
    return LeaseRequest(hub_id=HUB_ID, account=visit.scholar, server_name="",
                        flavor=visit.flavor, image=next(iter(lab.images)))  # fmt: skip


def container_of(stay: Stay, now: datetime) -> Ran:
    """Return the container of a stay that starts now."""
    return Ran(ref=stay.ref, lease_id=stay.lease_id, account=stay.visit.scholar,
               flavor=stay.visit.flavor, gpu_uuid=stay.gpu_uuid, started_at=now)  # fmt: skip


def next_in_line(keeper: Keeper, line: Collection[Stay]) -> Stay | None:
    """Tell whose question would be answered with a slot, if anybody's."""
    waiting = {one.lease_id: one for one in line if not (one.has_given_up or one.has_offer)}
    lease_id = keeper.next_in_line(waiting) if waiting else None
    return None if lease_id is None else waiting[lease_id]


def comes_again(stay: Stay, ended: WaitEnd, *, now: datetime) -> Visit | None:
    """Return the second try after a wait in vain: one, and none after a refusal.

    Whoever is refused has read from when it will work.
    """
    again_ms = stay.visit.again_in_ms
    if again_ms is None or ended not in ("gave_up", "missed_turn"):
        return None
    at = now + timedelta(milliseconds=again_ms)
    return replace(stay.visit, at=at, again_in_ms=None)


def note_wait(
    record: Record, lab: Lab, stay: Stay, ended: WaitEnd, code: str = "", *, now: datetime
) -> None:
    """Note how long somebody waited for a GPU, and how that ended."""
    visit, came_at = stay.visit, stay.came_at
    if not lab.flavors[visit.flavor].is_gpu:
        return
    section = _section(lab, stay)
    record.waits.append(Wait(
        scholar=visit.scholar, section=section.name, flavor=visit.flavor, asked_at=came_at,
        local_hour=came_at.astimezone(section.zone).hour, wait_ms=ms_between(came_at, now),
        ended=ended, refusal=code,
    ))  # fmt: skip


def note_run_out(record: Record, lab: Lab, stay: Stay, *, now: datetime) -> None:
    """Note that somebody's hours are used up, in a session or before one."""
    record.run_outs.append(
        RunOut(scholar=stay.visit.scholar, section=_section(lab, stay).name, at=now,
               in_session=stay.state == "running")
    )  # fmt: skip


def _section(lab: Lab, stay: Stay) -> Section:
    section = lab.section_of(stay.visit.scholar)
    assert section is not None, "visits are drawn from the roster"
    return section
