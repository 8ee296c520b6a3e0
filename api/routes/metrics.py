"""What Prometheus reads of the service. No names of people are in it."""

import hmac

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.metrics_people import PeopleMetrics
from api.problems import Problem

router = APIRouter(tags=["health"])

_NOT_THERE = Problem(404, "not_found", "Not found", "There is nothing at this address.")


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(request: Request) -> Response:
    """Show the metrics for Prometheus; no names of people are in them."""
    return _shown(request.app.state.metrics.registry)


@router.get("/metrics/details", response_class=PlainTextResponse)
def get_details(request: Request) -> Response:
    """Show the metrics of each GPU, session and section; no names of people are in them."""
    return _shown(request.app.state.detail_metrics.registry)


@router.get("/metrics/people", response_class=PlainTextResponse)
def get_people(request: Request) -> Response:
    """Show what each scholar has left, by pseudonym; only with the secret that turns it on."""
    metrics: PeopleMetrics | None = request.app.state.people_metrics
    sent = request.headers.get("Authorization", "").encode()
    if metrics is None or not hmac.compare_digest(sent, f"Bearer {metrics.secret}".encode()):
        # Who may not see it is not told that it is there.
        raise _NOT_THERE
    return _shown(metrics.registry)


def _shown(registry: CollectorRegistry) -> Response:
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
