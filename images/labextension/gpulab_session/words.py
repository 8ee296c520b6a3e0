"""How things are said to a scholar, on a terminal or below a cell. Pure but for `say`."""

import sys
from datetime import datetime

_LONGEST_TEXT = 400


def say(text: str, *, to_errors: bool = False) -> None:
    """Print a line at once, whatever is buffered; a terminal that has gone is no trouble."""
    stream = sys.stderr if to_errors else sys.stdout
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            # A terminal of few letters.
            print(ascii(text)[1:-1], file=stream, flush=True)
    except (OSError, ValueError):
        # The terminal, or the notebook's server, has ended before its program.
        return


def clean(text: object) -> str:
    """Return a text as one line without anything that steers a terminal."""
    letters = "".join(one if one.isprintable() else " " for one in str(text)[:_LONGEST_TEXT])
    return " ".join(letters.split())


def span_text(seconds: float) -> str:
    """Say how long something lasts, as exactly as anybody wants to know."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} days"


def instant_text(at: datetime, now: datetime) -> str:
    """Say when something is: how long from now, and the time of day in UTC."""
    day = "%H:%M" if at.date() == now.date() else "%a %d %b %H:%M"
    return f"in {span_text((at - now).total_seconds())} ({at.strftime(day)} UTC)"


def bytes_text(count: int) -> str:
    """Say how much room something takes."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
