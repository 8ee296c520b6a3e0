"""A whole lab on one machine whose driver is the stand-in in C: train, be idle, be given back."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from tests.gpu.machine import MachineDriver
from tests.gpu.world import Running

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cc") is None and not os.environ.get("CI"),
                       reason="no C compiler; scripts/system-packages.sh"),
]  # fmt: skip

_IDLE = """
idle: {active_min: 1, training_min: 1, holding_min: 3, empty_min: 3, warn_min: 1, cpu_min: 2}
"""


@pytest.fixture
def driver(tmp_path: Path) -> MachineDriver:
    return MachineDriver(tmp_path)


@pytest.fixture
def lab(driver: MachineDriver, tmp_path: Path) -> Iterator[RunningLab]:
    text = lab_text().replace("mode: declared", "mode: nvml") + _IDLE
    with RunningLab(tmp_path / "lab", text=text, environment=driver.environment) as running:
        yield running


class Waiter:
    """A scholar at the waiting page, who asks again and again."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab, self._path = lab, f"/v1/leases/{uuid4()}"

    def asks(self) -> str:
        body = {"hub_id": "main", "account": "chen", "server_name": "", "image": "base",
                "flavor": "whole-gpu"}  # fmt: skip
        return str(self._lab.service("PUT", self._path, json=body).json()["state"])

    def leaves(self) -> None:
        self._lab.service("PUT", f"{self._path}/stop", json={"reason": "person"})


def state_of(lab: RunningLab, name: str) -> str:
    sessions = lab.account(name)["sessions"]
    told = sessions[0]["gpu_state"] if sessions else None
    return "" if told is None else str(told["state"])


@pytest.mark.timeout(900)
def test_an_idle_gpu_goes_back_and_what_trains_stays(
    lab: RunningLab, driver: MachineDriver
) -> None:
    ada = lab.logged_in("ada")
    ada.start("quarter-gpu", within_s=120)
    ada.run_cell("open('kept.txt', 'w').write('mine')")
    server = int(ada.run_cell("import os; print(os.getppid())"))
    driver.world.processes = [Running(0, server, 900, sm=70)]
    driver.change()
    wait_for("training", lambda: state_of(lab, "ada") == "training", within_s=240, every_s=1)
    before = (ada.server() or {})["last_activity"]
    wait_for("activity told to the hub",
             lambda: (ada.server() or {})["last_activity"] > before, within_s=90)  # fmt: skip

    driver.world.processes[0].sm = 0
    driver.change()
    wait_for("holding", lambda: state_of(lab, "ada") == "holding", within_s=240, every_s=1)
    assert lab.notices("ada", "stopped") == []
    wait_for("a warning", lambda: lab.notices("ada", "idle"), within_s=240, every_s=1)
    kept = ada.browser.post("/hub/gpulab/keep", data={"server_name": ""},
                            headers={"X-XSRFToken": ada.xsrf()})  # fmt: skip
    assert "kept until" in kept.json()["message"], kept.text
    lease = lab.account("ada")["sessions"][0]["lease_id"]
    assert lab.account("ada")["sessions"][0]["gpu_state"]["kept_until"]

    # The answer does not count any more: somebody waits for all of the GPU.
    line = Waiter(lab)
    ended = wait_for("the end", lambda: line.asks() and lab.service(
        "GET", f"/v1/leases/{lease}").json()["end_reason"], within_s=240, every_s=1)  # fmt: skip
    assert ended == "idle"
    wait_for("the waiter's turn", lambda: line.asks() == "held", within_s=30, every_s=1)
    line.leaves()
    assert "files are kept" in lab.notices("ada", "stopped")[-1]

    # Somebody else trains, and is no matter of the culler.
    blaise = lab.logged_in("blaise")
    blaise.start("quarter-gpu", within_s=120)
    server = int(blaise.run_cell("import os; print(os.getppid())"))
    driver.world.processes = [Running(0, server, 900, sm=70)]
    driver.change()

    # The home is kept, on a CPU; and nobody uses that session for long.
    ada.start("cpu", within_s=120)
    assert ada.run_cell("print(open('kept.txt').read())") == "mine\n"
    wait_for("the end of ada's session", lambda: {one.account for one in lab.sessions()} == {
        "blaise"}, within_s=400, every_s=2)  # fmt: skip
    assert "Culling server ada" in lab.log_of("culler")
    assert blaise.is_running()
