"""The command `gpulab-session`: hours left, help, and an end, for terminals and scripts."""

import argparse
import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from gpulab_session import labs
from gpulab_session.client import Away, Client, NoSession, Problem
from gpulab_session.facts import help_line, kept_line, left_lines, why_lines
from gpulab_session.shared import datasets
from gpulab_session.words import clean, say

DONE, REFUSED, NOT_UNDERSTOOD, AWAY, NO_SESSION, BROKEN_OFF = 0, 1, 2, 3, 4, 130
EXIT_STATUSES = {
    DONE: "done",
    REFUSED: "not done; the sentence says why",
    NOT_UNDERSTOOD: "the command is not understood",
    AWAY: "the lab does not answer; try again later",
    NO_SESSION: "this is no session of a lab",
    BROKEN_OFF: "broken off with Ctrl-C",
}
_EPILOG = "Exit status: " + "; ".join(f"{one} {why}" for one, why in EXIT_STATUSES.items()) + "."
# Who has started a long script is not there to answer.
_ANSWER_WITHIN_S = 30

# What was done: as lines for people, and for programs.
Answer = tuple[list[str], Any]


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end with its status."""
    asked = _parser().parse_args(words)
    try:
        lines, body = asked.run(asked)
    except Problem as problem:
        if asked.json:
            say(json.dumps({"code": problem.code, "detail": problem.message}, indent=2))
        else:
            say(problem.message, to_errors=True)
        sys.exit(_status(problem))
    except KeyboardInterrupt:
        sys.exit(BROKEN_OFF)
    for line in [json.dumps(body, indent=2)] if asked.json else lines:
        say(line)
    sys.exit(DONE)


def _status(problem: Problem) -> int:
    if isinstance(problem, NoSession):
        return NO_SESSION
    return AWAY if isinstance(problem, Away) else REFUSED


def _client() -> Client:
    """Return a client for this session; what was kept for it is told first."""
    client = Client.here()
    if any(labs.kept()):
        labs.tell_the_rest(client)
    return client


def _left(_asked: argparse.Namespace) -> Answer:
    body = _client().facts()
    return left_lines(body), body


def _why(_asked: argparse.Namespace) -> Answer:
    body = _client().why()
    return why_lines(body), body


def _done(asked: argparse.Namespace) -> Answer:
    client = _client()
    if not asked.yes and sys.stdin.isatty() and not _agrees():
        raise Problem("Nothing is stopped; you keep the GPU.", "kept")
    body = client.done()
    said = "This session is saved and stopped now, and its GPU goes to others. Files are kept."
    return [said], body


def _agrees() -> bool:
    """Ask whoever is there; where nobody is, the script that said "done" has meant it."""
    say("This stops the session and gives its GPU back. What is only in memory is lost.",
        to_errors=True)  # fmt: skip
    say(f"Enter: now. n: keep it. Without an answer in {_ANSWER_WITHIN_S} s it is done.",
        to_errors=True)  # fmt: skip
    answers, _, _ = select.select([sys.stdin], [], [], _ANSWER_WITHIN_S)
    return not answers or not sys.stdin.readline().strip().lower().startswith("n")


def _extend(_asked: argparse.Namespace) -> Answer:
    body = _client().keep()
    return [kept_line(body)], body


def _ask(asked: argparse.Namespace) -> Answer:
    client = _client()
    if asked.take_back:
        waiting = client.facts().get("help") or {}
        if not waiting.get("id"):
            raise Problem("You have not asked for help.", "not_asked")
        return ["Your question is taken back."], client.take_back(str(waiting["id"]))
    path = None if asked.path is None else _path_in_lab(Path(asked.path))
    body = client.ask_for_help(uuid4(), asked.message, path)
    return [help_line(body)], body


def _path_in_lab(path: Path) -> str:
    """Name a file as JupyterLab does, so that a TA who opens the session finds it."""
    top = Path(os.environ.get("JUPYTERHUB_ROOT_DIR") or Path.home()).resolve()
    whole = path.expanduser().resolve()
    return str(whole.relative_to(top) if whole.is_relative_to(top) else whole)


def _passed(asked: argparse.Namespace) -> Answer:
    client = Client.here()
    told = labs.tell_the_rest(client)
    if asked.lab is not None:
        body = client.passed(asked.lab)
        labs.forget(asked.lab)
        return [f"{clean(body.get('lab', asked.lab))} is passed, and the lab knows it."], body
    known = [clean(one) for one in client.facts().get("labs_passed") or ()]
    lines = [f"Told just now: {', '.join(told)}."] if told else []
    lines += [f"Not told yet: {', '.join(labs.kept())}."] if any(labs.kept()) else []
    lines += [f"Passed: {', '.join(known)}." if known else "No lab is passed yet."]
    return lines, {"labs_passed": known, "not_told": list(labs.kept())}


def _datasets(asked: argparse.Namespace) -> Answer:
    found = [one for one in datasets() if asked.name in (None, one.name)]
    if asked.name is not None and not found:
        raise Problem(f"This lab shares no dataset {clean(asked.name)}.", "no_such_dataset")
    if asked.name is not None:
        # For scripts: cp -r "$(gpulab-session datasets digits)" .
        return [str(found[0].folder)], found[0].as_json()
    lines = [line for one in found for line in (one.line(), f"  from {one.source}")]
    return lines or ["This lab shares no datasets."], [one.as_json() for one in found]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpulab-session", description="What the lab knows about this session.", epilog=_EPILOG
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], Answer],
                says: str) -> argparse.ArgumentParser:  # fmt: skip
        one = commands.add_parser(name, help=says, description=says, epilog=_EPILOG)
        one.add_argument("--json", action="store_true", help="as JSON, for programs")
        one.set_defaults(run=run)
        return one

    command("left", _left, "Show hours left, and when this session ends.")
    command("why", _why, "Show what gave and took hours; the lines sum to what is left.")
    done = command("done", _done, "Stop this session and give its GPU back.")
    done.add_argument("--yes", action="store_true", help="do not ask")
    command("extend", _extend, "Keep the GPU for a while although nothing uses it.")
    ask = command("ask", _ask, "Ask a TA for help.")
    what = ask.add_mutually_exclusive_group(required=True)
    what.add_argument("message", nargs="?", metavar="MESSAGE", help="what you need")
    what.add_argument("--take-back", action="store_true", help="you have found it yourself")
    ask.add_argument("--path", help="the notebook or file that it is about")
    passed = command("passed", _passed, "Tell that a lab is passed; alone, show which are.")
    passed.add_argument("lab", nargs="?", metavar="LAB", help="for example week-4")
    shared = command("datasets", _datasets, "Show the lab's shared datasets.")
    shared.add_argument("name", nargs="?", metavar="NAME", help="print the folder of this one")
    return parser


if __name__ == "__main__":
    main()
