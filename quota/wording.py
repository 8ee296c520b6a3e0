"""The sentences that the books say to people: plain, short and kind."""

from datetime import datetime

from quota.amount import GpuTime
from quota.lab_line import LinePolicy
from quota.lab_people import Section
from quota.leases import Lease

WAIT_TEXTS: dict[str, str] = {
    "all_taken": "All GPUs of this kind are taken. You keep your place while the waiting page is "
    "open.",
    "reserved": "What is free is kept for the co-working hours of another section.",
    "kept_for_larger": "A GPU is being kept free for a larger session that has waited longer.",
    "many_starting": "Your turn has come; other sessions are starting just now.",
    "no_gpus_known": "The lab has not found its GPUs yet. This should take less than a minute.",
    "not_there": "Your turn has come. Open the waiting page to start; your place is kept.",
    "previous_ending": "Your previous session is still ending. This one starts right after it.",
}


def kept_text(title: str, starts_at: datetime, ends_at: datetime) -> str:
    """Say for whom a free GPU is kept, on the clocks of the instants; without a title, a scholar.

    Who that is, is nobody else's business.
    """
    whom = f"the co-working hours of {title}" if title else "a scholar who has reserved it"
    return (
        f"A GPU is free, but kept for {whom}, {starts_at:%A %H:%M} to "
        f"{ends_at:%H:%M} ({ends_at:%Z}). You keep your place while the waiting page is open."
    )


def order_text(
    rule: LinePolicy, used_permille: int, *, meets: bool, reserves: bool = False
) -> str:
    """Say in which order people of the line are served."""
    steps = ["who has reserved this time"] if reserves else []
    steps.append(f"who has waited {rule.aged_after_min} minutes")
    if rule.co_working_first and meets:
        steps.append("sections in their co-working hours")
    if rule.fair_share:
        used = (used_permille + 5) // 10
        steps.append(f"who has used the smaller part of their GPU-hours (you: {used} %)")
    return f"First comes {', then '.join(steps)}, then who came first."


def warning_text(left_ms: int) -> str:
    """Say how much GPU time is left, rounded down so that it never promises too much."""
    left = _span(left_ms)
    return (
        f"{left} of GPU time left. Save your work: files are kept, but what is only in memory is "
        "lost when the session stops. You can go on with a CPU server afterwards."
    )


def closing_text(left_ms: int, title: str) -> str:
    """Say that the GPUs will be closed, why, and what to do."""
    return (
        f"The GPUs close in {_span(left_ms)}: {title}. Save your work: files are kept, but what "
        "is only in memory is lost when the session stops. You can go on with a CPU server."
    )


def _whom(lease: Lease) -> str:
    """Say for whom the GPU of a session is reserved."""
    others = "another section's co-working hours"
    return others if lease.yields_to is None else "another scholar"


def yields_later_text(at: datetime, lease: Lease) -> str:
    """Say when the GPU of a session will be reserved, on the clocks of `at`."""
    return (
        f"This GPU is reserved for {_whom(lease)} from "
        f"{at:%A, %d %B at %H:%M} ({at:%Z}) on. Your session on it ends then at the latest."
    )


def yielding_text(left_ms: int, lease: Lease) -> str:
    """Say that the GPU is reserved for others soon, and what to do."""
    return (
        f"Your GPU is reserved for {_whom(lease)} in {_span(left_ms)}. Save "
        "your work: files are kept, but what is only in memory is lost when the session stops. "
        "You can ask for another GPU afterwards, or go on with a CPU server."
    )


def yielded_text(lease: Lease) -> str:
    """Say that a session was stopped because its GPU is reserved from now on."""
    return (
        f"Your session on {lease.flavor} was stopped because its GPU is reserved for "
        f"{_whom(lease)} from now on. Your files are kept. You can ask for another "
        "GPU, or go on at once on a CPU."
    )


def reservation_text(
    state: str, flavor: str, starts_at: datetime, ends_at: datetime, no_show_min: int
) -> str | None:
    """Say what became of a reservation, on the clocks of the instants; None if that is no news."""
    what = f"What you reserved, {flavor} from {starts_at:%A, %d %B at %H:%M} ({starts_at:%Z}) on,"
    if state == "begins":
        return (
            f"Your reserved time has begun: {flavor} until {ends_at:%H:%M} ({ends_at:%Z}). Start "
            f"a session within {no_show_min} minutes; after that it is given to others."
        )
    if state == "no_show":
        return f"{what} was given to others: you had no session for {no_show_min} minutes."
    if state == "called_off":
        return f"{what} cannot be kept: no GPU has room for it any more. It cost nothing."
    if state == "used":
        return f"{what} was given to others: you have another session already."
    return None


def lost_text(lease: Lease) -> str:
    """Say that a session was stopped because its GPU is gone, and about the hours."""
    return (
        f"Your session on {lease.flavor} was stopped because its GPU has failed. Your files are "
        "kept. You can ask for another GPU, or go on at once on a CPU. An organizer can give the "
        "GPU-hours of the failure back."
    )


def closed_text(lease: Lease, title: str) -> str:
    """Say that a session was stopped because the GPUs are closed."""
    return (
        f"Your session on {lease.flavor} was stopped because the GPUs are closed: {title}. Your "
        "files are kept. You can go on at once on a CPU."
    )


def stopped_text(
    lease: Lease, next_week: tuple[datetime, GpuTime] | None, section: Section | None
) -> str:
    """Say why a session was stopped, what is kept, and what can be done next."""
    text = (
        f"Your session on {lease.flavor} was stopped because the GPU-hours are used up. Your "
        "files are kept. You can go on at once on a CPU, or ask an organizer for more hours."
    )
    if next_week is None or section is None:
        return text
    starts_at, amount = next_week
    local = starts_at.astimezone(section.zone)
    return (
        f"{text} {amount.hours_text()} new GPU-hours come on "
        f"{local:%A, %d %B at %H:%M} ({section.time_zone})."
    )


def turn_text(lease: Lease, until: datetime) -> str:
    """Say that somebody's turn has come while they work on a CPU, on the clocks of `until`."""
    return (
        f"Your turn has come: a GPU for {lease.flavor} is kept for you until {until:%H:%M} "
        f"({until:%Z}). Save your work, then start the session from the lab's home page."
    )


def passed_text(lease: Lease) -> str:
    """Say that a turn came and went."""
    return (
        f"Your turn for {lease.flavor} came, and the GPU was kept for you, but you did not start "
        "the session in time. It has gone to the next in the line; you can ask again."
    )


def place_refused_text(lease: Lease, why: str) -> str:
    """Say that a place that was kept is given up because it would be refused now."""
    return f"Your place in the line for {lease.flavor} is given up. {why}"


def _span(left_ms: int) -> str:
    minutes = left_ms // 60_000
    if minutes >= 1:
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    return f"{max(left_ms // 1000, 0)} seconds"


def forgotten_text(lease: Lease) -> str:
    """Say that the hub has lost a session, that it is charged, and how it ends."""
    charged = " and is charged" if lease.weight_mgpu else ""
    return (
        f"The hub has lost your session on {lease.flavor}, so you cannot open it. It still runs"
        f"{charged}. Start a session: that ends the lost one. Your files are kept."
    )
