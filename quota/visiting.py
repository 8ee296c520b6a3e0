"""Who may come into a running session: by the lab's address, by consent, by the session. Pure.

A session that is shared runs whatever its scholar wrote in the browser of the TA who opens it, so
it has to have a host of its own (promises, F7). And it has to tell visitors apart by itself:
JupyterHub lets whoever has a share do everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from quota.attachments import Attachment, AttachMode
from quota.errors import (
    AttachNeedsSubdomains,
    AttachNotConsented,
    NotAttachable,
    ObserveNotPossible,
)

ConsentChoice = Literal["always", "asking"]
CONSENT_CHOICES: tuple[ConsentChoice, ...] = get_args(ConsentChoice)
DEFAULT_CONSENT: ConsentChoice = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """When a scholar lets TAs of the section in; `chosen_at` is None where nobody chose."""

    choice: ConsentChoice = DEFAULT_CONSENT
    chosen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is known of the way into a session when a TA knocks.

    `no_observing` is None when the session has not said that it tells visitors apart.
    """

    has_own_host: bool
    accepts_shared_origin: bool
    consent: ConsentChoice
    asks_for_help: bool
    no_observing: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody who may be in a session now, and what they may do there."""

    ta: str
    mode: AttachMode
    until: datetime


def check_door(door: Door, mode: AttachMode) -> None:
    """Let a TA in, or say why not.

    Raises:
        AttachNeedsSubdomains: sessions share the hub's origin and nobody accepted that.
        AttachNotConsented: the scholar lets TAs in only while asking for help.
        ObserveNotPossible: the session cannot hold a visitor to reading.
        NotAttachable: the session does not tell visitors apart at all.

    """
    if not (door.has_own_host or door.accepts_shared_origin):
        raise AttachNeedsSubdomains(
            "This lab has no address of its own for each scholar, so a notebook's page could act "
            "as you. An operator can give it one, or accept that in lab.yaml."
        )
    if door.consent == "asking" and not door.asks_for_help:
        raise AttachNotConsented(
            "This scholar lets TAs in only while asking for help, and asks for none now."
        )
    if door.no_observing is None:
        raise NotAttachable(
            "This session does not tell visitors from its scholar: it has just started, or its "
            "image lacks that part."
        )
    if mode == "observe" and door.no_observing:
        raise ObserveNotPossible(door.no_observing)


def visits_at(attachments: Iterable[Attachment], now: datetime) -> list[Visit]:
    """Return who may be in a session now, also where the end is not in the books yet."""
    return [
        Visit(ta=one.ta, mode=one.mode, until=one.until)
        for one in attachments
        if one.is_open and now < one.until
    ]
