"""Writes docs/roles.md from the tables that tests hold true: `python -m tests.architecture.roles`.

The tables say for every route, page and form what each kind of person gets; the tests ask for it.
"""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.api import test_access
from tests.pages import test_p36_hours, test_p36_section
from tests.pages.program import test_p36_program

PAGE = Path(__file__).parents[2] / "docs" / "roles.md"
PEOPLE = test_p36_section.VISITORS
# What a status says: a form that lacks everything is answered with 422 to whoever may send it.
_WORDS = {"401": "signs in", "403": "no", "404": "not there"}
_ABOUT = """
    # Who may do what

    Written by `python -m tests.architecture.roles` from the tables in `tests/api/test_access.py`
    and `tests/pages/**/test_p36_*.py`. The tests ask every route and page as everybody, and a
    route that no table names fails them. The rows are about ada, a scholar of section `utc`, whose
    TA is the TA; the other TA has another section. `zz`, `nope` and `none` are nobody and nothing.

    **yes**: it is done or shown. **no**: refused, since others may. **not there**: answered as if
    there were no such thing, since it does not show to this person. **signs in**: nobody is signed
    in.
    """

Line = tuple[str, Sequence[str]]


def text() -> str:
    """Write the page."""
    tables = (
        ("The API", "request", test_access.CALLERS, _api()),
        ("One's own pages", "page or form", PEOPLE, _own()),
        ("A section's pages", "page or form", PEOPLE, _section()),
        ("The program's pages", "page or form", PEOPLE, _program()),
    )
    parts = [textwrap.dedent(_ABOUT).strip()]
    for title, first, people, lines in tables:
        parts.append("\n".join((f"## {title}\n", *_table(first, people, lines))))
    return "\n\n".join(parts) + "\n"


def _api() -> Iterator[Line]:
    for row in test_access.ROWS:
        yield row.request, row.statuses.split()


def _own() -> Iterator[Line]:
    for (method, path), statuses in test_p36_hours.TABLE.items():
        nobody = "303" if method == "GET" else "401"
        by_role = {who: str(status) for who, status in statuses.items()}
        # Everybody may see the first page: it leads on.
        shown = {who: "200" if path == "/" else status for who, status in by_role.items()}
        yield f"{method} {path}", [shown.get(who, nobody) for who in PEOPLE]


def _section() -> Iterator[Line]:
    for row in test_p36_section.ROWS:
        method, _, path = row.request.partition(" ")
        yield f"{method} /{path}", row.statuses.split()


def _program() -> Iterator[Line]:
    for request, status in test_p36_program.PROGRAM.items():
        nobody = "303" if request.startswith("GET") else "401"
        # A thing that is not there is one that an organizer would see.
        for_organizers = "200" if status == 404 else str(status)
        yield request, [{"organizer": for_organizers, "nobody": nobody}.get(who, "403")
                        for who in PEOPLE]  # fmt: skip


def _table(first: str, people: Sequence[str], lines: Iterator[Line]) -> Iterator[str]:
    yield f"| {first} | {' | '.join(people)} |"
    yield f"|---|{'---|' * len(people)}"
    told = set()
    for request, statuses in lines:
        line = f"| `{request}` | {' | '.join(_word(request, one) for one in statuses)} |"
        if line not in told:
            told.add(line)
            yield line


def _word(request: str, status: str) -> str:
    """Say what a status means to a person."""
    if status == "303" and request.startswith("GET "):
        return "signs in"
    return _WORDS.get(status, "yes")


if __name__ == "__main__":
    PAGE.write_text(text())
    print(f"written: {PAGE.name}")
