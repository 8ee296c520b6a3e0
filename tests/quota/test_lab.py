"""lab.yaml is taken whole or not at all, and says what is wrong in words and lines."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from quota import lab_tree
from quota.amount import GpuTime
from quota.lab import Lab, Policy
from quota.lab_fields import WeeklyHours
from quota.lab_file import MOST_BYTES, LabFileError, load_lab, parse_lab
from quota.lab_gpus import DeclaredGpu, DrainedGpu, Flavor, GpuPolicy, Image
from quota.lab_line import LinePolicy
from quota.lab_people import Absence, AttachRules, Pool, Scholar, Section, Ta
from quota.lab_program import Blackout, DueDate, Program, ProgramWeek, RollOver
from tests.quota.books import gpu

ROOT = Path(__file__).parents[2]
MODELS = (
    Lab, Program, ProgramWeek, DueDate, Blackout, RollOver, Section, Pool, WeeklyHours, Scholar,
    Absence, Ta, Flavor, Image, GpuPolicy, DeclaredGpu, DrainedGpu, LinePolicy, AttachRules,
    Policy,
)  # fmt: skip

GOOD = """\
organizers: [olga]
sections:
  americas:
    time_zone: America/New_York
    tas: [tomas]
    scholars: [ada, blaise]
    hours_per_week: 7.5
  europe:
    time_zone: Europe/Berlin
    scholars: [dina]
flavors:
  cpu: {weight_mgpu: 0}
  half: {weight_mgpu: 500, share_mgpu: 500, memory_mib: 8192}
images:
  base: {docker: "gpulab/base:latest"}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(LabFileError) as refusal:
        parse_lab(text, "lab.yaml")
    assert str(refusal.value).count("\n") == len(refusal.value.problems) - 1
    return str(refusal.value).splitlines()


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


# --- what a good file gives ---


def test_the_lab_that_ships_loads_and_has_no_dates() -> None:
    lab = load_lab(ROOT / "lab.yaml")
    assert lab.program is None
    assert {name: s.scholars for name, s in lab.sections.items()} == {
        "americas": ("ada", "blaise", "chen"),
        "europe-africa": ("dina", "emeka", "fatima"),
    }
    assert {s.hours_per_week.hours_text() for s in lab.sections.values()} == {"10.00"}
    assert (lab.role_of("olga"), lab.role_of("tomas")) == ("organizer", "ta")
    assert list(lab.flavors) == ["cpu", "quarter-gpu", "half-gpu", "whole-gpu"]
    assert [f.weight_mgpu for f in lab.flavors.values()] == [0, 250, 500, 1000]
    assert [(one.memory_mib, one.count) for one in lab.gpus.declared] == [(16384, 2)]
    assert lab.unplaceable(lab.gpus.declared) == ()
    assert lab.policy == Policy()


def test_every_example_in_its_comments_is_right() -> None:
    shipped = (ROOT / "lab.yaml").read_text()
    text = re.sub(r"(?m)^( *)# ( *(?:- )?[a-z_]+:( |$))", r"\1\2", shipped)
    lab = parse_lab(text, "lab.yaml")
    assert lab.default_section == "americas"
    assert lab.program is not None
    assert [str(week.starts_on) for week in lab.program.weeks] == [
        "2027-01-11", "2027-01-18", "2027-01-25",
    ]  # fmt: skip
    assert lab.program.weeks[2].hours == GpuTime.hours(20)
    assert lab.program.weeks[2].ends_on == date(2027, 2, 5)
    assert lab.policy == Policy()
    assert lab.line == LinePolicy()
    assert lab.sections["americas"].reserved_gpus == 1
    assert lab.drained_gpus["VIRTUAL-1"].why == "its fan is being replaced"
    assert text.count("_s: ") == len([name for name in Policy.model_fields if name[-2:] == "_s"])


def test_names_and_titles_come_from_the_keys() -> None:
    lab = parse_lab(GOOD, "lab.yaml")
    assert lab.sections["europe"].name == lab.sections["europe"].title == "europe"
    assert lab.flavors["half"].is_gpu
    assert not lab.flavors["cpu"].is_gpu
    assert str(lab.sections["americas"].zone) == "America/New_York"


def test_a_person_has_one_section_and_one_role() -> None:
    lab = parse_lab(GOOD, "lab.yaml")
    assert lab.section_of("ada") == lab.sections["americas"]
    assert lab.section_of("zoe") is None
    assert [lab.role_of(who) for who in ("olga", "tomas", "ada", "zoe")] == [
        "organizer", "ta", "scholar", "scholar",
    ]  # fmt: skip
    assert [lab.knows(who) for who in ("olga", "tomas", "ada", "zoe")] == [True, True, True, False]
    open_to_all = parse_lab(GOOD + "default_section: europe\n", "lab.yaml")
    assert open_to_all.section_of("zoe") == open_to_all.sections["europe"]
    assert open_to_all.knows("zoe")
    assert open_to_all.section_of("ada") == open_to_all.sections["americas"]


def test_flavors_too_large_for_the_real_gpus_are_named() -> None:
    lab = parse_lab(GOOD, "lab.yaml")
    assert lab.unplaceable([gpu("a", 4096), gpu("b", 8192)]) == ()
    assert lab.unplaceable([gpu("a", 4096), gpu("b", 8191)]) == ("half",)
    assert lab.unplaceable(()) == ("half",)


@pytest.mark.parametrize(
    ("written", "mgpu_ms"),
    [
        ("10", 36_000_000_000),
        ("7.5", 27_000_000_000),
        ('"2.5"', 9_000_000_000),
        ("10 h", 36_000_000_000),
        ("2 min", 120_000_000),
        ("90 s", 90_000_000),
        ("0", 0),
    ],
)
def test_hours_are_written_as_people_do(written: str, mgpu_ms: int) -> None:
    lab = parse_lab(changed("7.5", written), "lab.yaml")
    assert lab.sections["americas"].hours_per_week == GpuTime(mgpu_ms)


def test_words_mean_what_they_say() -> None:
    lab = parse_lab(changed("[ada, blaise]", "[no, on, 007, y, 'null', 1e3]"), "lab.yaml")
    assert lab.sections["americas"].scholars == ("no", "on", "007", "y", "null", "1e3")


def test_weeks_follow_each_other_unless_told() -> None:
    program = """
program:
  starts_on: 2027-01-11
  weeks:
    - topic: one
    - {topic: two, starts_on: 2027-01-25}
    - {topic: three, ends_on: 2027-02-01}
    - {hours: 2 min}
"""
    lab = parse_lab(GOOD + program, "lab.yaml")
    assert lab.program is not None
    assert [(w.number, w.topic, str(w.starts_on), str(w.ends_on)) for w in lab.program.weeks] == [
        (1, "one", "2027-01-11", "2027-01-17"),
        (2, "two", "2027-01-25", "2027-01-31"),
        (3, "three", "2027-02-01", "2027-02-01"),
        (4, "", "2027-02-02", "2027-02-08"),
    ]
    assert lab.program.weeks[3].hours == GpuTime(120_000_000)


def test_a_block_of_comments_means_the_defaults() -> None:
    assert parse_lab(GOOD + "policy:\ngpus:\nprogram:\n", "lab.yaml") == parse_lab(GOOD, "f")


def test_nothing_in_a_lab_changes() -> None:
    lab = parse_lab(GOOD, "lab.yaml")
    with pytest.raises(ValidationError):
        lab.policy.tick_s = 1  # type: ignore[misc]  # the very mistake under test


# --- what a bad one says ---


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "America/New_York",
            "America/New_Yrok",
            (
                "lab.yaml:4: sections.americas.time_zone: 'America/New_Yrok' is not a time zone;"
                " did you mean 'America/New_York'?"
            ),
        ),
        ("Europe/Berlin", "berlin", "'berlin' is not a time zone; did you mean 'Europe/Berlin'?"),
        ("Europe/Berlin", "../../etc/passwd", "write one of the IANA list"),
        ("Europe/Berlin", "localtime", "'localtime' is not a time zone"),
        (
            "hours_per_week",
            "hours_per_wek",
            (
                "lab.yaml:7: sections.americas.hours_per_wek: 'hours_per_wek' is not known here;"
                " did you mean 'hours_per_week'?"
            ),
        ),
        ("organizers", "xyz", "lab.yaml:1: xyz: 'xyz' is not known here; known here are name, pr"),
        ("7.5", "-1", "sections.americas.hours_per_week: -1 is less than nothing; write 0 or"),
        ("7.5", "1e3", "'1e3' is no GPU time; write hours"),
        ("7.5", "9999999", "9999999' is too much; at most 1,000,000 hours"),
        ("7.5", ".inf", "'.inf' is no GPU time"),
        ("7.5", "true", "'True' is no GPU time"),
        ("7.5", "10:30", "'10:30' is no GPU time"),
        (
            "[dina]",
            "[dina, ada]",
            (
                "lab.yaml:10: sections.europe.scholars#2: scholar 'ada' is already in section"
                " 'americas'; list each scholar once"
            ),
        ),
        ("[dina]", "[dina, dina]", "scholar 'dina' is already in section 'europe'"),
        ("[dina]", "dina", "'dina' is not a list; write a list in brackets"),
        ("[dina]", "[Dina]", "'Dina' is not a user name; write lower-case letters"),
        ("[dina]", "[a..b]", "'a..b' is not a user name"),
        ("[dina]", "[../x]", "'../x' is not a user name"),
        ("[dina]", f"[{'d' * 64}]", "is not a user name"),
        ("[dina]", "[7]", "7 is read as a value, not as text; put it in quotes: '7'"),
        ("[dina]", "[~]", "scholars#1: nothing is written here; write something, or remove"),
        ("[dina]", "[[dina]]", "a list or a block is written here; write one word"),
        ("europe:", "Europe Africa:", "'Europe Africa' is not a short name"),
        ("europe:", "europe:\n    name: emea", "name: 'europe' calls itself 'emea'; remove"),
        ("    time_zone: Europe/Berlin\n", "", "sections.europe: 'time_zone' is missing; add"),
        ("weight_mgpu: 0", "weight_mgpu: 10", "CPU sessions cost no GPU time; write 0"),
        ("weight_mgpu: 0", "weight_mgpu: 0, memory_mib: 1", "for a flavor without a GPU"),
        ("weight_mgpu: 0", "weight_mgpu: 0, cpus: all", "cpus: 'all' is not a number; write"),
        ("weight_mgpu: 0", "weight_mgpu: 0, cpus: 0", "cpus: 0 is too little; write more than 0"),
        ("weight_mgpu: 0", "weight_mgpu: 0, cpus: [1]", "cpus: [1] is not a number; write one"),
        ("weight_mgpu: 500", "weight_mgpu: 0", "a GPU flavor must cost something; write 1"),
        ("share_mgpu: 500", "share_mgpu: 2500", "share_mgpu: 2500 is too much; write 1000 or"),
        ("share_mgpu: 500", "share_mgpu: 0.5", "0.5 is not a whole number; write one like"),
        ("share_mgpu: 500", "share_mgpu: true", "true is not a whole number; write one like"),
        ("weight_mgpu: 0", "weight_mgpu: 0, gpu_models: [H100]", "without a GPU names GPU models"),
        ("share_mgpu: 500", 'share_mgpu: 500, gpu_models: [""]', "there is nothing in it"),
        ("gpulab/base:latest", "not a reference", "is not a Docker image reference"),
        ("gpulab/base:latest", "-v", "is not a Docker image reference"),
        ('base: {docker: "gpulab/base:latest"}', "base:", "images.base: nothing is written here"),
        ('\n  base: {docker: "gpulab/base:latest"}', " {}", "images: there is nothing in it"),
        ('\n  base: {docker: "gpulab/base:latest"}', " x", "images: 'x' stands where a block"),
    ],
)
def test_one_mistake_is_named_with_its_remedy(old: str, new: str, says: str) -> None:
    (problem,) = problems_of(changed(old, new))
    assert says in problem


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            "default_section: europa",
            "lab.yaml:16: default_section: there is no section 'europa'; did you mean 'europe'?",
        ),
        ("default_section: xyz", "there is no section 'xyz'; write one of americas, europe"),
        ("gpus: {mode: declared}", "gpus.mode: no GPUs are declared; add at least one"),
        ("gpus: {mode: fast}", "'fast' is not known here; write 'auto', 'nvml' or 'declared'"),
        (
            "gpus: {mode: declared, declared: [{name: V, memory_mib: 8000}]}",
            (
                "flavors.half.memory_mib: 8192 MiB fit on no GPU; the largest has 8000 MiB;"
                " write at most 8000"
            ),
        ),
        ("gpus: {declared: [{name: '', memory_mib: 8000}]}", "declared#1.name: there is nothing"),
        ("policy: {tick: 15}", "policy.tick: 'tick' is not known here; did you mean 'tick_s'?"),
        ("policy: {tick_s: 0}", "policy.tick_s: 0 is too little; write 1 or more"),
        ("policy: {tick_s: '15'}", "policy.tick_s: '15' is not a whole number"),
        ("policy: {warn_before_min: 60}", "60 is not a list; write a list in brackets"),
        (f"policy: {{warn_before_min: {list(range(1, 12))}}}", "is too long; write at most 10"),
        ("name: 2026", "name: 2026 is read as a value, not as text; put it in quotes: '2026'"),
        (r'name: "a\0b"', r"name: 'a\x00b' holds control characters; remove them"),
        (f"name: {'x' * 501}", "is too long; write at most 500"),
        ("<<: {a: 1}", "'<<' is not known here"),
        ("organizers: [ada]", "lab.yaml:16: organizers: 'organizers' was already written in line"),
    ],
)
def test_one_wrong_line_more_is_named_with_its_remedy(more: str, says: str) -> None:
    (problem,) = problems_of(GOOD + more)
    assert says in problem


@pytest.mark.parametrize(
    ("starts_on", "weeks", "says"),
    [
        ("2027-02-29", "[{topic: a}, {topic: b}]", "'2027-02-29' is not a date; write a day of"),
        ("11.1.2027", "[{}]", "'11.1.2027' is not a date; write a day of the calendar as year-"),
        ("20270111", "[{}]", "20270111 is not a date"),
        ("9999-12-30", "[{starts_on: 2027-01-11}]", "9999-12-30 is out of reach"),
        ("2027-01-11", "[]", "program.weeks: there is nothing in it; write at least 1"),
        ("2027-01-11", "nine", "program.weeks: 'nine' is not a list"),
        ("2027-01-11", "[one]", "program.weeks#1: 'one' stands where a block belongs"),
        (
            "2027-01-11",
            "[{}, {starts_on: 2027-01-17}]",
            (
                "lab.yaml:18: program.weeks#2.starts_on: it starts on 2027-01-17, but the week"
                " before ends on 2027-01-17; write 2027-01-18 or a later day"
            ),
        ),
        (
            "2027-01-11",
            "[{}, {starts_on: 2026-12-01}]",
            "it starts on 2026-12-01, but the week before ends on 2027-01-17",
        ),
        (
            "2027-01-11",
            "[{starts_on: 2027-01-12}]",
            "week 1 starts on 2027-01-12, the program on 2027-01-11; write the same day in both",
        ),
        (
            "2027-01-11",
            "[{ends_on: 2027-01-01}]",
            "ends_on: 2027-01-01 is before the week starts, on 2027-01-11; write 2027-01-11 or",
        ),
        ("2027-01-11", "[{number: 2}, {}]", "week 2 comes after week 2; write 3, or leave"),
        ("2027-01-11", "[{}, {hours: -1}]", "program.weeks#2.hours: -1 is less than nothing"),
    ],
)
def test_a_wrong_program_is_named_with_its_remedy(starts_on: str, weeks: str, says: str) -> None:
    text = f"{GOOD}program:\n  starts_on: {starts_on}\n  weeks: {weeks}\n"
    (problem,) = problems_of(text)
    assert says in problem


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = (
        changed("America/New_York", "Mars")
        .replace("[dina]", "[dina, ada]")
        .replace("share_mgpu: 500", "share_mgpu: 5000")
        + "  base: {docker: x}\n"
        + "default_section: africa\n"
        + "gpus: {mode: declared, declared: [{name: V, memory_mib: 8000}]}\n"
        + "flavours: x\n"
        + "program: {starts_on: soon, weeks: [{}, {starts_on: later}, {ends_on: 3}]}\n"
    )
    places = [line.partition(": ")[2].partition(": ")[0] for line in problems_of(text)]
    assert places == [
        "sections.americas.time_zone",
        "sections.europe.scholars#2",
        "flavors.half.share_mgpu",
        "images.base",
        "default_section",
        "flavours",
        "program.starts_on",
        "program.weeks#2.starts_on",
        "program.weeks#3.ends_on",
    ]
    sizes = changed("Europe/Berlin", "Mars") + (
        "gpus: {mode: declared, declared: [{name: V, memory_mib: 8000}]}\n"
    )
    assert "fit on no GPU" in problems_of(sizes)[1]


def test_a_lab_needs_sections_flavors_and_images() -> None:
    assert [line.partition("; ")[0] for line in problems_of("name: a\ndefault_section: b\n")] == [
        "lab.yaml:1: 'flavors' is missing",
        "lab.yaml:1: 'images' is missing",
        "lab.yaml:1: 'sections' is missing",
    ]
    empty = "sections: {}\nflavors: {}\nimages: {}\n"
    assert [line.partition(": there")[0] for line in problems_of(empty)] == [
        "lab.yaml:1: sections",
        "lab.yaml:2: flavors",
        "lab.yaml:3: images",
    ]


def test_a_program_at_the_end_of_time_is_refused() -> None:
    weeks = "[{starts_on: 9999-12-31}, {}]"
    for problem in problems_of(f"{GOOD}program: {{starts_on: 2027-01-11, weeks: {weeks}}}\n"):
        assert "9999-12-31 is out of reach; write a day from 2000-01-01 to 2199-12-31" in problem


def test_a_long_list_of_problems_ends() -> None:
    keys = "".join(f"key{number}: 1\n" for number in range(80))
    with pytest.raises(LabFileError) as refusal:
        parse_lab(GOOD + keys, "lab.yaml")
    assert len(refusal.value.problems) == 80
    assert str(refusal.value).splitlines()[-1] == "... and 30 more"


def test_python_cannot_make_a_lab_that_the_file_could_not() -> None:
    lab = parse_lab(GOOD, "lab.yaml")
    parts = {name: getattr(lab, name) for name in Lab.model_fields}
    assert Lab(**parts) == lab
    with pytest.raises(ValidationError, match="calls itself 'europe'"):
        Lab(**parts | {"sections": {"emea": lab.sections["europe"]}})
    with pytest.raises(ValidationError, match="there is no section 'x'"):
        Lab(**parts | {"default_section": "x"})
    with pytest.raises(ValidationError):
        Lab.model_validate([])


# --- what is no YAML, or too much of it ---


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with libyaml and without: not every machine has it."""
    monkeypatch.setattr(lab_tree, "_Loader", getattr(yaml, request.param, yaml.SafeLoader))


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\n\tb: c\n", "lab.yaml:2: this line is indented with a tab; indent with spaces"),
        ("name: [a\nb: c\n", "lab.yaml:2: this is not YAML ("),
        ("name: 'a\nb: c\n", "lab.yaml:3: this is not YAML ("),
        ("name: a: b\n", "lab.yaml:1: this is not YAML (mapping values are not allowed"),
        ("a: &a [x]\nb: *a\n", "lab.yaml:2: the alias '*a' is not followed here; write the value"),
        ("a: &a [*a]\n", "the alias '*a' is not followed here"),
        ("a: *nobody\n", "the alias '*nobody' is not followed here"),
        ("a: " + "[" * 200_000, "lab.yaml:1: this is nested too deeply; close some brackets"),
        ("a: " + "{b: " * 100_000, "this is nested too deeply"),
        ("a: !!python/object/apply:os.abort []\n", "python/object/apply:os.abort' is not"),
        ("a: !!python/name:os.abort x\n", "the tag 'tag:yaml.org,2002:python/name:os.abort' is"),
        ("a: 1\n---\nb: 2\n", "lab.yaml:2: a second document starts here; remove the '---'"),
        ("? [a]\n: b\n", "a key must be a word; write 'key: value'"),
        ("a: 1\nb: \x07\n", r"lab.yaml:2: the character '\x07' cannot stand here; remove it"),
        ("a: \ud800\n", "cannot stand here"),
        ("%YAML 9.9\n---\na: 1\n", "this is not YAML"),
        ("", "lab.yaml: is empty; start from the lab.yaml that ships"),
        ("# nothing\n", "lab.yaml: is empty"),
        ("- a\n", "lab.yaml: does not start with 'key: value' lines"),
        ("x" * (MOST_BYTES + 1), "lab.yaml: is too large; keep it under 1,000,000 bytes"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_yaml_is_refused_in_one_line(text: str, says: str) -> None:
    (problem,) = problems_of(text)
    assert says in problem


@given(st.text(max_size=200), st.integers(0, len(GOOD)))
def test_whatever_is_typed_gives_a_lab_or_problems(typed: str, where: int) -> None:
    for text in (typed, GOOD[:where] + typed + GOOD[where:]):
        try:
            parse_lab(text, "lab.yaml")
        except LabFileError as refusal:
            assert refusal.problems  # noqa: PT017  # either way is right


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(LabFileError, match=r"lab.yaml: cannot be read \(No such file"):
        load_lab(tmp_path / "lab.yaml")
    with pytest.raises(LabFileError, match="cannot be read"):
        load_lab(tmp_path)
    file = tmp_path / "lab.yaml"
    file.write_bytes(b"name: \xff\n")
    with pytest.raises(LabFileError, match="is not text in UTF-8; save it as UTF-8"):
        load_lab(file)
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(LabFileError, match="is too large"):
        load_lab(file)
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode().replace(b"\n", b"\r\n"))
    assert load_lab(file) == parse_lab(GOOD, "lab.yaml")


# --- a week's lab ---


def with_lab(name: str) -> str:
    return f"{GOOD}program: {{starts_on: 2027-01-11, weeks: [{{lab: '{name}'}}]}}\n"


@pytest.mark.parametrize(
    "name",
    ["week-4", "reading", "https://git.example.org/school/labs.git",
     "https://git.example.org:8443/labs#part/week-4.ipynb"],
)  # fmt: skip
def test_a_week_names_its_lab(name: str) -> None:
    program = parse_lab(with_lab(name), "lab.yaml").program
    assert program is not None
    assert program.weeks[0].lab == name


@pytest.mark.parametrize(
    "name",
    ["Week 4", "../week-4", "week-4.ipynb", "http://git.example.org/labs", "javascript:alert(1)",
     "https://me:secret@git.example.org/labs", "https://git.example.org/labs?x=1", ""],
)  # fmt: skip
def test_what_is_no_lab_is_refused(name: str) -> None:
    (problem,) = problems_of(with_lab(name))
    assert "is not the name of a lab; write one like week-4, or https://" in problem


# --- what the guide says ---


@pytest.mark.parametrize("model", MODELS)
def test_the_guide_mentions_every_key(model: type[BaseModel]) -> None:
    guide = (ROOT / "docs/organizers.md").read_text()
    assert [name for name in model.model_fields if f"`{name}`" not in guide] == []


def test_every_key_explains_itself() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in MODELS
        for name, field in model.model_fields.items()
        if not field.description
    ]
    keys = ("DueDate", "Blackout", "Section", "Scholar", "Ta", "Flavor", "Image", "DrainedGpu")
    assert silent == [f"{model}.name" for model in keys]


@pytest.mark.parametrize("name", Policy.model_fields)
def test_the_guide_gives_defaults_and_bounds(name: str) -> None:
    field = Policy.model_fields[name]
    if isinstance(field.default, GpuTime):
        default = field.default.text()
    else:
        default = str(field.default).replace("(", "`[").replace(")", "]`")
    guide = (ROOT / "docs/organizers.md").read_text()
    (row,) = re.findall(rf"(?m)^\| `{name}` \|.*$", guide)
    _, _, _, default_cell, bounds, _ = (cell.strip() for cell in row.split("|"))
    assert default_cell == default
    low, high = (int(bound) for bound in bounds.split(","))
    one = (lambda value: (value,)) if name == "warn_before_min" else (lambda value: value)
    for value in (low, high):
        Policy.model_validate({name: one(value)})
    for value in (low - 1, high + 1):
        with pytest.raises(ValidationError):
            Policy.model_validate({name: one(value)})
