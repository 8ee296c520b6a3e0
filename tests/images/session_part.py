"""The part of the lab that is in a session, imported from its folder as sessions do."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from hub.process_spawner import SESSION_PART


@contextmanager
def on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(SESSION_PART))
    try:
        yield
    finally:
        sys.path.remove(str(SESSION_PART))


def part(name: str) -> ModuleType:
    return importlib.import_module(f"gpulab_session.{name}")
