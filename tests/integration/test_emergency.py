"""A whole lab whose service dies: an organizer opens an emergency, and the books come back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PAGE = "/hub/gpulab/emergency"


def press(visitor: Visitor, **form: str) -> httpx2.Response:
    """Fill in a form of the page; what it does not show comes from the page itself."""
    page = visitor.browser.get(PAGE).text
    proof = re.search(r'name="_xsrf" value="([^"]+)"', page)
    fields = {"_xsrf": proof[1] if proof else visitor.xsrf(), **form}
    return visitor.browser.post(PAGE, data=fields)


@contextmanager
def books_away(lab: RunningLab) -> Iterator[None]:
    """Stop service and worker: nothing can write into the books."""
    for program in ("service", "worker"):
        lab.supervisor.stop(program)
    try:
        yield
    finally:
        for program in ("service", "worker"):
            lab.supervisor.start(program)


def refusal(visitor: Visitor, flavor: str = "whole-gpu") -> str:
    reply = visitor.spawn(flavor)
    assert reply.status_code == 503, reply.text
    return str(reply.json()["message"])


def on_trail(lab: RunningLab, olga: Visitor) -> list[tuple[str, str, str]]:
    lines = lab.service("GET", "/v1/audit", token=olga.token).json()["lines"]
    return [(one["actor"], one["action"], one["subject"]) for one in lines
            if one["action"].startswith("emergency")]  # fmt: skip


def test_gpus_in_an_emergency_and_the_books_afterwards(tmp_path: Path) -> None:
    policy = {"minimum_start_s": 5, "outage_horizon_s": 3600}
    with RunningLab(tmp_path, text=lab_text(gpus=2, policy=policy)) as lab:
        ada, blaise, chen = (lab.logged_in(name) for name in ("ada", "blaise", "chen"))
        olga = lab.logged_in("olga")
        for one in (ada, blaise, chen, olga):
            assert one.token
        ada.start("whole-gpu", within_s=120)
        known = lab.state.root / "known-gpus.json"
        wait_for("what the hub knows", lambda: known.exists() and '"kind"' in known.read_text(),
                 within_s=90)  # fmt: skip
        with books_away(lab):
            _closed(blaise, olga)
            _opened(lab, olga)
            _started(lab, blaise, chen)
            # The switch, its starts and the room outlive a hub that is killed.
            lab.kill("hub", within_s=90)
            wait_for("the hub", lambda: _says_so(chen), within_s=90)
            assert "All GPUs are taken" in refusal(chen)
        _adopted(lab, blaise, olga)
        assert press(olga, do="close").status_code == 200
        assert "Emergency mode until" not in chen.page("/hub/home")
        wait_for("the end on the trail", lambda: len(on_trail(lab, olga)) == 3, within_s=90)
        blaise.stop(within_s=90)
        with books_away(lab):
            assert "cannot be reached" in refusal(blaise)


def _says_so(visitor: Visitor) -> bool:
    try:
        reply = visitor.browser.get("/hub/home")
    except httpx2.HTTPError:
        return False
    return reply.status_code == 200 and "Emergency mode until" in reply.text


def _closed(blaise: Visitor, olga: Visitor) -> None:
    assert "cannot be reached" in refusal(blaise)
    for form in ({"do": "open", "hours": "1", "reason": "let me in"}, {"do": "close"}):
        assert press(blaise, **form).status_code == 403
    assert blaise.browser.get(PAGE).status_code == 403
    without_proof = olga.browser.post(PAGE, data={"do": "open", "hours": "1", "reason": "x"})
    assert without_proof.status_code == 403
    wrong = press(olga, do="open", hours="4.5", reason="the database is away")
    assert wrong.status_code == 422
    assert "Write hours from 0.25 to 4" in wrong.text
    assert 'value="the database is away"' in wrong.text, "what was typed is still there"
    assert "cannot be reached" in refusal(blaise)


def _opened(lab: RunningLab, olga: Visitor) -> None:
    shown = press(olga, do="open", hours="2", reason="the database is away")
    assert (shown.status_code, "Open now" in shown.text) == (200, True)
    kept = lab.state.root / "emergency.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def _started(lab: RunningLab, blaise: Visitor, chen: Visitor) -> None:
    blaise.start("whole-gpu", within_s=120)
    mine = {one.account: one for one in lab.sessions()}
    assert mine["blaise"].gpu_uuid
    assert mine["blaise"].emergency_until is not None
    assert "Emergency mode until" in chen.page("/hub/home")
    assert "All GPUs are taken" in refusal(chen)
    assert "All GPUs are taken" in refusal(chen, "quarter-gpu")


def _adopted(lab: RunningLab, blaise: Visitor, olga: Visitor) -> None:
    session = next(one for one in lab.sessions() if one.account == "blaise")
    assert session.started_at is not None
    wait_for("a service", lab.is_service_up, within_s=90)

    def lease() -> dict[str, object]:
        found = lab.account("blaise")["sessions"]
        return next((one for one in found if one["state"] == "active"), {})

    active = wait_for("blaise's lease", lease, within_s=90)
    assert active["lease_id"] == str(session.lease_id)
    assert active["gpu_uuid"] == session.gpu_uuid
    assert str(active["started_at"])[:19] == session.started_at.isoformat()[:19]
    wait_for("the trail", lambda: len(on_trail(lab, olga)) == 2, within_s=90)
    assert on_trail(lab, olga) == [
        ("olga", "emergency.open", "emergency"),
        ("blaise", "emergency.start", "blaise"),
    ]
    assert blaise.run_cell("print(1 + 1)") == "2\n", "it went on all the while"
    ada = next(one for one in lab.sessions() if one.account == "ada")
    gpus = {one["account"]: one["gpu_uuid"] for one in lab.service(
        "GET", "/v1/gpus", params={"hub_id": lab.hub_id}).json()["occupied"]}  # fmt: skip
    assert set(gpus) == {"ada", "blaise"}
    assert gpus["ada"] != gpus["blaise"], ada.ref
