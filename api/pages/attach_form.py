"""The form by which a TA attaches to a session: what can be chosen, and why not what cannot."""

from dataclasses import dataclass

from api.pages.forms import Typed, blank
from quota.attachments import Attachment, AttachMode
from quota.lab import Lab
from quota.views import AccountView

_MINUTES = 30
MODES = (
    ("observe", "Observe: look, change nothing"),
    ("co_edit", "Co-edit: write and run, as the scholar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachForm:
    """What the form offers; with no modes its button is off."""

    typed: Typed
    servers: list[tuple[str, str]]
    modes: list[tuple[str, str]]
    off: list[str]
    most_min: int


def attach_form(
    account: AccountView, attached: Attachment | None, lab: Lab, typed: Typed | None
) -> AttachForm:
    """Put the form together; unless typed, it is as most need it."""
    most = lab.policy.attach_most_min
    servers = [
        (one.lease.server_name, one.lease.server_name or "Main session")
        for one in account.sessions if one.lease.state == "active"
    ]  # fmt: skip
    off = []
    if attached is not None:
        off.append(f"{attached.ta} is attached already.")
    elif not servers:
        off.append("No session of theirs runs now.")
    return AttachForm(
        typed=typed or blank(mode="observe", minutes=str(min(_MINUTES, most))),
        servers=servers, modes=[] if off else list(MODES), off=off, most_min=most,
    )  # fmt: skip


def mode_of(typed: Typed) -> AttachMode:
    """Return how somebody wants to attach; whatever is not known only looks."""
    return "co_edit" if typed["mode"] == "co_edit" else "observe"
