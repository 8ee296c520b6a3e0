"""Is the service there, does its database answer, and what is the load."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import BooksDep

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def get_healthz() -> dict[str, str]:
    """Say that the process lives; asks nobody."""
    return {"status": "ok"}


@router.get("/readyz")
def get_readyz(books: BooksDep) -> dict[str, str]:
    """Say that the books answer, or 503."""
    books.ping()
    return {"status": "ok"}


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(request: Request) -> Response:
    """Show the metrics for Prometheus; no names of people are in them."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
