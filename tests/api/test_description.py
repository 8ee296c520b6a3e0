"""The API's description: every route has an example, and each example is right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.app import create_app
from api.examples import EXAMPLES
from api.settings import ApiSettings
from tests.api.desk import secrets_in
from tests.quota.books import LAB_YAML


@pytest.fixture
def described(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "lab.yaml").write_text(LAB_YAML)
    settings = ApiSettings(
        database_url=SecretStr(f"sqlite:///{tmp_path}/books.sqlite"),
        lab_file=tmp_path / "lab.yaml",
        secrets_dir=secrets_in(tmp_path / "secrets", admission_token="x", service_token="y"),
    )
    app = create_app(settings)
    with TestClient(app):
        return app.openapi()


def test_every_route_has_an_example_of_each_answer_and_body(described: dict[str, Any]) -> None:
    routes = [(path, method, route) for path, methods in described["paths"].items()
              for method, route in methods.items()]  # fmt: skip
    assert len(routes) >= 40
    for path, method, route in routes:
        where = f"{method} {path}"
        assert route["summary"], where
        assert route["description"], where
        assert route["tags"], where
        assert path.startswith("/v1") == ("security" in route), where
        for status, answer in route["responses"].items():
            assert answer.get("content") or status == "204", (where, status)
            assert all("example" in one for one in answer.get("content", {}).values()), where
        for body in route.get("requestBody", {}).get("content", {}).values():
            assert body["example"], where
        if path.startswith("/v1"):
            assert {"401", "403", "503"} <= set(route["responses"]), where


# Lists that are a part of one answer: what a person has, sees or gets is bounded by itself.
WHOLE_LISTS = {
    ("/v1/accounts/{account}", "lots"), ("/v1/accounts/{account}", "sessions"),
    ("/v1/accounts/{account}", "charges"), ("/v1/accounts/{account}", "notices"),
    ("/v1/accounts/{account}/explanation", "lines"), ("/v1/spawn-options/{account}", "flavors"),
    ("/v1/spawn-options/{account}", "images"), ("/v1/spawn-options/{account}", "notices"),
    ("/v1/week/{section}", "due"), ("/v1/week/{section}", "co_working"),
    ("/v1/week/{section}", "office_hours"), ("/v1/week/{section}", "blackouts"),
    ("/v1/spawn-options/{account}", "gpu_notes"),
    ("/v1/accounts/{account}/notification-choices", "kinds"),
    ("/v1/accounts/{account}/notification-choices", "channels"),
    ("/v1/gpus", "gpus"), ("/v1/gpus", "occupied"),  # for the hub, all there are
    ("/v1/sessions", "sessions"),  # for the culler, as many as run
    ("/v1/usage", "lines"),  # streamed
}  # fmt: skip


def test_every_list_is_read_by_page(described: dict[str, Any]) -> None:
    whole, paged = set(), 0
    for path, route in _routes(described, "get"):
        schema = _answer_of(described, route)
        lists = [name for name, one in schema.get("properties", {}).items()
                 if one.get("type") == "array"]  # fmt: skip
        asked = {one["name"] for one in route.get("parameters", ())}
        if "next" in schema.get("properties", {}):
            assert {"cursor", "page_size"} <= asked, path
            assert "next" in schema["required"], path
            paged += 1
        else:
            assert "cursor" not in asked, path
            whole |= {(path, name) for name in lists}
    assert whole == WHOLE_LISTS
    assert paged >= 10


def test_every_editable_thing_has_a_tag(described: dict[str, Any]) -> None:
    """What can be both read and replaced under one address is replaced with If-Match only."""
    editable = 0
    for path, methods in described["paths"].items():
        if not ({"put", "get"} <= set(methods) and path.startswith("/v1")):
            continue
        if path == "/v1/leases/{lease_id}":
            continue  # asked for under its id, and changed by the worker only
        if path == "/v1/accounts/{account}/attach-consent":
            continue  # changed by one person only, whose last word counts
        editable += 1
        assert "ETag" in methods["get"]["responses"]["200"]["headers"], path
        assert "ETag" in methods["put"]["responses"]["200"]["headers"], path
        for method in {"put", "delete"} & set(methods):
            asked = {one["name"].lower() for one in methods[method]["parameters"]}
            assert {"if-match", "if-none-match"} <= asked, (method, path)
            assert {"412", "428"} <= set(methods[method]["responses"]), (method, path)
    assert editable == 7


def test_every_change_can_be_repeated(described: dict[str, Any]) -> None:
    """A change carries the id that its caller made: in the address, or in the body of the bulk."""
    for method in ("put", "delete"):
        for path, _ in _routes(described, method):
            assert "{" in path, (method, path)
    assert [path for path, _ in _routes(described, "post")] == ["/v1/grants/bulk"]
    for method in ("put", "post"):
        for path, route in _routes(described, method):
            assert {"409", "422"} <= set(route["responses"]), (method, path)


def _routes(described: dict[str, Any], method: str) -> list[tuple[str, dict[str, Any]]]:
    return [(path, methods[method]) for path, methods in described["paths"].items()
            if method in methods]  # fmt: skip


def _answer_of(described: dict[str, Any], route: dict[str, Any]) -> dict[str, Any]:
    schema = route["responses"]["200"].get("content", {}).get("application/json", {})
    name = schema.get("schema", {}).get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = described["components"]["schemas"].get(name, {})
    return found


def test_the_examples_of_a_route_are_of_its_type(described: dict[str, Any]) -> None:
    """Each example satisfies the schema that stands beside it, references followed."""
    checked = 0
    for methods in described["paths"].values():
        for route in methods.values():
            replies = [one.get("content", {}) for one in route["responses"].values()]
            for content in (*replies, route.get("requestBody", {}).get("content", {})):
                for media in content.values():
                    if "schema" in media and isinstance(media["example"], dict):
                        Checker(described).check(media["schema"], media["example"], "")
                        checked += 1
    assert checked > 200


def test_a_wrong_example_is_found(described: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/GrantIn"}
    Checker(described).check(schema, EXAMPLES["GrantIn"], "")
    with pytest.raises(AssertionError):
        Checker(described).check(schema, EXAMPLES["GrantIn"] | {"more": 1}, "")
    with pytest.raises(AssertionError):
        Checker(described).check(schema, {"hub_id": "main"}, "")


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


@dataclass
class Checker:
    """As much of JSON Schema as the description uses, and stricter: nothing is left out."""

    described: dict[str, Any]

    def check(self, schema: dict[str, Any], value: object, where: str) -> None:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.check(self.described["components"]["schemas"][name], value, where)
        elif "anyOf" in schema:
            assert any(self._fits(one, value) for one in schema["anyOf"]), (where, value)
        elif "type" in schema:
            assert isinstance(value, TYPES[schema["type"]]), (where, value)
            assert value in schema.get("enum", [value]), (where, value)
            if schema["type"] == "number":
                assert schema["minimum"] <= value <= schema["maximum"], (where, value)
            self._check_inside(schema, value, where)

    def _fits(self, schema: dict[str, Any], value: object) -> bool:
        try:
            self.check(schema, value, "")
        except AssertionError:
            return False
        return True

    def _check_inside(self, schema: dict[str, Any], value: Any, where: str) -> None:
        known = schema.get("properties")
        if known is not None:
            assert set(schema.get("required", ())) <= set(value) <= set(known), (where, value)
            for name, one in value.items():
                self.check(known[name], one, f"{where}.{name}")
        for one in value if "items" in schema else ():
            self.check(schema["items"], one, f"{where}[]")
