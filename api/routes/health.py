"""Is the service there, does its database answer, and what is the load."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import BooksDep
from api.examples import STATUS_OK, answers

router = APIRouter(tags=["health"])
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"example": "gpulab_books_up 1.0"}}}
}


@router.get("/healthz", responses=answers(STATUS_OK))
async def get_healthz() -> dict[str, str]:
    """Say that the process lives; asks nobody."""
    return {"status": "ok"}


@router.get("/readyz", responses=answers(STATUS_OK, 503))
def get_readyz(books: BooksDep) -> dict[str, str]:
    """Say that the books answer, or 503."""
    books.ping()
    return {"status": "ok"}


@router.get("/metrics", response_class=PlainTextResponse, responses=_METRICS)
def get_metrics(request: Request) -> Response:
    """Show the metrics for Prometheus; no names of people are in them."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
