"""Whole labs for the tests of this folder, one for each runtime."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import NotFound

from tests.engine import throwaway_engine
from tests.integration.harness import RunningLab
from tests.integration.lab_text import lab_text

# A minute and a bit of a quarter of a GPU, of which the last minute is announced.
_HOURS = "'18 s'"


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[
    RunningLab
]:  # fmt: skip
    """A running lab with one virtual GPU and scholars who have a minute each."""
    folder = tmp_path_factory.mktemp(request.param)
    text = lab_text(hours=_HOURS, gpus=1)
    if request.param == "process":
        with RunningLab(folder, text=text) as running:
            yield running
    else:
        yield from _docker_lab(folder, text)


def _docker_lab(folder: Path, text: str) -> Iterator[RunningLab]:
    with throwaway_engine() as engine:
        running = RunningLab(folder, text=text, spawner="docker", hub_id=engine.hub_id)
        try:
            with running:
                yield running
        finally:
            # It may never have come so far.
            with suppress(NotFound):
                engine.client.remove_network(running.network)
