"""Choosing over HTTP where one hears of what; and the commands that look after channels."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from tests.api.desk import ApiDesk, open_service, problem
from tests.api.receiver import receiving
from tests.api.test_cli import Shell
from tests.quota.books import LAB_YAML

CHANNELS = """
channels:
  mail: {title: Mail, url_file: mail, chosen_by: [scholars], to_person: true, default: true}
  room: {title: Room, url_file: room, chosen_by: [organizers]}
"""
MINE = "/v1/accounts/ada/notification-choices"


@pytest.fixture
def bare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    (tmp_path / ".state" / "secrets").mkdir(parents=True, mode=0o700)
    (tmp_path / "lab.yaml").write_text(LAB_YAML + CHANNELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PORT", "HUB_PORT", "SERVICE_PORT", "SESSION_LISTENER_PORT", "PROXY_API_PORT"):
        monkeypatch.setenv(f"GPULAB_{name}", "0")  # whatever else runs on this machine
    return Shell(tmp_path, capsys, monkeypatch)


@pytest.fixture
def lab(engine: Engine, tmp_path: Path) -> Iterator[ApiDesk]:
    (tmp_path / "lab.yaml").write_text(LAB_YAML + CHANNELS)
    with open_service(engine, tmp_path) as desk:
        yield desk


def choose(lab: ApiDesk, choices: object, tag: str | None = None, token: str = "token-ada"
           ) -> httpx2.Response:  # fmt: skip
    headers = {} if tag is None else {"If-Match": tag}
    return lab.call("PUT", MINE, token, json={"choices": choices}, headers=headers)


def test_a_scholar_sees_and_changes_what_is_offered(lab: ApiDesk) -> None:
    shown = lab.get(MINE, "token-ada")
    assert shown.json()["channels"] == [{"name": "mail", "title": "Mail", "to_person": True}]
    kinds = {one["kind"]: one["channels"] for one in shown.json()["kinds"]}
    assert kinds["stopped"] == ["mail"]
    assert {name for name, channels in kinds.items() if channels} == {"stopped"}
    problem(choose(lab, {}), 428, "precondition_required")
    changed = choose(lab, {"stopped": [], "half_used": ["mail"]}, shown.headers["etag"])
    assert changed.status_code == 200
    assert changed.headers["etag"] == f'"{changed.json()["etag"]}"' != shown.headers["etag"]
    kinds = {one["kind"]: one["channels"] for one in lab.get(MINE, "token-ada").json()["kinds"]}
    assert (kinds["stopped"], kinds["half_used"]) == ([], ["mail"])
    problem(choose(lab, {"stopped": ["mail"]}, shown.headers["etag"]), 412, "stale_edit")
    assert lab.get(MINE, "token-olga").json()["kinds"] == changed.json()["kinds"]
    problem(choose(lab, {}, changed.headers["etag"], "token-olga"), 403, "forbidden")


def test_only_what_is_offered_can_be_chosen(lab: ApiDesk) -> None:
    tag = lab.get(MINE, "token-ada").headers["etag"]
    wrong: list[tuple[object, str]] = [
        ({"stopped": ["room"]}, "bad_choice"),
        ({"stopped": ["json://127.0.0.1"]}, "bad_choice"),
        ({"hours_request": []}, "bad_choice"),
        ({"x" * 40: []}, "invalid_request"),
        ({"stopped": "mail"}, "invalid_request"),
        (["stopped"], "invalid_request"),
        ({"stopped": ["mail"] * 51}, "invalid_request"),
    ]
    for choices, code in wrong:
        problem(choose(lab, choices, tag), 422, code)
    assert lab.get(MINE, "token-ada").headers["etag"] == tag


def test_a_channel_can_be_tried_and_looked_at(bare: Shell) -> None:
    folder = bare.folder / ".state" / "secrets"
    status, said = bare.run("notify", "--test", "mail", "--to", "ada")
    assert status == 1
    assert "secret file mail cannot be read" in said
    assert "the channel room cannot be used: the secret file room" in bare.run("doctor")[1]
    with receiving() as receiver:
        (folder / "mail").write_text(receiver.url("c4nary/{name}") + "\n")
        (folder / "room").write_text(receiver.url("room") + "\n")
        assert bare.run("notify", "--test", "mail", "--to", "ada") == (
            0, "Sent to Mail. Whether it has arrived shows there.\n")  # fmt: skip
        assert bare.run("notify", "--test", "room")[0] == 0
        assert receiver.paths == ["/c4nary/ada", "/room"]
        assert "the channel room has an address" in bare.run("doctor")[1]
        receiver.status = 404
        status, said = bare.run("notify", "--test", "mail", "--to", "ada", "--json")
    assert status == 1
    assert '"result": "failed"' in said
    assert "404" in said
    assert "c4nary" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nope",), "it has: mail, room"),
        (("mail",), "needs --to NAME"),
        (("room", "--to", "ada"), "is a room"),
        (("mail", "--to", "nobody"), "knows nobody"),
    ],
)
def test_a_try_that_makes_no_sense_is_explained(
    bare: Shell, words: tuple[str, ...], said: str
) -> None:
    status, printed = bare.run("notify", "--test", *words)
    assert status == 2
    assert said in printed
