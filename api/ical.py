"""A section's calendar as iCalendar, all times in UTC, so that every program shows them right."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from icalendar import Calendar, Event, vDuration

from quota.section_week import SectionWeek, section_weeks
from quota.service import Books

_EVENTS = UUID("6f0b2d5e-3a59-5c0b-9a3f-0e6f7f5f1c55")
_REFRESH = timedelta(hours=1)


def section_calendar(books: Books, section: str) -> bytes:
    """Write the calendar of a section of these books, as it is now."""
    lab, now = books.lab, books.clock.now()
    found = lab.sections[section]
    return calendar_of(lab.name, found.title or section, section_weeks(lab, found, now),
                       hub_id=books.hub_id, now=now)  # fmt: skip


def calendar_of(
    lab_name: str, title: str, weeks: Iterable[SectionWeek], *, hub_id: str, now: datetime
) -> bytes:
    """Write resets, due dates, co-working and office hours, and blackouts of a section."""
    calendar = Calendar()
    calendar.add("prodid", "-//gpulab//calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"{lab_name}: {title}")
    calendar.add("refresh-interval", vDuration(_REFRESH), parameters={"VALUE": "DURATION"})
    seen = set()
    for key, summary, starts_at, ends_at, text in _entries(weeks):
        uid = uuid5(_EVENTS, f"{hub_id}/{key}")
        if uid in seen:
            # A blackout across two weeks stands in both.
            continue
        seen.add(uid)
        event = Event()
        event.add("uid", f"{uid}@gpulab")
        event.add("dtstamp", now.replace(microsecond=0))
        event.add("dtstart", starts_at)
        event.add("dtend", ends_at)
        event.add("summary", summary)
        if text:
            event.add("description", text)
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _entries(
    weeks: Iterable[SectionWeek],
) -> Iterator[tuple[str, str, datetime, datetime, str]]:
    for one in weeks:
        at, of = one.week.starts_at, f"{one.section}"
        number = "" if one.week.number is None else f" {one.week.number}"
        topic = f": {one.week.topic}" if one.week.topic else ""
        yield (f"{of}/reset/{at.isoformat()}", f"Week{number} begins{topic}", at, at,
               "The GPU-hours of the new week are there; those of the week before lapse."
               )  # fmt: skip
        for due in one.due:
            extra = f"{due.hours.hours_text()} extra GPU-hours until then." if due.hours else ""
            yield f"{of}/due/{due.name}", f"Due: {due.title}", due.due_at, due.due_at, extra
        for kind, windows in (("co-working", one.co_working), ("office", one.office_hours),
                              ("closed", one.blackouts)):  # fmt: skip
            for window in windows:
                key = f"{of}/{kind}/{window.title}/{window.starts_at.isoformat()}"
                prefix = "GPUs closed: " if kind == "closed" else ""
                yield key, f"{prefix}{window.title}", window.starts_at, window.ends_at, ""
