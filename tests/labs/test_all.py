"""All nine labs in the image that scholars have, with its real libraries and without network."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine, throwaway_engine
from tests.labs.notebooks import BROKEN, EXECUTE, WEEKS, Run, broken, path_of, runs_of

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(3600)]

IMAGE = "gpulab/huggingface:latest"
# Promised: three minutes on a CPU. Of its own processor, however busy the machine is.
MOST_CPU_S = 180
WAIT_S = 3000


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as one:
        if not one.client.images(IMAGE):
            pytest.skip(f"the image {IMAGE} is not here: scripts/build-image.sh huggingface")
        yield one


def run_in_image(engine: Engine, folder: Path) -> list[Run]:
    """Run all notebooks of a folder in the image, as a session would be: bounded, no network."""
    folder.chmod(0o755)
    host = engine.client.create_host_config(
        network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges:true"], init=True,
        binds={str(folder): {"bind": "/labs", "mode": "ro"},
               str(EXECUTE): {"bind": "/execute.py", "mode": "ro"}},
    )  # fmt: skip
    names = [f"/labs/{path.name}" for path in sorted(folder.iterdir())]
    made = engine.client.create_container(
        IMAGE, ["python", "/execute.py", "/tmp", *names], host_config=host,
        labels={"gpulab.hub": engine.hub_id},
    )  # fmt: skip
    engine.client.start(made["Id"])
    status = engine.client.wait(made["Id"], timeout=WAIT_S)["StatusCode"]
    told = engine.client.logs(made["Id"]).decode()
    assert status == 0, told[-2000:]
    return runs_of(told)


def test_all_labs_run_from_top_to_bottom(engine: Engine, tmp_path: Path) -> None:
    for week in WEEKS:
        (tmp_path / f"week-{week}.ipynb").write_text(path_of(week).read_text())
    runs = run_in_image(engine, tmp_path)
    for run in runs:
        print(json.dumps({"lab": run.lab, "wall_s": run.wall_s, "cpu_s": run.cpu_s}))
    assert [run.lab for run in runs] == [f"week-{week}" for week in WEEKS]
    for run in runs:
        assert (run.lab, run.error, run.complaints) == (run.lab, "", "")
        assert run.figures >= 1
        assert "All checks passed.\n" in run.printed
        assert run.cpu_s < MOST_CPU_S


def test_each_lab_stops_at_its_check_when_it_computes_wrongly(
    engine: Engine, tmp_path: Path
) -> None:
    for week in WEEKS:
        (tmp_path / f"week-{week}.ipynb").write_text(broken(week))
    for week, run in zip(WEEKS, run_in_image(engine, tmp_path), strict=True):
        assert run.error.startswith("AssertionError"), run
        assert BROKEN[week][2] in run.error, run
