"""`make demo`: the main job from login to a second start, played against a throw-away lab.

Prints what happens with times; the last line is `demo: ok` only if every step held.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from lab.engine import Choice, choose_spawner, look_at_engine
from lab.settings import Spawner
from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for
from quota.lab_file import parse_lab

# What the lab promises: gone at most so long after the last paid instant.
_GONE_WITHIN_S = 50.0
_ALLOWANCE_S = 120
_NUMBERS = {"hold_step_s": 30, "minimum_start_s": 30, "tick_s": 15, "grace_s": 20}


class Story:
    """Tells each step with its time; a step that does not hold ends the story."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line with the time since the beginning."""
        print(f"[{time.monotonic() - self._began:6.1f} s]  {text}", flush=True)  # noqa: T201

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell a step and how long it took."""
        self.say(text)
        began = time.monotonic()
        yield
        self.say(f"    held ({time.monotonic() - began:.1f} s)")


def main() -> int:
    """Play the demo; the exit status tells whether every step held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--spawner", choices=("auto", "docker", "process"), default="auto")
    spawner = parser.parse_args().spawner
    story = Story()
    with tempfile.TemporaryDirectory(prefix="gpulab-demo-") as folder:
        text = lab_text(hours=f"'{_ALLOWANCE_S} s'", policy=_NUMBERS)
        choice = _choose(spawner, text)
        story.say(f"A throw-away lab; sessions in: {choice.spawner} ({choice.why})")
        try:
            with RunningLab(
                Path(folder), text=text, spawner=choice.spawner, hub_id=f"demo-{uuid4().hex[:8]}"
            ) as lab:
                play(lab, story)
        except AssertionError as error:
            story.say(f"this did not hold: {str(error)[:2000]}")
            print("demo: failed", flush=True)  # noqa: T201
            return 1
    print("demo: ok", flush=True)  # noqa: T201 - what a script looks for
    return 0


def _choose(wanted: Spawner, text: str) -> Choice:
    images = [image.docker for image in parse_lab(text, "demo").images.values()]
    return choose_spawner(wanted, look_at_engine(images))


def play(lab: RunningLab, story: Story) -> None:
    """Play the steps in order."""
    with story.step("ada logs in and sees what she can start"):
        ada = lab.logged_in("ada")
        page = ada.page("/hub/spawn")
        assert "A whole GPU" in page, "the spawn page names the flavors"
        assert "0.03" in page, "the spawn page shows the balance"
    with story.step("she starts a session on a whole GPU"):
        ada.start("whole-gpu", within_s=90)
    with story.step("she runs a cell in a kernel, through the proxy"):
        printed = ada.run_cell("print(6 * 7)")
        assert printed.strip() == "42", printed
    with story.step("she is charged from the runtime's own start time"):
        charged_ms = wait_for("a charge", lambda: _charged_s(lab), within_s=60)
        story.say(f"    {charged_ms:.1f} GPU-seconds so far")
    with story.step("she is warned on the home page"):
        wait_for("a warning", lambda: _notice(ada, "warning"), within_s=60)
        story.say(f'    "{_notice(ada, "warning")}"')
    lag_s = _exhaust(lab, ada, story)
    with story.step("another GPU session is refused in plain words"):
        reply = ada.spawn("whole-gpu")
        assert reply.status_code in (403, 409, 429), f"{reply.status_code}: {reply.text}"
        story.say(f'    "{reply.json()["message"]}"')
        assert "Not enough GPU-hours" in reply.text, reply.text
    with story.step("a session without a GPU starts at once, with the same files"):
        ada.start("cpu", within_s=90)
        ada.stop()
    with story.step("olga, an organizer, grants 10 more minutes"):
        _grant(lab, "10 min")
    with story.step("ada starts on a GPU again"):
        wait_for("a free GPU", lambda: ada.spawn("whole-gpu").status_code in (201, 202),
                 within_s=60, every_s=2)  # fmt: skip
        wait_for("her session", ada.is_running, within_s=90)
        assert ada.run_cell("print('again')").strip() == "again"
    with story.step("the metrics of service and hub tell the same"):
        _check_metrics(lab, lag_s)


def _exhaust(lab: RunningLab, ada: Visitor, story: Story) -> float:
    """Wait with an open kernel until the session is ended; return the lag in seconds."""
    with story.step("her hours run out, and the session ends although its page is open"):
        with ada.open_kernel():
            wait_for("the end", lambda: not lab.sessions(), within_s=_ALLOWANCE_S + 60)
        wait_for("a notice", lambda: _notice(ada, "stopped"), within_s=60)
        account = wait_for("the last charge", lambda: _closed(lab), within_s=60) or {}
        over_s = -account["balance_mgpu_ms"] / 1_000_000
        assert over_s <= _GONE_WITHIN_S, f"{over_s:.1f} s after the last paid second"
        story.say(f"    gone {over_s:.1f} s after the last paid second (promised: 50 s)")
        story.say(f'    "{_notice(ada, "stopped")}"')
    return float(over_s)


def _charged_s(lab: RunningLab) -> float:
    return float(lab.account("ada")["charged_mgpu_ms"]) / 1_000_000


def _closed(lab: RunningLab) -> dict[str, Any] | None:
    account = lab.account("ada")
    return account if not account["sessions"] else None


def _notice(person: Visitor, kind: str) -> str:
    """Return the newest notice of a kind as the home page gets it."""
    reply = person.browser.get("/hub/gpulab/me")
    reply.raise_for_status()
    found = [one["text"] for one in reply.json()["notices"] if one["kind"] == kind]
    return str(found[0]) if found else ""


def _grant(lab: RunningLab, hours: str) -> None:
    olga = lab.logged_in("olga")
    body = {"hub_id": lab.hub_id, "account": "ada", "hours": hours, "reason": "for the demo"}
    reply = lab.service("PUT", f"/v1/grants/{uuid4()}", token=olga.token, json=body)
    assert reply.status_code == 200, reply.text


def _check_metrics(lab: RunningLab, lag_s: float) -> None:
    text = lab.service("GET", "/metrics").text
    assert 'gpulab_sessions_ended_total{reason="exhausted"} 1.0' in text, text
    found = re.search(r"gpulab_enforcement_lag_seconds_sum ([0-9.e+-]+)", text)
    assert found, text
    assert abs(float(found[1]) - lag_s) < 1, f"{found[1]} s, not {lag_s:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
