"""The house style as far as a machine can see it."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture import code

BANNED_WORDS = {
    "credit", "credits", "booking", "bookings", "job", "jobs", "task", "tasks", "allocate",
    "allocated", "allocation", "student", "students", "assistant", "assistants", "instructor",
    "instructors", "course", "courses", "term", "terms", "token", "tokens",
}  # fmt: skip
BANNED_NAMES = {"resource", "resources", "limit", "quota", "gpu_hours", "user_server"}
BANNED_IN_TEXTS = re.compile(
    r"\b(credits?|bookings?|jobs?|students?|teaching assistants?|instructors?|courses?|"
    r"user servers?|slot reservations?)\b", re.IGNORECASE,
)  # fmt: skip
READS_THE_TIME = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|\btime\.time(_ns)?\(")


def test_files_are_short() -> None:
    long = {code.shown(path): count for path in code.python_files(*code.ROOMS)
            if (count := len(path.read_text().splitlines())) > 300}  # fmt: skip
    assert not long


def test_functions_are_short() -> None:
    long = {
        f"{code.shown(path)}:{one.name}": one.end_lineno - one.lineno + 1
        for path in code.python_files(*code.ROOMS, "tests")
        if "migrations" not in path.parts
        for one in code.functions(path)
        if one.end_lineno is not None and one.end_lineno - one.lineno >= 50
    }
    assert not long


def test_only_the_clock_reads_the_time() -> None:
    readers = [code.shown(path) for path in code.python_files("quota", "api", "hub", "lab", "gate")
               if READS_THE_TIME.search(path.read_text())]  # fmt: skip
    assert readers == ["quota/clock.py"]


def test_names_use_one_word_for_one_thing() -> None:
    paths = [*code.python_files("quota"), code.ROOT / "api" / "schemas.py"]
    wrong = {
        f"{code.shown(path)}: {name}"
        for path in paths
        for name in code.defined_names(path)
        if name.lower() in BANNED_NAMES or BANNED_WORDS.intersection(code.words_of(name))
    }
    assert not wrong


def test_texts_for_people_use_one_word_for_one_thing() -> None:
    pages = [path for path in code.tracked() if path.suffix in (".html", ".js", ".md")
             and code.room_of(path) in ("hub", "docs", "README.md")]  # fmt: skip
    assert pages
    found = [(code.shown(path), match[0]) for path in pages
             for match in BANNED_IN_TEXTS.finditer(path.read_text())]  # fmt: skip
    for path in code.python_files("quota", "api", "hub", "lab", "gate"):
        said = (BANNED_IN_TEXTS.search(text) for text in code.texts(path))
        found += [(code.shown(path), match[0]) for match in said if match]
    assert not found


@pytest.mark.parametrize("text", ["Book a job", "your GPU credits", "for Students"])
def test_a_banned_word_in_a_text_is_found(text: str) -> None:
    assert BANNED_IN_TEXTS.search(text)


@pytest.mark.parametrize("text", ["datetime.now(UTC)", "date.today()", "x = time.time()"])
def test_whatever_reads_the_time_is_found(text: str) -> None:
    assert READS_THE_TIME.search(text)


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([command, "--no-cache", "--no-logo"], cwd=folder, text=True,
                          capture_output=True, timeout=60, check=False)  # fmt: skip


def test_imports_point_one_way() -> None:
    ended = _lint_imports(code.ROOT)
    assert ended.returncode == 0, ended.stdout


def test_an_import_that_points_the_other_way_is_found(tmp_path: Path) -> None:
    for room in ("quota", "api", "hub", "lab", "gate", "monitoring"):
        shutil.copytree(code.ROOT / room, tmp_path / room,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    shutil.copy(code.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "quota" / "planted.py").write_text("import api.app\n")
    (tmp_path / "api" / "planted.py").write_text("import hub.leased\n")
    (tmp_path / "hub" / "planted.py").write_text("import quota.service\n")
    (tmp_path / "gate" / "planted.py").write_text("import quota.amount\n")
    ended = _lint_imports(tmp_path)
    assert ended.returncode != 0
    for line in ("quota.planted -> api", "api.planted -> hub", "hub.planted -> quota.service",
                 "gate.planted -> quota"):  # fmt: skip
        assert line in ended.stdout, ended.stdout


def test_the_launcher_knows_nothing_of_the_hubs_code() -> None:
    for path in code.python_files("lab"):
        found = {name for name in code.imports(path) if name.split(".")[0] == "hub"}
        assert not found, code.shown(path)


@pytest.mark.parametrize("name", ["api", "hub", "quota", "lab", "gate"])
def test_no_other_distribution_owns_our_names(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"gpulab"}


def test_tests_say_what_they_check() -> None:
    for path in code.python_files("tests"):
        names = [one.name for one in code.tree_of(path).body if hasattr(one, "name")]
        assert len(names) == len(set(names)), f"{code.shown(path)}: a name twice hides a test"
        for name in names:
            if not name.startswith("test_"):
                continue
            assert path.name.startswith("test_"), f"{code.shown(path)}: pytest does not look here"
            promise = re.match(r"test_p(\d+)", name)
            assert promise is None or re.match(r"test_p\d\d_", name), name
