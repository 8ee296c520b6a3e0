"""Raised hands as news: for the TAs of the section, and for who raised one. Pure."""

from datetime import datetime, timedelta

from quota.help_queue import HelpRequest
from quota.lab import Lab
from quota.telling import News

# Nobody sits with a question for longer without a TA being told again.
UNCLAIMED_AFTER = timedelta(minutes=10)


def raised_news(lab: Lab, person: str, request: HelpRequest) -> list[News]:
    """Tell the TAs of a section that somebody asks for help."""
    text = f"{person} asks for help{_where(request)}: {request.message}"
    return [
        News(kind="help_raised", person=ta, occasion=f"help_raised:{request.id}", text=text,
             at=request.raised_at)
        for ta in _tas_of(lab, person)
    ]  # fmt: skip


def unclaimed_news(lab: Lab, person: str, request: HelpRequest) -> list[News]:
    """Tell them again that nobody has taken it up."""
    minutes = int(UNCLAIMED_AFTER.total_seconds() // 60)
    text = (f"Nobody has taken up {person}'s question for {minutes} minutes"
            f"{_where(request)}: {request.message}")  # fmt: skip
    return [
        News(kind="help_unclaimed", person=ta, occasion=f"help_unclaimed:{request.id}", text=text,
             at=request.raised_at + UNCLAIMED_AFTER)
        for ta in _tas_of(lab, person)
    ]  # fmt: skip


def claimed_news(person: str, request: HelpRequest, now: datetime) -> list[News]:
    """Tell a scholar who takes up the question; nothing when nobody does."""
    if request.state != "claimed" or request.claimed_by is None:
        return []
    return [News(kind="help_claimed", person=person, at=now,
                 occasion=f"help_claimed:{request.id}:{request.claimed_by[:200]}",
                 text=f"{request.claimed_by} takes up your question.")]  # fmt: skip


def _tas_of(lab: Lab, person: str) -> tuple[str, ...]:
    section = lab.section_of(person)
    return () if section is None else section.tas


def _where(request: HelpRequest) -> str:
    return f" with {request.path}" if request.path else ""
