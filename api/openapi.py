"""The OpenAPI description, made whole: an example of every body and answer, and every error."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.bulk import BULK_ADDRESS
from api.examples import EXAMPLES, PROBLEM_EXAMPLES
from api.problems import OWN_CODES, STATUS
from api.schemas_bulk import BulkIn

_METHODS = ("get", "put", "post", "delete")
_PROBLEM = {
    "title": "Problem",
    "description": "An error as RFC 9457 describes it; `code` is for programs.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "code": {
            "type": "string",
            "enum": sorted({*(refusal.code for refusal in STATUS), *OWN_CODES}),
        },
        "retry_at": {"type": "string", "format": "date-time"},
        "ask": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_COMMON = (401, 403, 429, 503)
_ANSWERS_ANYBODY = {
    "/readyz": (503,), "/metrics/people": (404,), "/feeds/{secret}.ics": (404, 422, 503),
}  # fmt: skip
_ETAG = {
    "ETag": {
        "description": "What a change has to carry in If-Match.",
        "schema": {"type": "string"},
    }
}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell everything."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version="1", summary=app.summary,
                                routes=app.routes)  # fmt: skip
            app.openapi_schema = _completed(found)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(found: dict[str, Any]) -> dict[str, Any]:
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    # The one body that FastAPI does not read itself.
    bulk = BulkIn.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(bulk.pop("$defs"), BulkIn=bulk)
    found["components"]["securitySchemes"] = {
        "token": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`token T` with a JupyterHub token.",
        }
    }  # fmt: skip
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(path, method, operation)
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    # FastAPI's own; ours is a problem document, below.
    operation["responses"].pop("422", None)
    for content in _contents(operation):
        for kind, media in content.items():
            example = _example_of(path, kind, media.get("schema", {}))
            if example is not None:
                media["example"] = example
    for status in _ANSWERS_ANYBODY.get(path, ()):
        operation["responses"][str(status)] = _problem_response(status)
    if not path.startswith("/v1"):
        return
    operation["security"] = [{"token": []}]
    _show_tag(operation)
    for status in sorted({*_COMMON, *_errors_of(path, method, operation)}):
        operation["responses"][str(status)] = _problem_response(status)


def _show_tag(operation: dict[str, Any]) -> None:
    answer = operation["responses"].get("200", {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith(("/RuleOut", "/NoticeChoicesOut")):
        answer["headers"] = _ETAG


def _errors_of(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    named = {one["name"] for one in operation.get("parameters", ())}
    # Whoever is named may not be there, or not for everybody to see.
    own = {404} if "{" in path or named & {"section", "account", "hub_id"} else set()
    if method in ("put", "post"):
        # Two with one id at the same moment, or a thing that is no longer as it was; a hub whose
        # books are not kept here.
        own |= {404, 409}
    if "requestBody" in operation or operation.get("parameters"):
        own |= {422}
    if "requestBody" in operation:
        own |= {413}
    if path.endswith(BULK_ADDRESS):
        # Without a dry run before it, or after one of something else.
        own |= {428}
    if any(one["name"] == "if-match" for one in operation.get("parameters", ())):
        own |= {412, 428}
    return own


def _contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    found = [one["content"] for one in operation["responses"].values() if "content" in one]
    if "requestBody" in operation:
        found.append(operation["requestBody"]["content"])
    return found


def _example_of(path: str, kind: str, schema: dict[str, Any]) -> object:
    """Find the example: by kind of content, else by the name of the schema."""
    if kind != "application/json":
        return EXAMPLES.get(kind)
    names = [schema.get("$ref", ""), *(one.get("$ref", "") for one in schema.get("anyOf", ()))]
    for name in (one.rpartition("/")[2] for one in names if one):
        return EXAMPLES[name]
    return EXAMPLES.get(path)


def _problem_response(status: int) -> dict[str, Any]:
    example = PROBLEM_EXAMPLES[status]
    return {
        "description": str(example["title"]),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {"status": status, "type": f"urn:gpulab:problem:{example['code']}",
                            **example},
            }
        },
    }  # fmt: skip
