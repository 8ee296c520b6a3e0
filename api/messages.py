"""From letters to what people read in a chat or in their mail. Pure.

Names and reasons are other people's words. Where they come out nobody must be called by them, no
link must hide behind a word, and no line begin that looks like ours.
"""

import re
import unicodedata
from collections.abc import Sequence

from quota.lab import Lab
from quota.telling import KINDS, Letter, zone_of

# Chat services take 2,000 characters at least (Discord); a longer text would be refused whole.
MOST_CHARS = 1_800
_MOST_TITLE_CHARS = 120
_MOST_LINES = 20

# Not seen, but it parts what a chat service would take for a call or a link.
_GAP = "\u200b"
_CALLS = re.compile(r"(?<![\w.+-])@(?=\w)|<(?=[!@#/a-z])|(?<=\])(?=\()", re.IGNORECASE)
_UNSEEN = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
# Those that turn the order of reading.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def compose(letters: Sequence[Letter], lab: Lab) -> tuple[str, str]:
    """Make title and text of one message for one reader: one letter, or a digest of several."""
    assert letters, "nothing to say"
    first = letters[0]
    if len(letters) == 1:
        title, body = f"{lab.name}: {KINDS[first.kind].title}", _said(first, lab, is_late=False)
    else:
        title = f"{lab.name}: {len(letters)} messages"
        body = "\n".join(_lines(letters, lab))
    return harmless(title)[:_MOST_TITLE_CHARS], body


def harmless(text: str) -> str:
    """Return a text as one line that calls nobody and hides nothing."""
    plain = "".join(
        " " if unicodedata.category(one) in _UNSEEN else one for one in text if one not in _TURNS
    )
    return _CALLS.sub(lambda found: f"{found[0]}{_GAP}", " ".join(plain.split()))


def _lines(letters: Sequence[Letter], lab: Lab) -> list[str]:
    """Write a line for each letter, in order, as many as fit."""
    lines: list[str] = []
    room = MOST_CHARS - 30
    for letter in sorted(letters, key=lambda one: (one.at, one.id))[:_MOST_LINES]:
        line = f"- {_said(letter, lab, is_late=True)}"
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        lines.append(line)
    left = len(letters) - len(lines)
    return [*lines, f"... and {left} more"] if left else lines


def _said(letter: Letter, lab: Lab, *, is_late: bool) -> str:
    """Say what happened; when, too, if it may have waited for others."""
    text = harmless(letter.text)[:MOST_CHARS]
    if not is_late:
        return text
    at = letter.at.astimezone(zone_of(lab, letter.person))
    return f"{at:%a %H:%M}: {text}"
