"""How long an emergency lasts at most, and when what was started in it has to have ended. Pure."""

from datetime import datetime, timedelta

MOST_HOURS = 4
MOST_LENGTH = timedelta(hours=MOST_HOURS)


def end_of_start(text: str, started_at: datetime | None) -> datetime | None:
    """Read the last moment that a session carries itself; None where it carries none.

    What cannot be read, or lies further ahead than any may, is no reason to let it run on.
    """
    if not text or started_at is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return started_at
    if at.tzinfo is None:
        return started_at
    return min(at, started_at + MOST_LENGTH)
