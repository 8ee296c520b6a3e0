"""May this session start: admit, wait or refuse. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from quota.agenda import Window
from quota.amount import GpuTime
from quota.calendar import Week
from quota.errors import (
    FlavorCannotBePlaced,
    GpusClosed,
    InsufficientBalance,
    NotOnRoster,
    OutsideProgram,
    Refusal,
    TooManySessions,
)
from quota.lab import Policy
from quota.lab_gpus import Flavor
from quota.placement import Ask, GpuUse, could_ever_fit, suits
from quota.waiting import Place

WaitReason = Literal[
    "all_taken", "reserved", "kept_for_larger", "many_starting", "no_gpus_known", "not_there"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """What the account can pay with, now and after the next reset."""

    available: GpuTime
    on_roster: bool
    week: Week | None
    next_week: tuple[datetime, GpuTime] | None
    debt: GpuTime
    open_gpu_sessions: int
    most_gpu_sessions: int = 1
    closed: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Start now: on this GPU (None for a CPU flavor), with this hold."""

    slot: GpuUse | None
    hold: GpuTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Stay in the line. `offer` is a GPU that is kept while nobody is there to take it."""

    reason: WaitReason
    offer: GpuUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not now; the refusal says why and from when it may work."""

    refusal: Refusal


Decision: TypeAlias = Admit | Wait | Refuse


def ask_of(flavor: Flavor) -> Ask:
    """Tell what a flavor occupies."""
    return Ask(flavor.share_mgpu, flavor.memory_mib, flavor.gpu_models)


def least_needed(flavor: Flavor, policy: Policy) -> GpuTime:
    """Return what the shortest useful session costs."""
    return GpuTime.of(flavor.weight_mgpu, policy.minimum_start_s * 1000)


def refusal_of(
    flavor: Flavor, funds: Funds, gpus: tuple[GpuUse, ...], policy: Policy
) -> Refusal | None:
    """Return why this flavor cannot be had at all, whether or not a slot is free."""
    if not flavor.is_gpu:
        return None
    if funds.closed is not None:
        return GpusClosed(
            f"The GPUs are closed now: {funds.closed.title}. CPU servers work meanwhile.",
            retry_at=funds.closed.ends_at,
        )
    if flavor.weight_mgpu > 0:
        refusal = _cannot_pay(flavor, funds, policy)
        if refusal is not None:
            return refusal
    if funds.open_gpu_sessions >= funds.most_gpu_sessions:
        return TooManySessions(
            f"You have {funds.open_gpu_sessions} GPU session(s) open, which is as many as the lab "
            "allows at once. Stop one, or start on a CPU."
        )
    if gpus and not could_ever_fit(gpus, ask_of(flavor)):
        return FlavorCannotBePlaced(_nowhere(flavor, gpus))
    return None


def decide(
    flavor: Flavor,
    funds: Funds,
    gpus: tuple[GpuUse, ...],
    place: Place,
    *,
    present: bool,
    starting: int,
    policy: Policy,
) -> Decision:
    """Admit, wait or refuse.

    `starting` counts sessions that are admitted and not yet running: the service bounds them,
    since the hub's own limits would count those who wait in the line.
    """
    refusal = refusal_of(flavor, funds, gpus, policy)
    if refusal is not None:
        return Refuse(refusal=refusal)
    if not flavor.is_gpu:
        return Admit(slot=None, hold=GpuTime.ZERO)
    wait = _must_wait(gpus, place, present=present, is_busy=starting >= policy.max_spawning)
    if wait is not None:
        return wait
    step = GpuTime.of(flavor.weight_mgpu, policy.hold_step_s * 1000)
    return Admit(slot=place.slot, hold=min(step, funds.available))


def _must_wait(
    gpus: tuple[GpuUse, ...], place: Place, *, present: bool, is_busy: bool
) -> Wait | None:
    if not gpus:
        return Wait(reason="no_gpus_known")
    if place.slot is None:
        return Wait(reason=place.why_not)
    if not present:
        return Wait(reason="not_there", offer=place.slot)
    return Wait(reason="many_starting") if is_busy else None


def _nowhere(flavor: Flavor, gpus: tuple[GpuUse, ...]) -> str:
    suiting = [gpu for gpu in gpus if gpu.in_service and suits(gpu.name, flavor.gpu_models)]
    if not suiting:
        there = ", ".join(sorted({gpu.name for gpu in gpus if gpu.in_service})) or "none"
        wanted = " or ".join(flavor.gpu_models) or "GPU"
        return (
            f"{flavor.title} needs a {wanted}, and none is in service. In service: {there}. "
            "Choose another flavor, or ask an organizer."
        )
    return (
        f"No GPU in service is large enough for {flavor.title}. Choose a smaller one; an "
        "organizer can see which GPUs are in service."
    )


def _cannot_pay(flavor: Flavor, funds: Funds, policy: Policy) -> Refusal | None:
    if funds.available >= least_needed(flavor, policy):
        return None
    if not funds.on_roster:
        return NotOnRoster(
            "You are on no section's roster, so you have no GPU-hours. Ask an organizer to add "
            "you; CPU servers work meanwhile."
        )
    if funds.week is None and funds.available <= GpuTime.ZERO:
        return OutsideProgram(
            "No week of the program is running now, so there are no GPU-hours. CPU servers work; "
            "an organizer can give you extra hours."
        )
    return InsufficientBalance(_short_of_hours(flavor, funds, policy), retry_at=_works_from(
        flavor, funds, policy))  # fmt: skip


def _short_of_hours(flavor: Flavor, funds: Funds, policy: Policy) -> str:
    need = least_needed(flavor, policy).hours_text()
    have = max(funds.available, GpuTime.ZERO).hours_text()
    return (
        f"Not enough GPU-hours for {flavor.title}: {have} available, and the shortest session "
        f"({_span(policy.minimum_start_s)}) needs {need}. Start on a CPU, which costs nothing, "
        "or ask an organizer for more hours."
    )


def _works_from(flavor: Flavor, funds: Funds, policy: Policy) -> datetime | None:
    if funds.next_week is None:
        return None
    starts_at, amount = funds.next_week
    return starts_at if amount - funds.debt >= least_needed(flavor, policy) else None


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
