"""Scenes of a class, for stories and pictures: who runs, who wants help, who asks for hours."""

from uuid import uuid4

import httpx2

from lab.trial.running import RunningLab
from lab.trial.text import lab_text

# The TA has hours to give.
CLASS_TEXT = f"{lab_text()}tas: {{tomas: {{hours_per_week: 3}}}}\n"


def class_at_work(lab: RunningLab) -> None:
    """Let ada run and want help, blaise ask for hours, and chen run without a GPU."""
    ada, blaise, chen = (lab.logged_in(name) for name in ("ada", "blaise", "chen"))
    ada.start("quarter-gpu", within_s=120)
    chen.start("cpu", within_s=120)
    hand = {"hub_id": lab.hub_id, "server_name": "", "path": "week3/tensors.ipynb",
            "message": "My loss becomes NaN after the first step. What is wrong?"}  # fmt: skip
    _ok(lab.service("PUT", f"/v1/help-requests/{uuid4()}", token=ada.token, json=hand))
    wish = {"hub_id": lab.hub_id, "hours": "2", "reason": "the last run was cut short"}
    _ok(lab.service("PUT", f"/v1/requests/{uuid4()}", token=blaise.token, json=wish))


def _ok(reply: httpx2.Response) -> None:
    assert reply.status_code == 200, reply.text
