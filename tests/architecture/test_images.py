"""What the images' recipes may not do, as far as reading them tells."""

import re
from pathlib import Path

import pytest

from tests.architecture import code

RECIPES = sorted((code.ROOT / "images").glob("*/Dockerfile"))
ORDER = {"base": "debian:bookworm-slim", "pytorch": "gpulab/base:latest",
         "huggingface": "gpulab/pytorch:latest", "lab": "debian:bookworm-slim"}  # fmt: skip


def _instructions(recipe: Path) -> list[str]:
    """Return the instructions, each on one line, without comments."""
    lines = [line for line in recipe.read_text().splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line]


def _named(recipe: Path) -> str:
    return recipe.parent.name


def test_every_recipe_is_known() -> None:
    assert [_named(one) for one in RECIPES] == sorted(ORDER)


@pytest.mark.parametrize("recipe", RECIPES, ids=_named)
def test_images_rest_on_each_other_and_on_no_cuda_image(recipe: Path) -> None:
    text = _instructions(recipe)
    assert f"ARG BASE_IMAGE={ORDER[_named(recipe)]}" in text
    stages = {line.split()[3] for line in text if re.match(r"FROM \S+ AS ", line)}
    for line in text:
        if line.startswith("FROM "):
            assert line.split()[1] in {"${BASE_IMAGE}", *stages}, line


def _user(recipe: Path, stage: str) -> str:
    """Return who runs what a stage makes: the stage says it, or one that it begins with."""
    name, user = "", {"${BASE_IMAGE}": "root"}
    for line in _instructions(recipe):
        if line.startswith("FROM "):
            _, begins, *named = line.split()
            name = named[1] if named else ""
            user[name] = user[begins]
        elif line.startswith("USER "):
            user[name] = line.split()[1]
    return user[stage]


@pytest.mark.parametrize(
    ("image", "stage", "user"),
    [("base", "", "scholar"), ("pytorch", "", "scholar"), ("huggingface", "", "scholar"),
     ("lab", "hub", "gpulab"), ("lab", "api", "gpulab"), ("lab", "proxy", "gpulab")],
)  # fmt: skip
def test_nothing_runs_as_the_administrator(image: str, stage: str, user: str) -> None:
    assert _user(code.ROOT / "images" / image / "Dockerfile", stage) == user


@pytest.mark.parametrize("recipe", RECIPES, ids=_named)
def test_no_image_chooses_gpus_or_doubles_its_files(recipe: Path) -> None:
    text = "\n".join(_instructions(recipe))
    assert "NVIDIA_VISIBLE_DEVICES" not in text, "the lease says which GPU, not the image"
    assert "chown -R" not in text


@pytest.mark.parametrize("recipe", RECIPES, ids=_named)
def test_what_pip_installs_is_locked_and_configured_by_secrets_only(recipe: Path) -> None:
    installs = [line for line in _instructions(recipe)
                if re.search(r"pip install|install\.sh /", line)
                and "--no-index" not in line]  # fmt: skip
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "sh /srv/install.sh /srv/" in line
        assert "--mount=type=secret,id=ca" in line
        assert "--mount=type=secret,id=pipconf" in line


def test_pytorch_without_hashes_comes_from_the_index_that_was_named_only() -> None:
    script = (code.ROOT / "images/pytorch/install.sh").read_text()
    installs = [line for line in script.splitlines() if "pip install" in line]
    assert len(installs) == 2
    for one in installs:
        assert "--require-hashes" in one or '--index-url "$TORCH_INDEX"' in one


def test_sessions_are_looked_at_every_thirty_seconds() -> None:
    checks = [one for one in _instructions(code.ROOT / "images/base/Dockerfile")
              if one.startswith("HEALTHCHECK")]  # fmt: skip
    assert len(checks) == 1
    assert "--interval=30s" in checks[0]


def test_both_ways_of_building_know_all_images() -> None:
    script = (code.ROOT / "scripts/build-image.sh").read_text()
    bake = (code.ROOT / "images/docker-bake.hcl").read_text()
    for name in ("base", "pytorch", "huggingface", "hub", "api", "proxy"):
        assert re.search(rf"^target \"{name}\" ", bake, re.MULTILINE), name
        assert re.search(rf"^    .*\b{name}\b.*\) ", script, re.MULTILINE), name


@pytest.mark.parametrize("image", ["base", "lab"])
def test_the_builds_context_has_no_state_and_no_secrets(image: str) -> None:
    ignored = (code.ROOT / "images" / image / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is left out but what is named"
    named = {line[1:].split("/")[0] for line in rules if line.startswith("!")}
    assert named <= {"pyproject.toml", "README.md", "jupyterhub_config.py", "package.json",
                     "package-lock.json", ".npmrc", "requirements", "api", "gate", "hub", "lab",
                     "quota", "images"}  # fmt: skip
