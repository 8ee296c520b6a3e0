"""Instants, spans and costs as people read them, the same on every page."""

from datetime import datetime
from zoneinfo import ZoneInfo

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
