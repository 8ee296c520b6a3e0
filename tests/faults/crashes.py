"""Processes that may die at any instant, and the databases that outlive them."""

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from quota.store.engine import open_engine
from quota.store.migrate import upgrade

_LIVES_S = 120


def in_a_process(work: Callable[[], object], log: Path) -> int:
    """Do something in a process of its own; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LIVES_S)
            work()
            status = 0
        except BaseException:  # noqa: BLE001  # nothing may get back into the tests' process
            log.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@contextmanager
def sqlite_copies(folder: Path) -> Iterator[Callable[[], str]]:
    """Yield a function that makes one more empty books and tells its URL."""
    template = folder / "template.sqlite"
    migrate(f"sqlite:///{template}")
    number = 0

    def make() -> str:
        nonlocal number
        number += 1
        path = folder / f"books-{number}.sqlite"
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    yield make


@contextmanager
def postgres_copies(url: str, prefix: str) -> Iterator[Callable[[], str]]:
    """Yield a function that makes one more empty books in a running cluster."""
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    names: list[str] = []

    def run(statement: str) -> None:
        with admin.connect() as connection:
            connection.execute(text(statement))

    def at(name: str) -> str:
        return url.replace("/books?", f"/{name}?")

    def make() -> str:
        names.append(f"{prefix}_{len(names)}")
        run(f"CREATE DATABASE {names[-1]} TEMPLATE {prefix}_template")
        return at(names[-1])

    run(f"CREATE DATABASE {prefix}_template")
    migrate(at(f"{prefix}_template"))
    try:
        yield make
    finally:
        for name in (*names, f"{prefix}_template"):
            run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.dispose()


def migrate(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
