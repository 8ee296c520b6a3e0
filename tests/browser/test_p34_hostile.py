"""P34: a TA opens the session of a scholar who attacks, and loses nothing.

The control is the same lab without an address for each scholar, in which the operator has taken
the risk and lets scholars configure their servers: there the same page takes the TA's identity.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.visitor import Visitor
from lab.trial.waiting import wait_for
from tests.browser.hostile import arm
from tests.browser.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(420)]

_NO_HOSTS = "\nattach: {accept_shared_origin: true}\n"


@contextmanager
def hostile_lab(folder: Path, *, has_own_hosts: bool) -> Iterator[tuple[RunningLab, Path, str]]:
    """Start a lab in which ada's session attacks; yields the lab, her home, where pages are."""
    folder.mkdir()
    site = folder / "site.py"
    site.write_text("c.Spawner.disable_user_config = False\n")
    environment = {"GPULAB_HUB_CONFIG": str(site)}
    text = lab_text().replace("    tas: [tomas]", "    tas: [tomas]\n    help_hours_per_week: 5")
    if not has_own_hosts:
        environment["GPULAB_PUBLIC_HOST"] = ""
        text += _NO_HOSTS
    with RunningLab(folder, text=text, environment=environment) as lab:
        host = "gpulab--service.lab.localhost" if has_own_hosts else "lab.localhost"
        pages = f"http://{host}:{lab.port}/services/gpulab/"
        home = lab.state.root / "homes" / "ada"
        arm(home, hub=lab.address, pages=pages, victim="tomas")
        yield lab, home, pages


def visit(chromium: Browser, lab: RunningLab, home: Path, pages: str) -> dict[str, str]:
    """Let the TA attach, look at the section's page, and open what ada has prepared."""
    ada = lab.logged_in("ada")
    ada.start("cpu", within_s=120)
    tomas = Person.enter(chromium, lab, "tomas")
    tomas.page.goto(f"{pages}section/americas")
    attach(lab, lab.logged_in("tomas"))
    tomas.page.goto(f"{lab.address}/hub/user/ada/evil")
    wait_for("the attack's end", (home / "stolen.json").exists, within_s=60)
    tomas.context.close()
    found: dict[str, str] = json.loads((home / "stolen.json").read_text())
    return found


def attach(lab: RunningLab, ta: Visitor) -> None:
    body = {"hub_id": lab.hub_id, "account": "ada", "server_name": "", "mode": "co_edit",
            "minutes": 30, "reason": "asked for help"}  # fmt: skip

    def is_attached() -> bool:
        path = f"/v1/attachments/{uuid4()}"
        return lab.service("PUT", path, token=ta.token, json=body).status_code == 200

    wait_for("an attachment", is_attached, within_s=60, every_s=1)


def tokens_of(lab: RunningLab, name: str) -> list[str]:
    reply = lab.logged_in(name).api("GET", f"/users/{name}/tokens").json()
    return [str(one["note"]) for one in reply["api_tokens"]]


def given_to_ada(lab: RunningLab) -> list[Any]:
    token = lab.logged_in("olga").token
    reply = lab.service("GET", "/v1/grants?account=ada", token=token)
    return list(reply.json()["grants"])


def test_p34_a_hostile_session_gets_nothing_of_the_ta(chromium: Browser, tmp_path: Path) -> None:
    with hostile_lab(tmp_path / "lab", has_own_hosts=True) as (lab, home, pages):
        stolen = visit(chromium, lab, home, pages)
        for name in ("who", "home", "token", "page", "frame", "popup"):
            assert stolen[name].startswith("no: "), (name, stolen[name])
        assert "stolen" not in tokens_of(lab, "tomas")
        assert "blind" not in tokens_of(lab, "tomas")
        assert given_to_ada(lab) == []
        # Its cookies and its worker stay where it is.
        assert "ada.lab.localhost" in stolen["worker"]
        assert "tomas" not in json.dumps(stolen)


def test_p34_the_same_attack_succeeds_where_all_share_one_address(
    chromium: Browser, tmp_path: Path
) -> None:
    with hostile_lab(tmp_path / "lab", has_own_hosts=False) as (lab, home, pages):
        stolen = visit(chromium, lab, home, pages)
        assert '"name": "tomas"' in stolen["who"] or "tomas" in stolen["home"]
        assert "stolen" in tokens_of(lab, "tomas")
