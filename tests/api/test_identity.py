"""Whose a token is: asked of the hub, remembered for seconds, never guessed."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from api.auth import Caller, Identities
from api.problems import Problem
from tests.api.desk import ApiDesk, open_service, problem
from tests.api.hub import ACCESS, FakeHub, user


def test_a_token_is_asked_for_once_and_remembered(service: ApiDesk) -> None:
    for _ in range(5):
        assert service.get("/v1/accounts/ada", "token-ada").status_code == 200
    assert service.hub.calls == 1


async def _ask(identities: Identities, token: str) -> Caller | int:
    try:
        return await identities.caller_of(token)
    except Problem as refused:
        return refused.status_code


@pytest.mark.anyio
async def test_p36_a_revoked_token_is_dead_within_the_cache() -> None:
    hub, at = FakeHub(), [0.0]
    identities = Identities("secret", hub.client(), cache_s=30, monotonic=lambda: at[0])
    assert isinstance(await _ask(identities, "token-ada"), Caller)
    del hub.tokens["token-ada"]
    at[0] = 29.9
    assert isinstance(await _ask(identities, "token-ada"), Caller)
    at[0] = 30.1
    assert await _ask(identities, "token-ada") == 401
    hub.tokens["token-ada"] = user("ada", ACCESS)
    assert isinstance(await _ask(identities, "token-ada"), Caller), "a refusal is not remembered"


@pytest.mark.anyio
async def test_what_is_remembered_is_bounded() -> None:
    hub = FakeHub()
    hub.tokens |= {f"token-{number}": user("ada", ACCESS) for number in range(300)}
    identities = Identities("secret", hub.client(), cache_s=30, remembered_most=100)
    for number in range(300):
        await identities.caller_of(f"token-{number}")
    hub.calls = 0
    await identities.caller_of("token-299")
    await identities.caller_of("token-0")
    assert hub.calls == 1


@pytest.mark.parametrize("broken", ["refused", "garbage", "500"])
def test_a_broken_hub_is_503_and_never_somebody(service: ApiDesk, broken: str) -> None:
    service.hub.broken = broken
    reply = service.get("/v1/accounts/ada", "token-ada")
    problem(reply, 503, "hub_unavailable")
    assert reply.headers["retry-after"] == "5"
    assert service.get("/v1/accounts/ada").status_code == 200, "the hub itself needs no asking"


def test_an_answer_of_another_shape_is_nobody(service: ApiDesk) -> None:
    service.hub.broken = "list"
    problem(service.get("/v1/accounts/ada", "token-ada"), 401, "not_signed_in")


@pytest.mark.parametrize(
    "header",
    ["", "token", "token ", "Basic YWRhOmFkYQ==", "token " + "x" * 513, "token a b",
     b"token \xe9", "Token\ttoken-ada"],
)  # fmt: skip
def test_headers_that_sign_nobody_in(service: ApiDesk, header: str | bytes) -> None:
    reply = service.call("GET", "/v1/accounts/ada", None, headers={"Authorization": header})
    problem(reply, 401, "not_signed_in")
    assert service.hub.calls == 0


def test_bearer_is_as_good_as_token(service: ApiDesk) -> None:
    headers = {"Authorization": "bearer token-ada"}
    assert service.call("GET", "/v1/accounts/ada", None, headers=headers).status_code == 200


def test_p46_secrets_are_in_no_answer_and_no_log(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_service(engine, tmp_path) as service:
        service.hub.broken = "garbage"
        texts = [service.get("/v1/accounts/ada", "canary-7731").text]
        service.hub.broken = ""
        texts.append(service.get("/v1/accounts/ada", "canary-7731").text)
        texts.append(service.ask(token="canary-7731", flavor="x").text)
    out = "".join(capsys.readouterr())
    assert "canary-7731" not in out + "".join(texts)
