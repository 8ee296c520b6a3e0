"""The modules of the session's part, which is no package of the lab's own distribution."""

import importlib
from types import ModuleType


def part(name: str = "") -> ModuleType:
    return importlib.import_module(f"gpulab_session.{name}" if name else "gpulab_session")
