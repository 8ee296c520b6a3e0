"""Writes the tables of docs/reference.md from the code: `python -m tests.architecture.reference`.

What people look up is what the code has; a test compares the two.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main
from fastapi import FastAPI
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from api.app import ROUTERS
from api.cli import app as command_line
from api.letter_metrics import NotifierMetrics
from api.metrics import Metrics
from api.pages.addresses import PREFIX
from api.problems import OWN_CODES, STATUS
from api.routes import health
from api.session_side.routes import router as session_router
from api.settings import ApiSettings, NotifierSettings, WatchdogSettings, WorkerSettings
from api.watchdog_metrics import WatchdogMetrics
from api.worker_metrics import WorkerMetrics
from gate.settings import GateSettings
from hub.culler import CullerSettings
from hub.settings import HubSettings
from lab.firewall_settings import FirewallSettings
from lab.settings import LabSettings
from quota.amount import GpuTime
from quota.views import LoadView

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
READERS: dict[str, type[BaseSettings]] = {
    "launcher": LabSettings, "hub": HubSettings, "service": ApiSettings,
    "worker": WorkerSettings, "watchdog": WatchdogSettings, "notifier": NotifierSettings,
    "gate": GateSettings, "firewall": FirewallSettings, "culler": CullerSettings,
}  # fmt: skip


class _NoBooks:
    """Books that show an empty lab, to list the metrics without a database."""

    def load(self) -> LoadView:
        return LoadView(sessions={}, gpus=(), counters={("sessions_ended", "x"): 1},
                        unposted=GpuTime.ZERO, oldest_tick_at=None, flavors=("x",))  # fmt: skip


def settings_rows() -> list[tuple[str, ...]]:
    found: dict[str, tuple[set[str], str, str]] = {}
    for reader, settings in READERS.items():
        for name, field in settings.model_fields.items():
            first = (set[str](), _default(field), field.description or "")
            found.setdefault(f"GPULAB_{name.upper()}", first)[0].add(reader)
    return [
        (f"`{name}`", default, ", ".join(r for r in READERS if r in readers), description)
        for name, (readers, default, description) in sorted(found.items())
    ]


def metric_rows() -> list[tuple[str, ...]]:
    books: Any = _NoBooks()
    registries = (("service", Metrics(books).registry), ("worker", WorkerMetrics().registry),
                  ("watchdog", WatchdogMetrics().registry),
                  ("notifier", NotifierMetrics().registry))  # fmt: skip
    return [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, where,
         family.documentation)
        for where, registry in registries
        for family in sorted(registry.collect(), key=lambda one: one.name)
    ]  # fmt: skip


def refusal_rows() -> list[tuple[str, ...]]:
    own = [(f"`{code}`", text[:3] if text[0].isdigit() else "4xx", text.partition(": ")[2] or text)
           for code, text in OWN_CODES.items()]  # fmt: skip
    books = [(f"`{refusal.code}`", str(status), (refusal.__doc__ or "").splitlines()[0])
             for refusal, status in STATUS.items()]  # fmt: skip
    return [*sorted(books), *sorted(own)]


def route_rows() -> list[tuple[str, ...]]:
    app = FastAPI()
    for router in (*ROUTERS, health.router, session_router):
        app.include_router(router)
    return [
        (f"`{method.upper()} {path}`", route["description"].splitlines()[0])
        for path, methods in app.openapi()["paths"].items()
        for method, route in methods.items()
    ]


def command_rows() -> list[tuple[str, ...]]:
    return list(_commands(typer.main.get_command(command_line), "gpulab"))


def _commands(group: Any, before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before} {name}")
        else:
            yield f"`{before} {name}`", (command.help or "").splitlines()[0]


def tables() -> dict[str, str]:
    return {
        "settings": _table(("variable", "default", "read by", "meaning"), settings_rows()),
        "metrics": _table(("name", "kind", "of", "meaning"), metric_rows()),
        "refusals": _table(("code", "status", "meaning"), refusal_rows()),
        "routes": _table(("request", "meaning"), route_rows()),
        "commands": _table(("command", "meaning"), command_rows()),
    }


def written(page: str) -> str:
    """Return the page with its tables as the code is now."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        assert pattern.search(page), f"docs/reference.md has no place for {name}"
        there = f"{begin}\n{table}\n{end}"
        page = pattern.sub(there.replace("\\", r"\\"), page)
    return page


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines(heads, rows))


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    return "" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    print(f"written: {PAGE.name}, proxied under {PREFIX}")
