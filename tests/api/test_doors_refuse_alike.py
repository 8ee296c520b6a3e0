"""The command line and the service refuse the same texts, in the same words."""

import json
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.api.desk import ApiDesk
from tests.api.test_cli import Shell, bare, shell

__all__ = ["bare", "shell"]


@pytest.mark.parametrize("reason", ["paid \u202ednufer", "a\u200bb", "a\u2028b", "\ufeffx"])
def test_a_reason_that_cannot_be_shown(office: ApiDesk, shell: Shell, reason: str) -> None:
    status, said = shell.run("grant", "ada", "1", "--reason", reason)
    reply = office.grant("ada", "1", reason=reason)
    assert (status, reply.status_code, reply.json()["code"]) == (1, 422, "bad_text")
    assert said == f"{reply.json()['detail']}\n"


@pytest.mark.parametrize("reason", ["a\udcffb", "x" * 501, "a\x1b[2Jb", "two\nlines"])
def test_a_reason_that_no_request_can_carry(office: ApiDesk, shell: Shell, reason: str) -> None:
    status, said = shell.run("grant", "ada", "1", "--reason", reason)
    assert status == 1
    assert said.startswith("The reason ")
    assert said[:-1].isprintable()
    body = json.dumps({"hub_id": "main", "account": "ada", "hours": "1", "reason": reason})
    reply = office.call("PUT", f"/v1/grants/{uuid4()}", "token-olga", content=body.encode(),
                        headers={"Content-Type": "application/json"})  # fmt: skip
    assert reply.status_code == 422


@pytest.mark.parametrize("incident", ["a\u202eb", "x" * 65, "a\x1bb"])
def test_a_name_of_an_incident(office: ApiDesk, shell: Shell, incident: str) -> None:
    span = {"starts_at": "2026-11-24T10:00:00Z", "ends_at": "2026-11-24T11:00:00Z"}
    status, said = shell.run("refund", "--incident", incident, "--from", span["starts_at"],
                             "--until", span["ends_at"], "--reason", "x")  # fmt: skip
    assert status == 1
    assert said.startswith("The name of an incident ")
    body = {"hub_id": "main", "reason": "x", **span}
    reply = office.call("PUT", f"/v1/refunds/{quote(incident)}", "token-olga", json=body)
    assert reply.status_code == 422


def test_a_twin_of_a_name_is_nobody(office: ApiDesk, shell: Shell) -> None:
    (shell.folder / "lab.yaml").write_text(
        (shell.folder / "lab.yaml").read_text() + "default_section: utc\n"
    )
    names = ("\uff41da", "e\u0301va")
    for name in names:
        status, said = shell.run("grant", name, "1", "--reason", "x")
        assert (status, said) == (1, "The lab knows nobody of this name.\n")
    for name in names:
        body = {"hub_id": "main", "account": name, "hours": "1", "reason": "x"}
        reply = office.call("PUT", f"/v1/grants/{uuid4()}", "token-olga", json=body)
        assert (reply.status_code, reply.json()["code"]) == (404, "no_such_account")
