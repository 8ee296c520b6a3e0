"""The real nvidia-ml-py over a stand-in for the driver's library, in Python or in C."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pynvml
import pytest

from api.gpus.nvml import NvmlGpus
from tests.gpu.world import InPython, World, in_c

# What does not depend on the driver's library runs over one of its stand-ins only.
IN_PYTHON = pytest.mark.parametrize("driver", ["python"], indirect=True)


@dataclass
class Driver:
    """A driver in a test's hands: change `world`, then `follow` it."""

    world: World
    state: Path | None = None

    def follow(self) -> NvmlGpus:
        if self.state is not None:
            self.world.write(self.state)
        return NvmlGpus(pynvml)

    def change(self) -> None:
        self.follow()


@pytest.fixture(scope="session")
def library_in_c(tmp_path_factory: pytest.TempPathFactory) -> object:
    if shutil.which("cc") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a C compiler: scripts/system-packages.sh")
        pytest.skip("no C compiler; scripts/system-packages.sh says which package it is in")
    return in_c(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(params=["python", "c"])
def driver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Driver]:
    if request.param == "c":
        yield _in_c(request.getfixturevalue("library_in_c"), tmp_path, monkeypatch)
        return
    world = World()
    fake = InPython(world)
    _put(fake, monkeypatch)
    yield Driver(world)
    assert fake.opened == 0, "every look closes the library again"


@pytest.fixture
def driver_in_c(library_in_c: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Only the stand-in in C has limits of memory."""
    return _in_c(library_in_c, tmp_path, monkeypatch)


def _in_c(library: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    state = folder / "nvml-state"
    state.write_text("")
    monkeypatch.setenv("FAKE_NVML_STATE", str(state))
    _put(library, monkeypatch)
    return Driver(World(), state)


def _put(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    # Without a cache of function pointers from another library.
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
