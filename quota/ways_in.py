"""Which of a scholar's sessions a TA could attach to now, and why not the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from quota.attaching import door_of
from quota.attachments import Attachment, AttachMode
from quota.errors import Refusal
from quota.service import Books
from quota.store import office, reads
from quota.store.engine import reading
from quota.visiting import Door, check_door


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """One running session; `why_not` has a sentence for each mode in which it is closed."""

    server_name: str
    why_not: Mapping[AttachMode, str]

    def lets_in(self, mode: AttachMode) -> bool:
        """Tell whether a TA could attach in this mode."""
        return mode not in self.why_not


def ways_in(books: Books, name: str, *, has_own_host: bool) -> list[WayIn]:
    """Look at every running session of a scholar; nothing is written."""
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        if row is None:
            return []
        attached = office.open_attachment(tx, row["id"])
        return [
            WayIn(
                server_name=lease.server_name,
                why_not=_why_not(door_of(tx, books.lab, lease, has_own_host=has_own_host),
                                 attached),
            )
            for lease in reads.open_leases(tx, row["id"]) if lease.state == "active"
        ]  # fmt: skip


def _why_not(door: Door, attached: Attachment | None) -> dict[AttachMode, str]:
    modes: tuple[AttachMode, ...] = get_args(AttachMode)
    if attached is not None:
        return dict.fromkeys(modes, f"{attached.ta} is attached already.")
    found = {}
    for mode in modes:
        try:
            check_door(door, mode)
        except Refusal as refusal:
            found[mode] = refusal.message
    return found
