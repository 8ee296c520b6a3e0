"""What people can be told outside the lab, where and when. Pure; `quota.outbox` writes it down.

What the lab shows by itself (the notices of an account) is always told; this is about channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from quota.agenda import ta_zone
from quota.calendar import days_later, local_instant
from quota.lab import Lab
from quota.lab_channels import Channel, Chooser, QuietHours

NoticeKind = Literal[
    "half_used", "most_used", "minutes_left", "stopped", "idle_warning", "your_turn",
    "grant_given", "request_decided", "attached", "detached", "help_claimed", "week_reset",
    "help_raised", "help_unclaimed", "hours_request", "bulk_result", "reservation_begins",
    "reservation_over", "week_report",
]  # fmt: skip

_MOST_TEXT_CHARS = 600
_ROOM = ""
_SOON, _TODAY, _LATER = timedelta(hours=2), timedelta(hours=24), timedelta(hours=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of message: for whom, and after how long nobody wants to read it any more."""

    title: str
    audience: Chooser
    lasts: timedelta
    is_urgent: bool = False


KINDS: Mapping[NoticeKind, Kind] = {
    "half_used": Kind(title="Half of the GPU-hours are used", audience="scholars", lasts=_TODAY),
    "most_used": Kind(title="Most of the GPU-hours are used", audience="scholars", lasts=_TODAY),
    "minutes_left": Kind(title="The session ends soon", audience="scholars",
                         lasts=timedelta(minutes=15), is_urgent=True),
    "stopped": Kind(title="The session was stopped", audience="scholars", lasts=_TODAY,
                    is_urgent=True),
    "idle_warning": Kind(title="The GPU is not used", audience="scholars",
                         lasts=timedelta(minutes=10)),
    "your_turn": Kind(title="It is your turn", audience="scholars",
                      lasts=timedelta(minutes=10), is_urgent=True),
    "reservation_begins": Kind(title="The reserved time begins", audience="scholars",
                               lasts=timedelta(minutes=15), is_urgent=True),
    "reservation_over": Kind(title="A reservation was given back", audience="scholars",
                             lasts=_TODAY),
    "grant_given": Kind(title="GPU-hours were given", audience="scholars", lasts=_LATER),
    "request_decided": Kind(title="A request was answered", audience="scholars", lasts=_LATER),
    "attached": Kind(title="A TA is attached", audience="scholars", lasts=_SOON),
    "detached": Kind(title="A TA is no longer attached", audience="scholars", lasts=_TODAY),
    "help_claimed": Kind(title="A TA takes your question", audience="scholars", lasts=_SOON),
    "week_reset": Kind(title="A new week has begun", audience="scholars", lasts=_TODAY),
    "help_raised": Kind(title="Somebody asks for help", audience="tas", lasts=_SOON),
    "help_unclaimed": Kind(title="Nobody has taken a question", audience="tas", lasts=_SOON),
    "hours_request": Kind(title="Somebody asks for GPU-hours", audience="organizers",
                          lasts=_LATER),
    "bulk_result": Kind(title="A bulk grant is done", audience="organizers", lasts=_LATER),
    "week_report": Kind(title="The report of a week", audience="organizers", lasts=_LATER),
}  # fmt: skip

# Told to whoever has chosen nothing, on the channels that the lab marks for that.
_DEFAULT: NoticeKind = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that happened, for one person. The `occasion` is its name: it is told once."""

    kind: NoticeKind
    person: str
    occasion: str
    text: str
    at: datetime
    lasts: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message for one channel; `person` is empty where a room is told."""

    id: UUID
    occasion: str
    kind: NoticeKind
    channel: str
    person: str
    text: str
    at: datetime
    due_at: datetime
    stale_at: datetime
    attempts: int = 0


# -- who may choose what ---------------------------------------------------------------------


def roles_of(lab: Lab, person: str) -> frozenset[Chooser]:
    """Tell as what the rules know a person."""
    roles: dict[Chooser, bool] = {
        "scholars": lab.section_of(person) is not None,
        "tas": bool(lab.sections_of_ta(person)),
        "organizers": person in lab.organizers,
    }
    return frozenset(role for role, is_one in roles.items() if is_one)


def channels_for(lab: Lab, person: str) -> tuple[Channel, ...]:
    """Return the channels that a person may choose."""
    roles = roles_of(lab, person)
    return tuple(one for one in lab.channels.values() if not roles.isdisjoint(one.chosen_by))


def kinds_for(lab: Lab, person: str) -> tuple[NoticeKind, ...]:
    """Return what a person can be told."""
    roles = roles_of(lab, person)
    return tuple(kind for kind, one in KINDS.items() if one.audience in roles)


def default_channels(lab: Lab, person: str, kind: NoticeKind) -> tuple[str, ...]:
    """Return where a person is told something who has not chosen."""
    if kind != _DEFAULT:
        return ()
    return tuple(one.name for one in channels_for(lab, person) if one.default)


# -- from news to letters --------------------------------------------------------------------


def letters_of(lab: Lab, news: News, chosen: Sequence[str] | None) -> list[Letter]:
    """Address one piece of news: a letter for each channel that holds for the person now.

    What was chosen and is no longer offered, or not to this person, is passed over.
    """
    wanted = default_channels(lab, news.person, news.kind) if chosen is None else chosen
    offered = {one.name: one for one in channels_for(lab, news.person)}
    kind = KINDS[news.kind]
    due_at = send_at(lab, news.kind, news.person, news.at)
    stale_at = news.at + (kind.lasts if news.lasts is None else news.lasts)
    return [
        Letter(
            id=uuid4(), occasion=news.occasion, kind=news.kind, channel=name,
            person=news.person if offered[name].to_person else _ROOM,
            text=_text_for(offered[name], news, kind), at=news.at, due_at=due_at,
            stale_at=stale_at,
        )
        for name in wanted if name in offered
    ]  # fmt: skip


def send_at(lab: Lab, kind: NoticeKind, person: str, at: datetime) -> datetime:
    """Return when something may be sent: at once, or when a person's quiet hours are over."""
    if lab.quiet_hours is None or KINDS[kind].is_urgent:
        return at
    return awake_at(lab.quiet_hours, zone_of(lab, person), at)


def zone_of(lab: Lab, person: str) -> ZoneInfo:
    """Return the zone of a person's clocks: the section's, else a TA's, else UTC."""
    section = lab.section_of(person)
    return ta_zone(lab, person) if section is None else section.zone


def awake_at(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> datetime:
    """Return an instant, or the end of the quiet hours that it lies in."""
    local = at.astimezone(zone)
    if not quiet.covers(local.hour * 60 + local.minute):
        return at
    hour, minute = divmod(quiet.ends % (24 * 60), 60)
    ends_at = time(hour, minute)
    day = local.date() if local.time() < ends_at else days_later(local.date(), 1)
    end = datetime.combine(day, ends_at)
    first = local_instant(end, zone)
    # Where the clocks are set back, the end comes twice, and may have passed once already.
    return first if first > at else max(at, end.replace(tzinfo=zone, fold=1).astimezone(UTC))


def _text_for(channel: Channel, news: News, kind: Kind) -> str:
    """In a room it has to be said whom it is about; what TAs and organizers get says so itself."""
    about = "" if channel.to_person or kind.audience != "scholars" else f"{news.person}: "
    text = about + news.text
    return text if len(text) <= _MOST_TEXT_CHARS else text[: _MOST_TEXT_CHARS - 3] + "..."


def once(letters: Iterable[Letter]) -> list[Letter]:
    """Keep one of the letters that say the same in the same place."""
    found = {(one.occasion, one.channel, one.person): one for one in letters}
    return list(found.values())
