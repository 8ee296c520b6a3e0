"""Whole labs for the tests of this folder, one for each runtime."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from tests.engine import throwaway_engine

# Half a minute of a quarter of a GPU, all of which is announced to be the last minute.
_HOURS = "'8 s'"


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[
    RunningLab
]:  # fmt: skip
    """A running lab with one virtual GPU and scholars who have half a minute each."""
    folder = tmp_path_factory.mktemp(request.param)
    text = lab_text(hours=_HOURS, gpus=1)
    if request.param == "process":
        with RunningLab(folder, text=text) as running:
            yield running
    else:
        yield from _docker_lab(folder, text)


def _docker_lab(folder: Path, text: str) -> Iterator[RunningLab]:
    with (
        throwaway_engine() as engine,
        RunningLab(folder, text=text, spawner="docker", hub_id=engine.hub_id) as running,
    ):
        yield running
