"""What no client should send: refused with 4xx and a reason, never 500, and nothing written."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.api.desk import ApiDesk, problem

LEASE = f"/v1/leases/{uuid4()}"
WANTED = {"hub_id": "main", "account": "ada", "server_name": "", "flavor": "whole",
          "image": "base"}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_written(service: ApiDesk) -> Iterator[None]:
    yield
    assert service.books.books.account("ada").sessions == ()


def test_ten_megabytes_are_too_large(service: ApiDesk) -> None:
    body = json.dumps(WANTED | {"image": "x" * 10_000_000}).encode()
    problem(service.raw("PUT", LEASE, body), 413, "too_large")


def test_p47_a_body_that_hides_its_length_is_counted(service: ApiDesk) -> None:
    def parts() -> Iterator[bytes]:
        yield json.dumps(WANTED).encode()
        for _ in range(20):
            yield b" " * 10_000

    reply = service.call("PUT", LEASE, content=parts(),
                         headers={"Content-Type": "application/json"})  # fmt: skip
    problem(reply, 413, "too_large")


@pytest.mark.parametrize(
    ("field", "value"),
    [("account", "a\x00b"), ("account", "\ud800"), ("account", ""), ("account", "x" * 256),
     ("server_name", "a\r\nb"), ("flavor", "x" * 65), ("flavor", 7), ("flavor", None),
     ("account", ["ada"]), ("present", "perhaps"), ("extra", 1), ("\ud800", 1),
     ("__proto__", {}), ("hub_id", 10**400)],
)  # fmt: skip
def test_values_that_are_not_understood(service: ApiDesk, field: str, value: object) -> None:
    body = json.dumps(WANTED | {field: value}).encode()
    found = problem(service.raw("PUT", LEASE, body), 422, "invalid_request")
    assert found["errors"][0]["where"].startswith("body")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 60_000,
     b'{"a":' + b"9" * 60_000 + b"}"],
)  # fmt: skip
def test_bodies_that_are_no_request(service: ApiDesk, body: bytes) -> None:
    reply = service.raw("PUT", LEASE, body)
    assert reply.status_code in (400, 422), reply.text
    problem(reply, reply.status_code, reply.json()["code"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x"])
def test_another_media_type_is_not_read_as_json(service: ApiDesk, kind: str) -> None:
    reply = service.raw("PUT", LEASE, json.dumps(WANTED).encode(), kind)
    problem(reply, 422, "invalid_request")


@pytest.mark.parametrize(
    "lease_id", ["1", "x" * 36, "%00", "..", "c0ffee00-0000-4000-8000-0000000000000"]
)
def test_ids_that_are_none(service: ApiDesk, lease_id: str) -> None:
    assert service.call("PUT", f"/v1/leases/{lease_id}", json=WANTED).status_code in (
        404,
        405,
        422,
    )


@pytest.mark.parametrize("name", ["%00", "a%0d%0ab", "x" * 300, "%ff%fe"])
def test_account_names_that_are_none(service: ApiDesk, name: str) -> None:
    for path in (f"/v1/accounts/{name}", f"/v1/spawn-options/{name}"):
        assert service.get(path).status_code in (404, 422, 200), path
        assert service.get(path, "token-ada").status_code in (404, 422), path


def test_too_many_faults_are_cut(service: ApiDesk) -> None:
    body = WANTED | {f"extra{number}{'x' * 300}": 1 for number in range(100)}
    found = problem(service.call("PUT", LEASE, json=body), 422, "invalid_request")
    assert len(found["errors"]) == 20
    assert all(len(one["where"]) <= 200 for one in found["errors"])


def test_addresses_that_are_none(service: ApiDesk) -> None:
    problem(service.get("/nowhere"), 404, "not_found")
    problem(service.call("DELETE", LEASE), 405, "method_not_allowed")
    for path in ("/docs", "/redoc", "/openapi.json"):
        problem(service.get(path), 404, "not_found")
