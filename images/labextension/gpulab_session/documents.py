"""Documents that are edited together: what an observer sends to change them is dropped.

jupyter-collaboration has no permissions of its own; this stands before its private parts, and so
only before the version that was tested (`gpulab_session.rules.TESTED_YDOC`).
"""

import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpulab_session.rules import only_reads, why_not_observed

log = logging.getLogger(__name__)


def hold_observers(may_write: Callable[[str], bool]) -> None:
    """Drop what somebody sends who may not write."""
    handler = _handler()
    if handler is None:
        return
    inner = handler.on_message

    async def on_message(self: Any, message: Any) -> Any:
        if not only_reads(message) and not may_write(self.current_user.username):
            log.info("an observer's change is dropped")
            return None
        return await inner(self, message)

    handler.on_message = on_message


def no_observing() -> str:
    """Say why this session cannot be observed; "" when it can."""
    try:
        found = version("jupyter-server-ydoc")
    except PackageNotFoundError:
        return why_not_observed(None, is_known_shape=True)
    return why_not_observed(found, is_known_shape=hasattr(_handler(), "on_message"))


def _handler() -> Any:
    try:
        from jupyter_server_ydoc.handlers import YDocWebSocketHandler  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return YDocWebSocketHandler
