"""Texts of lab.yaml with small numbers, so that a trial takes minutes."""

from collections.abc import Mapping, Sequence

_POLICY = {
    "hold_step_s": 10,
    "minimum_start_s": 5,
    "tick_s": 2,
    "grace_s": 5,
    "spawn_timeout_s": 60,
    "waiter_timeout_s": 20,
    "offer_s": 30,
}


SCHOLARS = ("ada", "blaise", "chen", "dina", "emeka")


def lab_text(
    *,
    hours: str = "10",
    gpus: int = 2,
    policy: Mapping[str, object] | None = None,
    scholars: Sequence[str] = SCHOLARS,
) -> str:
    """Write a lab of one organizer, one TA and some scholars with `hours` per week."""
    numbers = {**_POLICY, **(policy or {})}
    lines = "\n".join(f"  {name}: {value}" for name, value in numbers.items())
    return f"""
name: test lab
organizers: [olga]
sections:
  americas:
    title: Americas
    time_zone: America/New_York
    tas: [tomas]
    scholars: [{", ".join(scholars)}]
    hours_per_week: {hours}
flavors:
  cpu: {{title: No GPU, weight_mgpu: 0, cpus: 1, ram_mib: 1024}}
  quarter-gpu:
    title: A quarter of a GPU
    weight_mgpu: 250
    share_mgpu: 250
    memory_mib: 4096
    cpus: 1
    ram_mib: 1024
  whole-gpu:
    title: A whole GPU
    weight_mgpu: 1000
    share_mgpu: 1000
    memory_mib: 16384
    cpus: 1
    ram_mib: 1024
images:
  base: {{title: "JupyterLab, Python", docker: "gpulab/base:latest"}}
gpus:
  mode: declared
  declared: [{{name: Virtual GPU, memory_mib: 16384, count: {gpus}}}]
policy:
{lines}
"""
