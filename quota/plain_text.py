"""What people write into the books: reasons, answers, names. The same check at every door. Pure.

A text is shown to others: in a table, on a page, on the trail. So nothing in it may break a line,
turn the order of what is read, or be there without being seen.
"""

import unicodedata

from quota.errors import BadText, NoSuchAccount

REASON_MOST_CHARS = 500
ID_MOST_CHARS = 64
NAME_MOST_CHARS = 255

# Controls, line ends, half characters, private ones, and those that are not seen, among which are
# the ones that turn the order of reading.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

# Not seen either, but several scripts cannot be written without them.
_JOINERS = frozenset("\u200c\u200d")


def check_text(text: str, what: str, *, most_chars: int = REASON_MOST_CHARS) -> None:
    """Check a line that a person wrote.

    Raises:
        BadText: it is too long, or more than one line of plain text.

    """
    fault = fault_of_text(text, most_chars=most_chars)
    if fault is not None:
        raise BadText(f"{what} {fault}.")


def fault_of_text(text: str, *, most_chars: int = REASON_MOST_CHARS) -> str | None:
    """Say what is wrong with a line, to be read after its name; None if it is right."""
    # The length first: nothing walks through ten megabytes.
    if len(text) > most_chars:
        return f"may have at most {most_chars} characters"
    if text.isascii() and text.isprintable():
        return None
    for at, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNSEEN and character not in _JOINERS:
            return (
                "has to be one line of plain text; its character "
                f"{at} (U+{ord(character):04X}) is a control character or cannot be seen"
            )
    return None


def check_id(text: str, what: str) -> None:
    """Check a name that somebody makes up, such as that of an incident.

    Raises:
        BadText: it is empty, too long, or not plain.

    """
    if not text.strip():
        raise BadText(f"{what} may not be empty.")
    check_text(text, what, most_chars=ID_MOST_CHARS)


def check_person(name: str) -> None:
    """Check a user name before anything is kept under it.

    One way to write it only: else two accounts could look like one.

    Raises:
        NoSuchAccount: nobody can be called so.

    """
    if not is_person(name):
        raise NoSuchAccount("The lab knows nobody of this name.")


def is_person(name: str) -> bool:
    """Tell whether somebody could have this user name."""
    return (
        0 < len(name) <= NAME_MOST_CHARS
        and name.isprintable()
        and name == name.strip()
        and unicodedata.normalize("NFKC", name) == name
    )
