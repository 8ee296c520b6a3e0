"""What a visitor may do. Pure; everything that is not named is refused."""

import re
from dataclasses import dataclass

# The version of jupyter-server-ydoc (of jupyter-collaboration 5.0) whose messages are known here.
# Another one may write in other ways, so it is not observed.
TESTED_YDOC = "3.0.4"

_NOT_INVITED = "You are not attached to this session (any more)."
_READ_ONLY = "You observe this session: you can read, and change or run nothing."

# Leaving, and the way in: JupyterHub's own.
_ALWAYS = re.compile(r"oauth_callback|logout")
# Kernels' channels, terminals and exports would run something; they are not here.
_READS = re.compile(
    r"""
    | lab(/(?!api/(build|extensions)).*)? | static/.* | favicon\.ico | kernelspecs/.* | files/.*
    | api/? | api/(me|status|spec\.yaml) | api/(contents|kernelspecs|config)(/.*)?
    | api/(kernels|sessions|terminals)(/[^/]+)?
    | api/events/subscribe | api/collaboration/room/.* | gpulab/facts
    """,
    re.VERBOSE,
)
# Asks for the name of a document's room; nothing of the document is changed.
_OPENS_ROOM = re.compile(r"api/collaboration/session/.*")
_SYNC, _AWARENESS, _SYNC_STEP1 = 0, 1, 0


@dataclass(frozen=True)
class Visit:
    """Somebody who is attached now."""

    ta: str
    mode: str

    @property
    def may_write(self) -> bool:
        """Tell whether they edit together with the scholar."""
        return self.mode == "co_edit"


def refusal(visit: Visit | None, method: str, path: str, *, no_observing: str) -> str:
    """Say why a visitor may not do this, "" if they may; `path` is what follows the base URL."""
    reads = method in ("GET", "HEAD")
    if reads and _ALWAYS.fullmatch(path):
        return ""
    if visit is None:
        return _NOT_INVITED
    if visit.may_write:
        return ""
    if no_observing:
        return no_observing
    may = (reads and _READS.fullmatch(path)) or (method == "PUT" and _OPENS_ROOM.fullmatch(path))
    return "" if may else _READ_ONLY


def only_reads(message: object) -> bool:
    """Tell whether a message to a document's room changes nothing in it.

    It asks for what the other lacks (sync, step 1), or shows a cursor (awareness). Numbers are
    read as the room reads them: one byte each.
    """
    if not isinstance(message, bytes | bytearray) or len(message) < 2:
        return False
    return message[0] == _AWARENESS or (message[0] == _SYNC and message[1] == _SYNC_STEP1)


def why_not_observed(ydoc_version: str | None, *, is_known_shape: bool) -> str:
    """Say why a session cannot be observed; "" when it can.

    Without jupyter-collaboration there is no way to write but the ones that `refusal` knows.
    """
    if ydoc_version is None or (ydoc_version == TESTED_YDOC and is_known_shape):
        return ""
    return (
        f"This session has jupyter-server-ydoc {ydoc_version[:40]}; observing is tested with "
        f"{TESTED_YDOC} only, so nobody can observe it. Co-editing works."
    )
