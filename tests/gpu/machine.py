"""A machine with one GPU for a lab's programs, whose driver is the stand-in in C."""

from pathlib import Path

from tests.gpu.world import Card, World, build


class MachineDriver:
    """The machine's GPU, in a test's hands."""

    def __init__(self, folder: Path) -> None:
        self.world = World(cards=[Card("NVIDIA T4", "GPU-a")])
        self._state = folder / "state"
        build(folder)
        self.change()
        self.environment = {"LD_LIBRARY_PATH": str(folder), "FAKE_NVML_STATE": str(self._state)}

    def change(self) -> None:
        draft = self._state.with_suffix(".new")
        self.world.write(draft)
        draft.replace(self._state)
