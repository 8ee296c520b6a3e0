"""What every lab has to have, and may not have."""

import re
from typing import Any

import nbformat
import pytest

from tests.architecture import code
from tests.architecture.test_style import BANNED_IN_TEXTS
from tests.labs import notebooks
from tests.quota.books import make_lab

NETWORK = re.compile(r"https?://|\bwget\b|\bcurl\b|pip install|download=True|requests\.get")
MOST_BYTES = 40_000


@pytest.fixture(params=notebooks.WEEKS)
def week(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def notebook(week: int) -> dict[str, Any]:
    return notebooks.read(week)


def test_there_is_one_for_each_week() -> None:
    assert {path.name for path in notebooks.LABS.iterdir()} == {
        f"week-{week}.ipynb" for week in notebooks.WEEKS}  # fmt: skip


def test_it_is_kept_as_jupyterlab_writes_it_without_outputs(
    week: int, notebook: dict[str, Any]
) -> None:
    text = notebooks.path_of(week).read_text()
    assert text == notebooks.normal(notebook)
    assert len(text) < MOST_BYTES
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert ids == [f"week-{week}-{number:02d}" for number in range(1, len(ids) + 1)]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_it_says_what_it_is_for_and_where_it_runs(week: int, notebook: dict[str, Any]) -> None:
    image = "huggingface" if week == 5 else "pytorch"
    assert notebook["metadata"]["gpulab"] == {"week": week, "image": image}
    first = notebooks.source(notebook["cells"][0])
    assert first.startswith(f"# Week {week}: ")
    assert "**What you need.**" in first
    assert "image *Hugging Face*" in first if image == "huggingface" else "*PyTorch*" in first


def test_it_has_a_figure_something_to_try_a_check_and_reports(
    week: int, notebook: dict[str, Any]
) -> None:
    codes = notebooks.codes(notebook)
    assert any("plt.show()" in one for one in codes)
    tried = [cell for cell in notebook["cells"] if "try-it" in cell["metadata"].get("tags", ())]
    assert {cell["cell_type"] for cell in tried} == {"markdown", "code"}
    check, report = codes[-2:]
    asserted = [line for line in check.splitlines() if line.startswith("assert ")]
    assert len(asserted) >= 4
    assert check.endswith('print("All checks passed.")')
    assert report.startswith("try:\n    from gpulab_session import passed\n")
    assert report.endswith(f'passed("week-{week}")')


def test_it_asks_for_no_network_and_uses_the_labs_words(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        text = notebooks.source(cell)
        assert not NETWORK.search(text)
        assert not BANNED_IN_TEXTS.search(text)


def test_chance_is_fixed_and_the_device_chosen(week: int, notebook: dict[str, Any]) -> None:
    text = "\n".join(notebooks.codes(notebook))
    assert re.search(r"default_rng\(\d+\)|manual_seed\(\w+\)|set_seed\(\d+\)", text)
    if week not in notebooks.LIGHT:
        assert 'device = "cuda" if torch.cuda.is_available() else "cpu"' in text


def test_the_example_program_has_a_lab_in_each_week() -> None:
    lab = make_lab((code.ROOT / "examples/mlss-2022.yaml").read_text())
    assert lab.program is not None
    assert [one.lab for one in lab.program.weeks] == [f"week-{n}" for n in notebooks.WEEKS]
