"""Refusals as JupyterHub shows them: one map from the service's codes to status and next step.

Every one is a `SpawnException`, which the hub never counts as a failure of its own: with
`consecutive_failure_limit` set, a service that is down must not make the hub stop itself.
"""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from types import MappingProxyType

from jupyterhub.spawner import SpawnException

from quota.shown import moment_text

STATUS = MappingProxyType(
    {
        "insufficient_balance": 429,
        "outside_program": 403,
        "gpus_closed": 403,
        "not_on_roster": 403,
        "already_running": 409,
        "too_many_sessions": 409,
        "flavor_cannot_be_placed": 409,
        "lease_conflict": 409,
        "grant_conflict": 409,
        "no_such_flavor": 422,
        "no_such_image": 422,
        "no_such_lease": 404,
        "no_such_account": 404,
        "bad_amount": 422,
        "bad_choice": 422,
        # The hub never asks for these; they are here so that the map is whole.
        "bad_text": 422,
        "id_conflict": 409,
        "budget_spent": 409,
        "already_decided": 409,
        "not_attachable": 409,
        "attach_needs_subdomains": 409,
        "attach_not_consented": 409,
        "observe_not_possible": 409,
        "not_yours": 409,
        "gpu_is_wanted": 409,
        "stale_edit": 412,
        "bad_rule": 422,
        "no_such_thing": 404,
        "no_reservations": 409,
        "too_many_reservations": 409,
        "nothing_free": 409,
        "bad_start": 422,
        "bad_length": 422,
    }
)
"""Every refusal of the books, with the status that the hub's own API answers."""

_OTHER_STATUS = 409

EMERGENCY_PAGE = "gpulab/emergency"
"""Where organizers open an emergency, under the hub's own address."""


class Refused(SpawnException):
    """A start that is not to be, with a sentence for the person who wanted it.

    JupyterHub 6.1 prints `str(error)` unless the two `jupyterhub_...` attributes are set.
    """

    def __init__(
        self, message: str, *, reason: str, status_code: int = 400, message_html: str = ""
    ) -> None:
        super().__init__(
            message, reason=reason, status_code=status_code, message_html=message_html
        )
        self.jupyterhub_message = message
        self.jupyterhub_html_message = message_html or f"<p>{escape(message)}</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whom a refusal is for: their time zone, and where their hours are shown."""

    time_zone: str
    home_url: str
    is_organizer: bool = False


def refused(
    code: str,
    detail: str,
    *,
    reader: Reader,
    retry_at: datetime | None = None,
    ask: str | None = None,
) -> Refused:
    """Make a refusal of the books fit for the hub."""
    sentences = [detail]
    if retry_at is not None:
        sentences.append(f"It will work again on {moment_text(retry_at, reader.time_zone)}.")
    # The books' own sentence often names the organizers already.
    if ask is not None and ask not in detail and "organizer" not in detail:
        sentences.append(ask)
    reason = code if code in STATUS else "refused"
    return _refused(" ".join(sentences), reason, STATUS.get(code, _OTHER_STATUS), reader)


def service_away(reader: Reader) -> Refused:
    """Refuse a GPU while nobody can tell whether it may be had."""
    sentence = (
        "The lab's books of GPU-hours cannot be reached just now, so no GPU session can start. "
        "Running sessions go on, and sessions without a GPU can be started. Try again in a "
        "minute or two."
    )
    return _refused(sentence, "quota_unavailable", 503, reader, leads_to_emergency=True)


def no_room_in_emergency(sentence: str, reader: Reader) -> Refused:
    """Refuse a GPU while the books are away although an emergency is open."""
    return _refused(sentence, "emergency_no_room", 503, reader)


def ended_early(text: str | None, reader: Reader) -> Refused:
    """Refuse what the books ended while it waited or was about to start."""
    sentence = text or "The request ended before the session started."
    return _refused(f"{sentence} You can start again.", "ended_early", 409, reader)


def place_kept(reader: Reader) -> Refused:
    """End a start whose place in the line is kept for later."""
    sentence = (
        "Your place in the line is kept while you work on a CPU. You will be told on the home "
        "page when your turn has come."
    )
    return _refused(sentence, "place_kept", 409, reader)


def bad_choice(message: str) -> Refused:
    """Refuse options that are none of the lab's."""
    return Refused(message, reason="bad_options", status_code=422)


def went_wrong(reader: Reader) -> Refused:
    """Refuse when something broke that should not: the hub goes on."""
    sentence = (
        "The session could not be prepared because of a fault in the lab; it is logged. Try "
        "again, and tell an organizer if it stays."
    )
    return _refused(sentence, "fault", 503, reader)


def _refused(
    sentence: str, reason: str, status_code: int, reader: Reader, *,
    leads_to_emergency: bool = False,
) -> Refused:  # fmt: skip
    home_url = escape(reader.home_url, quote=True)
    html = f'<p>{escape(sentence)}</p><p><a href="{home_url}">See your GPU-hours</a></p>'
    if leads_to_emergency and reader.is_organizer:
        # Beside the home page, which is where the hub's own pages are.
        url = home_url.removesuffix("home") + EMERGENCY_PAGE
        html += f'<p>As an organizer you can open the <a href="{url}">emergency mode</a>.</p>'
    return Refused(sentence, reason=reason, status_code=status_code, message_html=html)
