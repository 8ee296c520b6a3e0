"""The FastAPI service: builds the application from settings; nothing happens at import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI
from starlette.routing import Mount

from api import problems
from api.auth import Identities, hub_http
from api.bulk import BULK_ADDRESS, BULK_ANSWER_WITHIN_S, BULK_LIMIT_BYTES
from api.envelope import SECRET_AFTER, Envelope
from api.hub_shares import HubShares
from api.limits import BodyLimit
from api.metrics import Metrics
from api.metrics_details import DetailMetrics
from api.metrics_people import people_metrics
from api.openapi import describe
from api.pace import Pace
from api.pages.addresses import PREFIX, Addresses
from api.pages.app import create_pages
from api.pages.program.routers import LARGE_FORMS, LONG_FORMS
from api.policy import LabFile
from api.proxied import Proxied
from api.refusal_counts import RefusalCounts
from api.routes import (
    accounts,
    attachments,
    audit,
    calendars,
    consent,
    description,
    emergencies,
    feeds,
    grants,
    health,
    help_requests,
    leases,
    metrics,
    notices,
    refunds,
    requests,
    reservations,
    rules,
    sessions,
    usage,
)
from api.settings import ApiSettings
from api.sharing import Shares, Sharing
from api.steady import steady_clock
from quota.clock import Clock
from quota.helping import Helping
from quota.rulebook import EDITABLE
from quota.service import Books
from quota.store.engine import open_engine

ROUTERS = (
    leases.router, accounts.router, grants.router, requests.router, refunds.router,
    attachments.router, consent.router, help_requests.router, reservations.router,
    notices.router, sessions.router, audit.router, usage.router, calendars.router, feeds.router,
    feeds.readers, description.router, emergencies.router,
    *(rules.rules_router(part) for part in EDITABLE),
)  # fmt: skip

LONG_WORK = {BULK_ADDRESS: BULK_ANSWER_WITHIN_S, "/v1/refunds/": BULK_ANSWER_WITHIN_S,
             **LONG_FORMS}  # fmt: skip


def create_app(
    settings: ApiSettings, clock: Clock | None = None, hub: httpx2.AsyncClient | None = None,
    shares: Shares | None = None,
) -> FastAPI:  # fmt: skip
    """Build the service on a migrated database."""
    policy = LabFile(settings.lab_file)
    engine = open_engine(settings.database_url.get_secret_value())
    books = Books(engine, policy.lab, clock or steady_clock(), hub_id=settings.hub_id)
    asks_hub = hub or hub_http(settings.hub_api_url)
    refused = RefusalCounts(books)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with policy.watched(books), refused.written():
            yield
        await asks_hub.aclose()
        engine.dispose()

    app = FastAPI(
        title="gpulab", summary="The books of GPU-hours: admit, meter, warn, stop.",
        lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.state.books, app.state.refused = books, refused
    app.state.metrics, app.state.detail_metrics = Metrics(books), DetailMetrics(books)
    app.state.people_metrics = people_metrics(books, settings.secrets_dir)
    # Without subdomains a scholar's page could act as the TA who opens it.
    app.state.has_own_hosts = bool(settings.public_host)
    app.state.sharing = sharing = Sharing(Helping(books), shares or _hub_shares(settings))
    app.state.identities = identities = Identities(
        settings.secret("admission_token"), asks_hub, cache_s=settings.identity_cache_s
    )
    app.state.pace = pace = Pace(per_s=settings.requests_per_s, burst=settings.requests_burst)
    problems.install(app)
    app.add_middleware(Proxied, prefix=PREFIX, parts=("/v1/", SECRET_AFTER))
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes,
                       larger={BULK_ADDRESS: BULK_LIMIT_BYTES, **LARGE_FORMS})  # fmt: skip
    # Added last, so it is outermost: it answers for everything inside it.
    app.add_middleware(Envelope, answer_within_s=settings.answer_within_s, longer=LONG_WORK)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    describe(app)
    pages = create_pages(
        books, identities, asks_hub, addresses=Addresses(settings.public_host),
        secret=settings.secret("service_token"), sharing=sharing, metrics=app.state.metrics,
        lab_file=settings.lab_file, pace=pace,
    )  # fmt: skip
    app.mount(PREFIX, pages)
    return app


def _hub_shares(settings: ApiSettings) -> HubShares:
    # A route asks twice at most, and whoever called waits for `answer_within_s`.
    return HubShares(settings.hub_api_url, settings.secret("service_token"),
                     timeout_s=settings.answer_within_s / 3)  # fmt: skip


def build_routes(app: FastAPI) -> None:
    """Build every route now: FastAPI does it at the first request, which would wait for it."""
    nowhere = {"type": "http", "path": "/-", "root_path": "", "method": "GET", "headers": []}
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            build_routes(route.app)
        else:
            route.matches(nowhere)
