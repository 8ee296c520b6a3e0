"""How a process of the lab starts, or says in one sentence why it cannot."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from pydantic import ValidationError
from sqlalchemy import Engine

from api.datasets import DatasetError
from api.gpus.devices import InventoryUnavailable
from api.runtimes.protocol import RuntimeUnavailable
from api.settings import CannotStart
from quota.errors import BooksUnavailable, Refusal
from quota.lab_file import LabFileError
from quota.store.migrate import is_current

log = structlog.get_logger()

# How a command ends. 2 is what click itself says for words that it does not understand.
FOUND_WRONG = 1
NOT_UNDERSTOOD = 2
BOOKS_AWAY = 3

EXIT_STATUSES = {
    0: "done, and all is right",
    FOUND_WRONG: "not done, or something is wrong; the sentences say what",
    NOT_UNDERSTOOD: "the command is not understood",
    BOOKS_AWAY: "the database of the books does not answer; try again later",
    130: "broken off with Ctrl-C",
}


@contextmanager
def plain_exit() -> Iterator[None]:
    """Turn what an operator can mend into a sentence and an exit status; no traceback."""
    try:
        yield
    except ValidationError as error:
        raise SystemExit(_say("\n".join(setting_faults(error)))) from None
    except Refusal as error:
        raise SystemExit(_say(error.message)) from None
    except BooksUnavailable as error:
        _say(f"The database of the books does not answer: {error}")
        raise SystemExit(BOOKS_AWAY) from None
    except (CannotStart, DatasetError, LabFileError, InventoryUnavailable,
            RuntimeUnavailable) as error:  # fmt: skip
        raise SystemExit(_say(str(error))) from None
    except OSError as error:
        raise SystemExit(_say(f"{error.strerror or error}: {error.filename}")) from None


def setting_faults(error: ValidationError) -> list[str]:
    """Name each setting that is missing or wrong by its environment variable."""
    faults = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        name = "GPULAB_" + str(one["loc"][0]).removeprefix("gpulab_").upper() if one["loc"] else ""
        what = "is not set" if one["type"] == "missing" else f"cannot be used: {one['msg']}"
        faults.append(f"{name} {what}; docs/reference.md lists the settings")
    return faults


def require_current(engine: Engine) -> None:
    """Refuse to start on a database of another version; one that is away may come back.

    Raises:
        CannotStart: the database has to be migrated first.

    """
    try:
        is_ready = is_current(engine)
    except BooksUnavailable as error:
        log.warning("books_unavailable_at_start", error=str(error))
        return
    if not is_ready:
        raise CannotStart("The database is not at the version of this program. "
                          "Run: gpulab migrate")  # fmt: skip


def _say(text: str) -> int:
    print(text, file=sys.stderr)  # noqa: T201 - the last word of a process that cannot start
    return FOUND_WRONG
