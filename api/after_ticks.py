"""What looks at something after each of the worker's ticks, in a thread beside it."""

import threading
from collections.abc import Callable


def after_ticks(
    ticked: threading.Event, stopped: threading.Event, look: Callable[[], None]
) -> None:
    """Look after each tick until told to stop; setting `ticked` as well ends the wait."""
    while not stopped.is_set():
        ticked.wait()
        ticked.clear()
        if not stopped.is_set():
            look()
