"""P41: names of folders and volumes that are made of names of people."""

import random
import re
from pathlib import Path

from hub.names import safe_name

AWKWARD = [
    "", ".", "..", "...", "/", "../..", "a/b", "a\0b", "-", "--", "---", "a-b", "a--b", "a-2db",
    "ada", "Ada", "ADA", "{raw_username}", "{username}", "{prefix}", "%s", "$HOME", "~", "~root",
    "a b", "a\nb", "ädä", "a\u202eb", "\u202eada", "a" * 99, "a" * 100, "a" * 101, "a" * 300,
    "a" * 301, "-" * 33, "-" * 34, "-" * 300, "\ud800", "\udfff", "😀" * 80, "con", ".hidden",
    "a.", "a..", "\x0f", "\x00f", "0f", "-0f", "\u00ff", "ÿ", "K", "\u212a", "ﬁ",
]  # fmt: skip
LETTERS = "ab-./\\{}_%\0\n \u202e\u00e4\u00c4AB09~"


def fuzzed(count: int) -> set[str]:
    chance = random.Random(41)
    names = set(AWKWARD)
    while len(names) < count:
        length = chance.choice([1, 2, 3, 5, 8, 34, 101, 300])
        names.add("".join(chance.choice(LETTERS) for _ in range(length)))
    return names


def test_p41_names_cannot_escape_or_collide(tmp_path: Path) -> None:
    names = fuzzed(5000)
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names) >= 5000
    base = tmp_path.resolve()
    for one in safe:
        assert re.fullmatch(r"[a-z0-9-]{1,100}", one)
        assert (base / one).resolve().parent == base
        assert (base / one).resolve() != base


def test_p41_no_name_is_taken_by_the_short_form_of_a_longer_one() -> None:
    # Names that look like what longer ones are cut to.
    long = [safe_name("a" * 300), safe_name("-" * 300)]
    assert len({*long, *map(safe_name, long)}) == 4


def test_plain_names_stay_readable() -> None:
    assert safe_name("ada7") == "ada7"
    assert safe_name("ada-l") == "ada-2dl"
