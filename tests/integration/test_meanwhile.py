"""A whole lab: waiting for a GPU, on a CPU meanwhile, and on the GPU when the turn has come."""

from pathlib import Path
from typing import Any

import pytest

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def _says(visitor: Visitor, what: str) -> dict[str, Any]:
    """Press a button of the hub's pages."""
    server = "#line" if what == "leave" else ""
    reply = visitor.browser.post(f"/hub/gpulab/{what}", data={"server_name": server},
                                 headers={"X-XSRFToken": visitor.xsrf()})  # fmt: skip
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def _place(visitor: Visitor) -> dict[str, Any] | None:
    shown = visitor.browser.get("/hub/gpulab/me").json()
    return next((one for one in shown["sessions"] if one["keeps_place"]), None)


def test_on_a_cpu_until_the_turn_has_come(tmp_path: Path) -> None:
    text = lab_text(gpus=1, policy={"offer_s": 120})
    with RunningLab(tmp_path, text=text) as lab:
        ada, blaise = lab.logged_in("ada"), lab.logged_in("blaise")
        ada.start("whole-gpu", within_s=120)
        assert "does not wait" in _says(blaise, "meanwhile")["message"]
        assert blaise.spawn("whole-gpu").status_code == 202
        wait_for("a place in the line", lambda: lab.account("blaise")["sessions"], within_s=30)
        assert 'id="meanwhile"' in blaise.page("/hub/spawn-pending/blaise")
        assert "labStart" in blaise.page("/hub/gpulab/start.js")
        kept = _says(blaise, "meanwhile")
        assert kept["options"] == {"flavor": "cpu", "image": "base"}, kept
        # As the page does: the start that waits is stopped, another is begun.
        blaise.stop()
        blaise.start("cpu", within_s=120)
        wait_for("the place on the home page", lambda: _place(blaise), within_s=30)
        assert blaise.run_cell("print(1 + 1)") == "2\n"
        ada.stop()
        turn = wait_for("the turn", lambda: (_place(blaise) or {}).get("turn"), within_s=60)
        assert turn == {"flavor": "whole-gpu", "image": "base"}
        assert "Your turn has come" in lab.notices("blaise", "turn")[-1]
        blaise.stop()
        blaise.start("whole-gpu", within_s=120)
        assert [one.flavor for one in lab.sessions()] == ["whole-gpu"]
        assert _place(blaise) is None
        assert "not in the line" in _says(blaise, "leave")["message"]
        blaise.stop()
