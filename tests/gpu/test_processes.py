"""Whose a process is: by its container, or by the keeper that it comes from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.gpus.processes import (
    ContainerOwners,
    Process,
    TreeOwners,
    container_of,
    look_at_processes,
)
from api.runtimes.records import boot_id

# Starts a child, and ends it when asked.
_KEEPER = """
import subprocess
child = subprocess.Popen(['sleep', '60'])
print(child.pid, flush=True)
input()
child.kill()
child.wait()
"""
# Lets a child compute for 0.3 s when asked, and waits for its end.
_PARENT = """
import subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.4: pass"
print("up", flush=True)
input()
subprocess.run([sys.executable, "-c", burn])
print("done", flush=True)
input()
"""
ONE, OTHER = "a1" * 32, "b2" * 32


@pytest.mark.parametrize(
    "line",
    [
        f"0::/system.slice/docker-{ONE}.scope",
        f"0::/docker/{ONE}",
        f"0::/../{ONE}",
        f"0::/../docker-{ONE}.scope",
        f"12:cpu,cpuacct:/docker/{ONE}",
        f"4:memory:/docker/{ONE}/inner",
        f"0::/kubepods.slice/kubepods-pod7f.slice/cri-containerd-{ONE}.scope",
        f"0::/kubepods/besteffort/pod7f/{ONE}",
        f"0::/kubepods.slice/kubepods-pod7f.slice/crio-{ONE}.scope",
    ],
)
def test_one_pattern_reads_all_forms_of_cgroups(line: str) -> None:
    assert container_of(f"13:rdma:/\n{line}\n1:name=systemd:/\n") == ONE


@pytest.mark.parametrize(
    "line", ["0::/", "0::/user.slice", f"0::/docker/{ONE[:-1]}", f"0::/{ONE}f"]
)
def test_what_is_in_no_container_has_none(line: str) -> None:
    assert container_of(line) is None


def proc_with(folder: Path, **cgroups: str) -> Path:
    for name, cgroup in cgroups.items():
        entry = folder / name.removeprefix("p")
        entry.mkdir()
        numbers = " ".join(["0"] * 9 + ["100", "20", "30", "0"] + ["0"] * 4 + ["77"] + ["0"] * 5)
        (entry / "stat").write_text(f"{entry.name} (odd) name)) S 1 {numbers}")
        (entry / "cgroup").write_text(cgroup)
    return folder


def test_processes_belong_to_the_containers_that_are_asked_for(tmp_path: Path) -> None:
    proc = proc_with(tmp_path, p11=f"0::/docker/{ONE}", p12=f"0::/docker/{OTHER}", p13="0::/")
    seen = look_at_processes(proc)
    assert seen[11] == Process(pid=11, parent=1, start_ticks=77,
                               cpu_s=150 / os.sysconf("SC_CLK_TCK"))  # fmt: skip
    owners = ContainerOwners(proc)
    for _ in range(2):
        assert owners.sessions_of(seen, [ONE]) == {11: ONE}
    assert owners.sessions_of(seen, [ONE, OTHER]) == {11: ONE, 12: OTHER}


def test_a_process_that_ends_meanwhile_belongs_to_nobody(tmp_path: Path) -> None:
    proc = proc_with(tmp_path, p11=f"0::/docker/{ONE}")
    seen = look_at_processes(proc)
    (proc / "11" / "cgroup").unlink()
    assert ContainerOwners(proc).sessions_of(seen, [ONE]) == {}


def test_a_tree_belongs_to_its_keepers_session(tmp_path: Path) -> None:
    """With real processes: a keeper, its child, and a process of nobody (this one)."""
    keeper = subprocess.Popen(
        [sys.executable, "-c", _KEEPER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with keeper:
        assert keeper.stdout is not None
        child = int(keeper.stdout.readline())
        seen = look_at_processes()
        record(tmp_path / "s-1", keeper.pid, seen[keeper.pid].start_ticks)
        record(tmp_path / "s-2", keeper.pid, seen[keeper.pid].start_ticks + 1)
        owners = TreeOwners(tmp_path)
        found = owners.sessions_of(seen, ["s-1", "s-2", "s-3"])
        keeper.communicate("\n", timeout=20)
    assert {keeper.pid, child} <= set(found)
    assert set(found.values()) == {"s-1"}, "the other's keeper is gone: its number was used again"
    assert os.getpid() not in found


def record(folder: Path, pid: int, ticks: int) -> None:
    folder.mkdir()
    start = {"lease_id": None, "hub_id": "main", "account": "ada", "server_name": "",
             "flavor": "whole", "pid": pid, "start_ticks": ticks, "boot_id": boot_id(),
             "started_at_ms": 0}  # fmt: skip
    (folder / "start.json").write_text(json.dumps(start))


def test_what_ended_children_computed_is_not_lost() -> None:
    """A child computes for a while and ends; its parent's count has it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        before = look_at_processes()[parent.pid].cpu_s
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "done\n"
        after = look_at_processes()[parent.pid].cpu_s
        parent.communicate("\n", timeout=20)
    assert after - before >= 0.29
