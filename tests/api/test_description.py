"""The API's description: every route has an example, and each example is right."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from starlette.testclient import TestClient

from api import examples, schemas
from api.app import create_app
from api.settings import ApiSettings
from tests.api.desk import secrets_in
from tests.quota.books import LAB_YAML


@pytest.fixture
def described(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "lab.yaml").write_text(LAB_YAML)
    settings = ApiSettings(
        database_url=SecretStr(f"sqlite:///{tmp_path}/books.sqlite"),
        lab_file=tmp_path / "lab.yaml",
        secrets_dir=secrets_in(tmp_path / "secrets", admission_token="x"),
    )
    app = create_app(settings)
    with TestClient(app):
        return app.openapi()


def test_every_route_has_an_example_of_each_answer_and_body(described: dict[str, Any]) -> None:
    routes = [(path, method, route) for path, methods in described["paths"].items()
              for method, route in methods.items()]  # fmt: skip
    assert len(routes) >= 9
    for path, method, route in routes:
        assert route["summary"], path
        assert route["description"], path
        for status, answer in route["responses"].items():
            content = answer.get("content", {})
            if status == "422" and "application/json" in content:
                del content["application/json"]  # FastAPI's own; ours is the problem document
            assert content, (path, method, status)
            assert all("example" in one for one in content.values()), (path, method, status)
        if "requestBody" in route:
            body = route["requestBody"]["content"]["application/json"]["schema"]
            name = body.get("$ref", body.get("allOf", [{}])[0].get("$ref", "")).split("/")[-1]
            shown = body.get("examples") or described["components"]["schemas"][name]["examples"]
            assert shown, (path, method)


@pytest.mark.parametrize(
    ("schema", "example"),
    [(schemas.LeaseIn, examples.LEASE_IN), (schemas.StopIn, examples.STOP_IN),
     (schemas.GrantIn, examples.GRANT_IN), (schemas.LeaseOut, examples.LEASE),
     (schemas.AccountOut, examples.ACCOUNT), (schemas.SpawnOptionsOut, examples.SPAWN_OPTIONS),
     (schemas.GrantOut, examples.GRANT)],
)  # fmt: skip
def test_examples_are_what_the_schemas_say(
    schema: type[BaseModel], example: dict[str, Any]
) -> None:
    shown = schema.model_validate(example).model_dump(mode="json", exclude_unset=True)
    assert set(shown) == set(example)
    if not issubclass(schema, schemas.Body):
        assert set(shown) == set(schema.model_fields), "nothing is left out of an answer"
