"""Logging, set up in one place: one JSON object a line on standard output.

Values from outside are cut, so that nobody fills the disk with one long name; line breaks in them
are escaped by JSON. What is logged with `alarm=True` wants a person; the worker counts it.
"""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

_MOST_CHARS = 300
_TRACEBACK_MOST_CHARS = 6000


def configure_logs(process: str, on_alarm: Callable[[str], None] | None = None) -> None:
    """Send our own events and the libraries' messages to standard output as JSON lines."""

    def named(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        event["process"] = process
        return event

    def counted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        if on_alarm is not None and event.get("alarm") is True:
            on_alarm(str(event["event"]))
        return event

    steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
        counted,
        structlog.processors.format_exc_info,
        cut_values,
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*steps, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*steps[:-2], structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                cut_values,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def cut_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Cut long texts; a traceback may be longer, since it is ours."""
    for name, value in event.items():
        most = _TRACEBACK_MOST_CHARS if name == "exception" else _MOST_CHARS
        if isinstance(value, str) and len(value) > most:
            event[name] = value[: most - 3] + "..."
    return event
