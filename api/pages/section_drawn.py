"""What a scholar's page within a TA's section shows, with what was typed into its forms."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from starlette.responses import HTMLResponse

from api.pages.attach_form import attach_form
from api.pages.forms import Typed, blank
from api.pages.section import LEASE_TEXTS, MODE_TEXTS, STATE_TEXTS
from api.pages.section_place import Place
from quota import listings
from quota.attachments import Attachment
from quota.help_queue import HelpRequest
from quota.hour_requests import HourRequest
from quota.reserving_ahead import Reserving
from quota.views import AccountView

_REQUESTS_MOST = 10
_ATTACHMENTS_MOST = 20
_RESERVED_MOST = 20


@dataclass(slots=True, kw_only=True)
class Forms:
    """What was typed into the page's forms; answers by request for hours, help by request."""

    grant: Typed = field(default_factory=blank)
    attach: Typed | None = None
    answers: dict[UUID, Typed] = field(default_factory=dict)
    resolve: dict[UUID, Typed] = field(default_factory=dict)
    hand_over: dict[UUID, Typed] = field(default_factory=dict)

    @property
    def every(self) -> list[Typed]:
        """All of them."""
        by_request = (self.answers, self.resolve, self.hand_over)
        found = [typed for some in by_request for typed in some.values()]
        return [self.grant, *found, *([self.attach] if self.attach else [])]


def draw(at: Place, forms: Forms) -> HTMLResponse:
    """Draw the page."""
    books, scholar = at.room.books, at.scholar
    account, is_ta = books.account(scholar), at.access.supports(scholar)
    asked = [one for _, one in at.office.hour_requests(name=scholar)][::-1]
    attachments = at.office.attachments_of(scholar)
    attached = next((one for one in attachments if one.is_open), None)
    hand = at.helping.open_request(scholar)
    is_mine = hand is not None and hand.claimed_by == at.visitor.name
    return at.room.looks.page(
        at.request, "section_person.html", at.visitor,
        status=at.room.looks.typed_status(*forms.every),
        section=books.lab.sections[at.section], account=account,
        explanation=books.explanation(scholar), may_give=is_ta or at.access.is_organizer,
        ta_left=listings.ta_hours_left(books, at.visitor.name), grant=forms.grant,
        reserved=[one for one in Reserving(books).newest(scholar, most=_RESERVED_MOST)
                  if one.is_open],
        asked=asked[:_REQUESTS_MOST], answers=_answer_forms(asked, forms),
        gone=_gone(asked, hand if is_mine else None, forms), is_ta=is_ta,
        attachments=attachments[:_ATTACHMENTS_MOST], attached=attached,
        server=_server_of(attached, account), hand=hand, is_mine=is_mine,
        resolve=_form_of(hand, forms.resolve), hand_over=_form_of(hand, forms.hand_over),
        others=_others(at),
        attaching=attach_form(at, forms.attach) if is_ta else None, flavors=books.lab.flavors,
        state_texts=STATE_TEXTS, lease_texts=LEASE_TEXTS, mode_texts=MODE_TEXTS,
    )  # fmt: skip


def _server_of(attached: Attachment | None, account: AccountView) -> str | None:
    """Return the name of the session that a TA is attached to; None when it is gone."""
    names = (one.lease.server_name for one in account.sessions
             if attached is not None and one.lease.id == attached.lease_id)  # fmt: skip
    return next(names, None)


def _others(at: Place) -> list[tuple[str, str]]:
    """Return the other TAs of the section, as a form offers them."""
    tas = at.room.books.lab.sections[at.section].tas
    return [(one, one) for one in tas if one != at.visitor.name]


def _form_of(hand: HelpRequest | None, typed: dict[UUID, Typed]) -> Typed:
    return (typed.get(hand.id) if hand else None) or blank()


def _answer_forms(asked: Sequence[HourRequest], forms: Forms) -> list[tuple[HourRequest, Typed]]:
    """Return the open requests, each with its form; unless typed, it says what was asked for."""
    return [
        (one, forms.answers.get(one.id) or blank(hours=one.hours.hours_text()))
        for one in asked[::-1] if one.state == "open"
    ]  # fmt: skip


def _gone(asked: Sequence[HourRequest], mine: HelpRequest | None, forms: Forms) -> list[Typed]:
    """Return what was typed about requests that cannot be answered any more."""
    still = {one.id for one in asked if one.state == "open"} | ({mine.id} if mine else set())
    typed = {**forms.answers, **forms.resolve, **forms.hand_over}
    return [one for key, one in typed.items() if key not in still]
