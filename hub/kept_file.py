"""A small file of the hub's own, written whole or not at all, that nobody else can read."""

import logging
import os
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

Shape = TypeVar("Shape")


class KeptFile(Generic[Shape]):
    """One value of a known shape in one file; survives a restart of the hub."""

    def __init__(self, path: Path, shape: Any) -> None:
        self._path = path
        self._shape: TypeAdapter[Shape] = TypeAdapter(shape)

    def read(self, default: Shape) -> Shape:
        """Read the value; the default where there is no file, or one that says nothing."""
        try:
            return self._shape.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return default
        except (OSError, ValidationError) as error:
            log.error("%s is not usable and left out: %.500s", self._path.name, error)
            return default

    def write(self, value: Shape) -> None:
        """Replace the file durably.

        Raises:
            OSError: it could not be written; what was in it before is still there.

        """
        draft = self._path.with_suffix(".tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(self._shape.dump_json(value))
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        draft.replace(self._path)
