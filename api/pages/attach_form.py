"""The form by which a TA attaches to a session: what can be chosen, and why not what cannot."""

from dataclasses import dataclass

from api.pages.forms import Typed, blank
from api.pages.section_place import Place
from quota.attachments import AttachMode
from quota.ways_in import WayIn, ways_in

_MINUTES = 30
_MODES: tuple[tuple[AttachMode, str], ...] = (
    ("observe", "Observe: look, change nothing"),
    ("co_edit", "Co-edit: write and run, as the scholar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachForm:
    """What the form offers, and why not the rest; with no modes its button is off."""

    typed: Typed
    servers: list[tuple[str, str]]
    modes: list[tuple[AttachMode, str]]
    off: list[str]
    most_min: int


def attach_form(at: Place, typed: Typed | None) -> AttachForm:
    """Put the form together; unless typed, it is as most need it."""
    books = at.room.books
    ways = ways_in(books, at.scholar, has_own_host=bool(at.room.addresses.public_host))
    most = books.lab.policy.attach_most_min
    modes = [one for one in _MODES if any(way.lets_in(one[0]) for way in ways)]
    return AttachForm(
        typed=typed or blank(mode="observe", minutes=str(min(_MINUTES, most))),
        servers=[(way.server_name, way.server_name or "Main session") for way in ways],
        modes=modes, off=_reasons(ways), most_min=most,
    )  # fmt: skip


def mode_of(typed: Typed) -> AttachMode:
    """Return how somebody wants to attach; whatever is not known only looks."""
    return "co_edit" if typed["mode"] == "co_edit" else "observe"


def _reasons(ways: list[WayIn]) -> list[str]:
    if not ways:
        return ["No session of theirs runs now."]
    found = [way.why_not[mode] for mode, _ in _MODES for way in ways if not way.lets_in(mode)]
    return list(dict.fromkeys(found))
