"""How the pages look: one Jinja environment, its filters, and the answer that a page is."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from api.pages.addresses import PREFIX, Addresses
from api.pages.assets import asset_url
from api.pages.cookies import WORD, Cookies
from api.pages.forms import Typed
from api.pages.visitor import FIELD, Visitor
from quota.amount import GpuTime
from quota.clock import Clock
from quota.lab import Lab
from quota.session_states import StoredState
from quota.shown import cost_text, moment_text, short_use_text, span_text, use_text

TEMPLATES: Final = Path(__file__).parent.parent / "templates"

# Nothing from elsewhere, nothing inline, no eval; Bootstrap's own pictures are `data:`.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'{hub}; frame-ancestors 'none'; "
    "base-uri 'none'"
)


class Looks:
    """Renders pages."""

    def __init__(
        self, addresses: Addresses, cookies: Cookies, clock: Clock, lab: Callable[[], Lab]
    ) -> None:
        self._cookies = cookies
        self._clock = clock
        self._lab = lab
        # Signing out and in again leads to the hub, from a form, too.
        hub = f" {addresses.public_host}" if addresses.public_host else ""
        self._headers = {
            "Content-Security-Policy": _POLICY.format(hub=hub),
            "Cross-Origin-Opener-Policy": "same-origin",
            # Without a referrer browsers send forms from the origin "null".
            "Referrer-Policy": "same-origin",
        }
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(),
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._environment.filters |= {
            "hours": GpuTime.hours_text, "span": span_text, "cost": cost_text,
            "moment": self._moment, "day": self._day, "ago": self._ago, "left": self._left,
            "since": self._since, "clock": self._clock_time, "when": self._when,
            "use": _use, "short_use": _short_use,
        }  # fmt: skip
        self._environment.globals |= {
            "asset": asset_url, "hub": addresses.hub, "page": addresses.page, "prefix": PREFIX,
            "proof_field": FIELD, "session_url": addresses.session,
        }  # fmt: skip

    def page(
        self, request: Request, template: str, visitor: Visitor | None = None, *,
        status: int = 200, **values: object,
    ) -> HTMLResponse:  # fmt: skip
        """Render a whole page; the word that a deed before left is said once."""
        word = self._cookies.said(request)
        text = self._text(template, visitor, word=word, **values)
        answer = HTMLResponse(text, status_code=status, headers=self._headers)
        if word:
            self._cookies.forget(answer, WORD)
        return answer

    def part(
        self, template: str, visitor: Visitor | None = None, **values: object
    ) -> HTMLResponse:
        """Render a part of a page that refreshes by itself."""
        return HTMLResponse(self._text(template, visitor, word="", **values),
                            headers=self._headers)  # fmt: skip

    def typed_status(self, *forms: Typed) -> int:
        """Return the status of a page: 422 when something that was typed is wrong."""
        return 200 if all(one.is_good for one in forms) else 422

    def _text(self, template: str, visitor: Visitor | None, **values: object) -> str:
        now = self._clock.now()
        shown: dict[str, Any] = {
            "visitor": visitor, "now": now, "lab_name": self._lab().name,
            "time_zone": _zone_of(visitor, self._lab()), **values,
        }  # fmt: skip
        return self._environment.get_template(template).render(shown)

    def _moment(self, at: datetime | None, time_zone: str = "UTC") -> Markup:
        """Write an instant for people, with the exact one for programs."""
        if at is None:
            return Markup()
        return _time(at, moment_text(at, time_zone))

    def _when(self, at: datetime | None, time_zone: str = "UTC") -> Markup:
        """Write an instant on a page that has said in which zone its times are."""
        return Markup() if at is None else _time(at, moment_text(at, time_zone).partition(" (")[0])

    def _day(self, at: datetime, time_zone: str = "UTC") -> str:
        return moment_text(at, time_zone).partition(" at ")[0]

    def _left(self, at: datetime) -> str:
        """Say how long it is until an instant."""
        return span_text(max(0, int((at - self._clock.now()).total_seconds())))

    def _since(self, at: datetime) -> str:
        """Say how long it has been since an instant."""
        return span_text(max(0, int((self._clock.now() - at).total_seconds())))

    def _clock_time(self, at: datetime, time_zone: str = "UTC") -> Markup:
        """Write an instant of a day that has been named already."""
        return _time(at, moment_text(at, time_zone).partition(" at ")[2].partition(" (")[0])

    def _ago(self, at: datetime) -> str:
        """Say how long ago something was."""
        seconds = int((self._clock.now() - at).total_seconds())
        return "just now" if seconds < 60 else f"{span_text(seconds)} ago"


def _time(at: datetime, shown: str) -> Markup:
    exact = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(exact, shown)


def _use(state: StoredState | None, of_mib: int) -> str:
    return use_text(None if state is None else state.use, of_mib)


def _short_use(state: StoredState | None) -> str:
    return short_use_text(None if state is None else state.use)


def _zone_of(visitor: Visitor | None, lab: Lab) -> str:
    """Return the zone in which somebody reads times: their section's, or the one they support."""
    if visitor is None:
        return "UTC"
    section = lab.section_of(visitor.name)
    if section is None:
        section = next(iter(lab.sections_of_ta(visitor.name)), None)
    return section.time_zone if section else "UTC"
