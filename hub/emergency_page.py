"""`/hub/gpulab/emergency`, where organizers open and close emergency mode, and its banner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from hub.emergency import EmergencyMode, Record
from hub.policy import HasLab
from hub.roles import ADMIN_SCOPE
from quota.emergency import BadOpening, Emergency
from quota.emergency_times import MOST_HOURS
from quota.lab import Lab
from quota.shown import moment_text, span_text

_NOT_KEPT = "The emergency could not be written down, so nothing has changed: is the disk full?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An emergency as the page lists it."""

    opened_by: str
    reason: str
    opened: str
    ended: str
    sessions: int
    is_told: bool


class Banner:
    """What every page of the hub says while an emergency is open."""

    def __init__(self, mode: EmergencyMode, policy: HasLab) -> None:
        self._mode = mode
        self._policy = policy

    def text(self, user: Any) -> str:
        """Say it to who is logged in; nothing when nobody is, or no emergency is open."""
        one = self._mode.now_open()
        if one is None or user is None:
            return ""
        return banner_text(one, self._policy.lab, user.name)


def banner_text(one: Emergency, lab: Lab, name: str) -> str:
    """Say until when, and what that means for who starts a session."""
    longest = span_text(lab.policy.outage_horizon_s)
    return (
        f"Emergency mode until {moment_text(one.until, zone_of(lab, name))}. While the lab's "
        "books are away, GPU sessions start without them: one for each of you, until then or "
        f"{longest} after your first start, whichever is earlier. What it costs is charged when "
        "the books are back."
    )


def own_end_text(ends_at: datetime | None, lab: Lab, name: str) -> str:
    """Say when a person's own session ends that was started without the books."""
    if ends_at is None:
        return ""
    return (
        " A GPU session that you started without the books ends on "
        f"{moment_text(ends_at, zone_of(lab, name))}, unless they are back by then. Save your "
        "work before."
    )


def zone_of(lab: Lab, name: str) -> str:
    """Name the time zone in which a person reads."""
    section = lab.section_of(name)
    return section.time_zone if section else "UTC"


def past(record: Record, zone: str) -> Past:
    """Lay out an emergency for the page."""
    one = record.one
    ended = moment_text(one.until, zone)
    if one.closed_at is not None:
        ended = f"{moment_text(one.closed_at, zone)}, closed by {one.closed_by}"
    return Past(
        opened_by=one.opened_by, reason=one.reason, opened=moment_text(one.opened_at, zone),
        ended=ended, sessions=len(record.starts), is_told=record.is_settled,
    )  # fmt: skip


class EmergencyHandler(BaseHandler):
    """The page and its two forms; JupyterHub checks whence a form comes."""

    def initialize(self, mode: Callable[[], EmergencyMode], lab: Callable[[], Lab]) -> None:
        """Take the switch, and the rules in force."""
        self._mode = mode()
        self._lab = lab

    @web.authenticated
    async def get(self) -> None:
        """Show whether an emergency is open, and the form that opens one."""
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        """Open or close an emergency, or say what is wrong with what was typed."""
        name = self._organizer()
        typed = {key: self.get_body_argument(key, "") for key in ("hours", "reason")}
        try:
            if self.get_body_argument("do", "") == "close":
                self._mode.close(by=name)
            else:
                self._mode.open(typed["hours"], typed["reason"], by=name)
        except BadOpening as bad:
            self.set_status(422)
            await self._show(typed=typed, faults=bad.faults)
        except OSError as error:
            self.log.error("the emergency could not be kept: %s", error)
            self.set_status(503)
            await self._show(typed=typed, faults={"reason": _NOT_KEPT})
        else:
            self.redirect(self.request.path)

    def _organizer(self) -> str:
        if ADMIN_SCOPE not in self.expanded_scopes:
            raise web.HTTPError(403, "Only organizers may open and close emergency mode.")
        return str(self.current_user.name)

    async def _show(
        self, *, typed: dict[str, str] | None = None, faults: dict[str, str] | None = None
    ) -> None:
        name, lab = self._organizer(), self._lab()
        zone = zone_of(lab, name)
        records = self._mode.records
        self.set_header("Cache-Control", "no-store")
        html: Any = await self.render_template(
            "emergency.html",
            open=self._mode.now_open(), most_hours=MOST_HOURS,
            longest=span_text(lab.policy.outage_horizon_s),
            typed=typed or {"hours": "1", "reason": ""}, faults=faults or {},
            past=[past(each, zone) for each in reversed(records)],
        )  # fmt: skip
        self.finish(html)
