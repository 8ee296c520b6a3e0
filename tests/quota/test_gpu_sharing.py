"""How sessions share GPUs: who fits where, and what people are told."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quota.gpu_sharing import notes_for_scholars, sharing_in_force, warnings_for_operators
from quota.lab_gpus import GpuPolicy, Sharing
from quota.placement import Ask, GpuUse, choose, count_slots
from tests.quota.books import Desk, gpu

REAL = replace(gpu("GPU-a"), kind="gpu")


@pytest.mark.parametrize(
    ("policy", "kind", "in_force"),
    [
        (GpuPolicy(), "gpu", "plain"),
        (GpuPolicy(sharing="mps"), "gpu", "mps"),
        (GpuPolicy(sharing_of={"GPU-a": "exclusive"}), "gpu", "exclusive"),
        (GpuPolicy(sharing_of={"GPU-b": "exclusive"}), "gpu", "plain"),
        (GpuPolicy(), "mig", "mig"),
        # Who wanted scholars apart gets that, whatever became of the driver's mode.
        (GpuPolicy(sharing="mig"), "gpu", "exclusive"),
    ],
)
def test_how_a_gpu_is_shared(policy: GpuPolicy, kind: str, in_force: Sharing) -> None:
    assert sharing_in_force(policy, "GPU-a", kind) == in_force


def test_an_exclusive_gpu_takes_one_session(engine: Engine, tmp_path: Path) -> None:
    desk = Desk(engine)
    devices = [replace(gpu(f"GPU-{number}"), sharing="exclusive") for number in range(2)]
    desk.books.set_inventory(devices)
    shares = [desk.ask(who, "quarter").lease for who in ("ada", "blaise", "chen")]
    assert [one.state for one in shares] == ["held", "held", "waiting"]
    assert {one.gpu_uuid for one in shares[:2]} == {"GPU-0", "GPU-1"}
    assert count_slots(devices, Ask(250, 4096), 4) == (2, 2)
    taken = replace(devices[0], sharers=1, used_mgpu=250, used_mib=4096)
    assert choose([taken], Ask(250, 4096), max_sharers=4, placement="pack") is None
    plain = replace(taken, sharing="plain")
    assert choose([plain], Ask(250, 4096), max_sharers=4, placement="pack") == plain
    desk.check()


def test_scholars_are_told_what_sharing_means_for_them() -> None:
    plain = " ".join(notes_for_scholars([REAL], 4))
    assert "Up to 4 sessions share a GPU" in plain
    assert "advice" in plain
    held = " ".join(notes_for_scholars([replace(REAL, holds_memory=True)], 4))
    assert "held to the GPU memory" in held
    assert "crashes" in " ".join(notes_for_scholars([replace(REAL, sharing="mps")], 4))
    alone: list[GpuUse] = [replace(REAL, sharing="exclusive"), replace(REAL, sharing="mig"),
                           gpu("VIRTUAL-0"), replace(REAL, in_service=False)]  # fmt: skip
    assert notes_for_scholars(alone, 4) == ()


def test_operators_are_warned() -> None:
    def warned(policy: GpuPolicy, *, in_containers: bool = False) -> list[str]:
        devices = [("GPU-a", "gpu", ""), ("MIG-1", "mig", "GPU-h")]
        found = warnings_for_operators(policy, devices, in_containers=in_containers)
        return [what for what, remedy in found if remedy]

    assert warned(GpuPolicy()) == []
    assert "not in MIG mode" in warned(GpuPolicy(sharing="mig"))[0]
    assert len(warned(GpuPolicy(sharing="mps"))) == 1
    assert "containers" in warned(GpuPolicy(sharing="mps"), in_containers=True)[1]
    assert "not here" in warned(GpuPolicy(sharing_of={"GPU-z": "plain"}))[0]
    assert warned(GpuPolicy(sharing_of={"GPU-h": "mig"})) == []
