"""What gpulab has in each session: for scholars' programs, for JupyterLab, and for visitors.

For programs: `budget`, `torch_loop`, `trainer.GpulabCallback`, `passed`, `dataset`, and the
command `gpulab-session`. They need nothing but Python, and work without a lab as far as that goes.

For visitors: JupyterHub lets whoever has a share do everything that the scholar can. This part,
which runs in the session's own server, lets nobody in whom the lab's books do not name now, and
holds observers to reading. It protects the scholar from visitors; a scholar who switches it off
has no visitors.
"""

from importlib import import_module
from typing import Any

# Where the public names are. They are fetched when they are asked for: the session's server, which
# imports this too, needs none of them.
_PLACES = {
    "budget": "budgets",
    "torch_loop": "torch_loops",
    "passed": "labs",
    "dataset": "shared",
}
_PARTS = frozenset({"trainer"})

__all__ = ["budget", "dataset", "passed", "torch_loop", "trainer"]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
