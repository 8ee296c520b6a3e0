"""Tells the lab that one of its labs is passed; a fact that counts once, without a grade.

A notebook's last cell calls it, so nothing that goes wrong here is the cell's: it is said, and
what could not be told is kept in the home and told with the next one.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gpulab_session.client import Away, Client, NoSession, Problem
from gpulab_session.words import clean, say

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# A cell should not take much longer for it.
_PATIENCE_S = 3.0


def passed(lab: str) -> bool:
    """Tell that a lab is passed; return whether the lab knows it now. Never raises."""
    if not isinstance(lab, str) or not _NAME.fullmatch(lab):
        say(f"{clean(lab)} is no name of a lab; they are like week-4.")
        return False
    try:
        client = Client.here()
    except NoSession:
        say(f"{lab} is passed. (There is no lab around this notebook to tell it.)")
        return False
    try:
        client.passed(lab, patience_s=_PATIENCE_S)
    except Problem as problem:
        if _may_come(problem, client):
            say(f"{lab} is passed. {_keep(lab, problem)}")
            return False
        say(f"{lab} is passed here, but the lab does not count it: {problem.message}")
        return False
    forget(lab)
    tell_the_rest(client)
    say(f"{lab} is passed, and the lab knows it. Well done!")
    return True


def tell_the_rest(client: Client) -> list[str]:
    """Tell what could not be told before; return what the lab knows now."""
    told: list[str] = []
    for lab in list(kept()):
        try:
            client.passed(lab, patience_s=0)
        except Problem as problem:
            if _may_come(problem, client):
                return told
            say(f"The lab does not count {lab}: {problem.message}", to_errors=True)
        else:
            told.append(lab)
        forget(lab)
    return told


def kept() -> Iterator[str]:
    """Name what is passed and could not be told yet."""
    try:
        names = sorted(one.name for one in _folder().iterdir())
    except OSError:
        return
    yield from (name for name in names if _NAME.fullmatch(name))


def forget(lab: str) -> None:
    """Keep a lab no longer; it is told."""
    try:
        (_folder() / lab).unlink(missing_ok=True)
    except OSError:
        # A home that cannot be written: it will be told again, which changes nothing.
        return


def _may_come(problem: Problem, client: Client) -> bool:
    """Tell whether it may work later: a lab that was down does not know its sessions at once."""
    if problem.code != "no_such_thing":
        return isinstance(problem, Away)
    try:
        client.facts(patience_s=0)
    except Problem:
        return True
    # It knows the session, so it is the lab of this name that it does not know.
    return False


def _keep(lab: str, problem: Problem) -> str:
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / lab).touch()
    except OSError:
        return f"{problem.message} Run this cell again later, so that the lab knows."
    return (f"{problem.message} It is kept, and told with the next lab or by "
            "`gpulab-session passed`.")  # fmt: skip


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "gpulab" / "passed"
