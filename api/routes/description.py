"""The description of the service for programs, for whoever may use it."""

from typing import Any

from fastapi import APIRouter, Request

from api.auth import CallerDep

router = APIRouter(prefix="/v1", tags=["description"])


@router.get("/openapi.json")
def get_description(_caller: CallerDep, request: Request) -> dict[str, Any]:
    """Read this description as OpenAPI."""
    described: dict[str, Any] = request.app.openapi()
    return described
