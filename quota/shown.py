"""Instants, spans and costs as people read them, the same on every page."""

from datetime import datetime
from zoneinfo import ZoneInfo

from quota.gpu_use import SessionUse

LEASE_TEXTS = {
    "waiting": "waiting in the line",
    "held": "starting",
    "active": "running",
    "stopping": "stopping",
    "ended": "ended",
}
# What a session does with its GPU, where that is known.
GPU_TEXTS = {
    "active": "in use",
    "training": "in use",
    "holding": "not used, but its memory is held",
    "empty": "not used",
}


def use_text(use: SessionUse | None, of_mib: int) -> str:
    """Say how busy a session keeps its GPU: '63 % of the time, 3.1 of 16 GiB held'."""
    if use is None or not use.is_measured:
        return "not measured"
    percent, held_mib = use.busy_percent, use.held_mib
    time = "time not measured" if percent is None else f"{percent} % of the time"
    if held_mib is None:
        return time
    return f"{time}, {held_mib / 1024:.1f} of {of_mib / 1024:g} GiB held"


def short_use_text(use: SessionUse | None) -> str:
    """Say the same in a table: '63 %, 3.1 GiB'."""
    if use is None or not use.is_measured:
        return "not measured"
    time = "not measured" if use.busy_percent is None else f"{use.busy_percent} %"
    return time if use.held_mib is None else f"{time}, {use.held_mib / 1024:.1f} GiB"


def moment_text(at: datetime, time_zone: str) -> str:
    """Write an instant for people: 'Monday, 30 November at 00:00 (Europe/Berlin)'."""
    local = at.astimezone(ZoneInfo(time_zone))
    return f"{local:%A}, {local.day} {local:%B at %H:%M} ({time_zone})"


def cost_text(weight_mgpu: int) -> str:
    """Say what an hour costs."""
    if not weight_mgpu:
        return "free"
    return f"{weight_mgpu / 1000:g} GPU-{'hour' if weight_mgpu == 1000 else 'hours'} per hour"


def span_text(seconds: int) -> str:
    """Write a span for people, rounded down so that it never promises too much: '39 h 20 min'."""
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours >= 100:
        return f"{hours} h"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else "less than a minute"
