"""`python -m tests.gpu.check`: does the lab see this machine's GPUs as it has to?

For real hardware; needs no Docker. Lists the GPUs, starts two sessions of the process runtime on
one of them, one that computes and one that only holds memory, and tells which is which from what
the driver says. Takes about two minutes. Exit status 0: all as it should be, 1: not, 3: no GPU.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import hub.session_wrapper
from api.gpus.choose import choose_gpus, load_nvml
from api.gpus.devices import GpuDevice, GpuSource, InventoryUnavailable
from api.gpus.memory import MemoryHolder
from api.gpus.processes import TreeOwners, look_at_processes
from api.gpus.states import History, state_of, with_look
from api.idle import Machine, look_at
from api.runtimes.process import ProcessRuntime
from quota.clock import SystemClock
from quota.lab_idle import IdleRules
from quota.session_states import RunningSession

NO_GPU = 3
_LOAD = Path(__file__).with_name("load.py")
_RULES = IdleRules(active_min=1, training_min=1)
_EVERY_S, _FOR_S = 5.0, 90.0
_MIB = 512
_WANTED = {"computes": "training", "holds": "holding"}


def main() -> int:
    try:
        gpus, _ = choose_gpus("nvml", ())
        devices = gpus.devices()
    except InventoryUnavailable as error:
        print(f"No GPU to check: {error}.")
        return NO_GPU
    _show_devices(devices)
    one = next((each for each in devices if each.kind == "gpu"), devices[0])
    with tempfile.TemporaryDirectory(prefix="gpulab-check-") as folder:
        return _check_sessions(gpus, one, Path(folder))


def _show_devices(devices: tuple[GpuDevice, ...]) -> None:
    held = MemoryHolder(load_nvml()).promise(devices)
    print("GPUs:")
    for one in devices:
        memory = "enforced for containers" if one.uuid in held else "advice"
        print(f"  {one.uuid}  {one.kind}  {one.name}  {one.memory_mib:,} MiB  memory: {memory}")


def _check_sessions(gpus: GpuSource, device: GpuDevice, folder: Path) -> int:
    runtime = ProcessRuntime(folder, "check")
    sessions = {
        "computes": _start(folder, device, busy_s=_FOR_S * 3, rest_s=0),
        "holds": _start(folder, device, busy_s=0, rest_s=_FOR_S * 3),
    }
    try:
        found = _watch(gpus, sessions, TreeOwners(folder))
    finally:
        for one in sessions.values():
            runtime.kill(one.ref)
    left = {one.pid for one in gpus.look().on(device.uuid)} & set(_pids(folder))
    status = 0
    for name, state in found.items():
        is_right = state == _WANTED[name]
        status |= not is_right
        print(f"  the session that {name}: {state} ({'right' if is_right else 'WRONG'})")
        log = (folder / sessions[name].ref / "session.log").read_text().strip()
        print(f"    it says: {log or 'nothing'}")
    print(f"  after their end: {len(left)} of their processes on the GPU")
    return status or int(bool(left))


def _start(folder: Path, device: GpuDevice, *, busy_s: float, rest_s: float) -> RunningSession:
    lease_id = uuid4()
    ref = str(lease_id)
    (folder / ref).mkdir()
    wanted = {"ref": ref, "lease_id": ref, "hub_id": "check", "account": "check",
              "server_name": "", "flavor": "check", "port": 0}  # fmt: skip
    (folder / ref / "wanted.json").write_text(json.dumps(wanted))
    command = [sys.executable, str(_LOAD), str(_MIB), str(busy_s), str(rest_s)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": device.uuid, "GPULAB_LEASE": ref}
    wrapper = str(hub.session_wrapper.__file__)
    subprocess.run([sys.executable, "-I", "-S", wrapper, str(folder / ref), *command],
                   env=env, check=True)  # fmt: skip
    return RunningSession(lease_id=lease_id, ref=ref, account="check", server_name="",
                          flavor="check", gpu_uuid=device.uuid, memory_mib=_MIB)  # fmt: skip


def _watch(
    gpus: GpuSource, sessions: Mapping[str, RunningSession], owners: TreeOwners
) -> dict[str, str]:
    """Look for a minute and a half, as the worker would; nobody is there."""
    clock, gap = SystemClock(), timedelta(seconds=4 * _EVERY_S)
    histories: dict[str, History] = {}
    began = clock.now()
    computed: dict[str, float] = {}
    print(f"\nTwo sessions on one GPU, looked at every {_EVERY_S:g} s:")
    while clock.now() - began < timedelta(seconds=_FOR_S):
        time.sleep(_EVERY_S)
        look, processes = gpus.look(), look_at_processes()
        mine = owners.sessions_of(processes, [one.ref for one in sessions.values()])
        machine = Machine(at=clock.now(), gpus=look, processes=processes, owners=mine)
        line = []
        for name, one in sessions.items():
            cpu_s = sum(processes[pid].cpu_s for pid, ref in mine.items() if ref == one.ref)
            # What drives the GPU keeps a CPU busy, too; here only the GPU is to tell.
            cores = 0.0 if name in computed else None
            computed[name] = cpu_s
            seen = look_at(one, machine, cpu_cores=cores)
            histories[name] = with_look(histories.get(name), seen, _RULES, longest_gap=gap)
            held = f"{seen.held_mib} MiB, CPU {cpu_s:.1f} s"
            line.append(f"{name}: SM {seen.sm_percent} %, {held}")
        print("  " + "; ".join(line), flush=True)
    away = began - timedelta(hours=1)
    return {name: state_of(one, away, _RULES).state for name, one in histories.items()}


def _pids(folder: Path) -> list[int]:
    starts = [json.loads(one.read_text()) for one in folder.glob("*/start.json")]
    return [int(one["pid"]) for one in starts]


if __name__ == "__main__":
    sys.exit(main())
