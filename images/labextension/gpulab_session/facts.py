"""What the lab says about a session, read with care, and put into words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gpulab_session.client import Away
from gpulab_session.words import clean, instant_text, span_text

_OFTEN_S, _SELDOM_S = 5.0, 120.0
# A session in one of these has been told to stop.
_ENDING = frozenset({"stopping", "ended"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """As much of the lab's answer as programs need; times are the lab's own."""

    now: datetime
    ends_at: datetime | None
    is_stopping: bool
    poll_after_s: float

    @property
    def left_s(self) -> float | None:
        """Seconds until the session ends at the latest; None where no end is known."""
        return None if self.ends_at is None else (self.ends_at - self.now).total_seconds()


def read_facts(body: dict[str, Any]) -> Facts:
    """Read an answer.

    Raises:
        Away: it is none of the service's.

    """
    try:
        session = body.get("session") or {}
        return Facts(
            now=_instant(body["server_time"]),
            ends_at=_instant(session["ends_at"]) if session.get("ends_at") else None,
            is_stopping=session.get("state") in _ENDING,
            poll_after_s=min(_SELDOM_S, max(_OFTEN_S, float(body.get("poll_after_s") or 30))),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Away(code="nonsense") from error


def left_lines(body: dict[str, Any]) -> list[str]:
    """Say how many hours are left, and when this session ends.

    Raises:
        Away: the answer is none of the service's.

    """
    try:
        return list(_left_lines(body, read_facts(body)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Away(code="nonsense") from error


def _left_lines(body: dict[str, Any], facts: Facts) -> Iterator[str]:
    balance, session, now = body["balance"], body.get("session") or {}, facts.now
    left, granted = clean(balance["available_hours"]), clean(balance["granted_hours"])
    resets_at = balance.get("resets_at")
    more = f" The next ones come {instant_text(_instant(resets_at), now)}." if resets_at else ""
    yield f"{left} GPU-hours left of {granted} this week.{more}"
    flavor = body.get("flavor") or {}
    title = clean(flavor.get("title") or flavor.get("name") or "this session")
    used = clean(session.get("charged_hours") or "0.00")
    end = f"It ends {instant_text(facts.ends_at, now)} at the latest." if facts.ends_at else ""
    if flavor.get("is_gpu"):
        yield f"{title}: {used} GPU-hours so far. {end or 'No end is set.'}"
    else:
        yield f"{title}: costs nothing. {end}".strip()
    if facts.is_stopping:
        why = clean(session.get("end_text") or "")
        yield f"This session is being stopped now. Save your work. {why}".strip()
    use = body.get("use") or {}
    if use.get("release_at"):
        when = instant_text(_instant(use["release_at"]), now)
        yield f"Nobody uses its GPU: it goes to others {when}. `gpulab-session extend` keeps it."
    elif use.get("kept_until"):
        until = _instant(use["kept_until"])
        more = span_text((until - now).total_seconds())
        yield f"The GPU is kept for you for {more} more ({until:%H:%M} UTC)."
    if body.get("help"):
        yield help_line(body["help"])


def help_line(request: dict[str, Any]) -> str:
    """Say what became of a request for help."""
    if request.get("state") == "claimed":
        return f"{clean(request.get('claimed_by') or 'A TA')} has taken your question and comes."
    place = request.get("place")
    return "Your question waits for a TA" + (f", place {place}." if place else ".")


def why_lines(body: dict[str, Any]) -> list[str]:
    """Set out what gave and took hours, and the sum.

    Raises:
        Away: the answer is none of the service's.

    """
    try:
        rows = [(clean(one["hours"]), clean(one["text"])) for one in body["lines"]]
        left = clean(body["available_hours"])
        total = clean(body.get("balance_hours", left))
    except (KeyError, TypeError, AttributeError) as error:
        raise Away(code="nonsense") from error
    if total == left:
        rows.append((left, "GPU-hours left"))
    else:
        rows += [(total, "balance"), (left, "GPU-hours left, the rest is set aside for sessions")]
    width = max(len(hours) for hours, _ in rows)
    return [f"{hours:>{width}}  {text}" for hours, text in rows]


def kept_line(body: dict[str, Any]) -> str:
    """Say until when the GPU is kept.

    Raises:
        Away: the answer is none of the service's.

    """
    try:
        return f"The GPU is kept for you until {_instant(body['kept_until']):%H:%M} UTC."
    except (KeyError, TypeError, ValueError) as error:
        raise Away(code="nonsense") from error


def _instant(text: str) -> datetime:
    """Read an instant; one without an offset is nonsense."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at.astimezone(UTC)
