"""The session listener as an application of its own: these routes, and no other of the service.

It has a socket of its own (`api.serve`), since sessions must not even reach the rest: what they
could ask of it they would ask. What is hostile here is the code in a session; the bounds are on
the body, on the pace of each session and each address, and on how much is done at a time.
"""

import asyncio

from fastapi import FastAPI

from api import problems
from api.envelope import Envelope
from api.limits import BodyLimit
from api.pace import Pace
from api.pages.addresses import Addresses
from api.session_side.caller import Paces
from api.session_side.deeds import SessionDeeds
from api.session_side.fresh import FreshFacts
from api.session_side.routes import router
from api.settings import ApiSettings

# A raised hand is the largest thing that a session has to say.
_BODY_BYTES = 8_192
# A page asks once in five seconds at most; scripts and several tabs come on top.
_SESSION_PER_S, _SESSION_BURST = 5, 20
# Each costs a question to the hub. Sessions that are processes of this machine share an address.
_STRANGERS_PER_S, _STRANGERS_BURST = 10, 60
# Leases are answered by the same process, and must not wait behind many sessions.
_AT_ONCE = 4


def create_session_side(service: FastAPI, settings: ApiSettings) -> FastAPI:
    """Build the listener beside a service, on the same books and identities."""
    app = FastAPI(
        title="gpulab session listener", summary="What a running notebook may ask and do.",
        docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    state = service.state
    app.state.metrics, app.state.refused = state.metrics, state.refused
    app.state.identities = state.identities
    app.state.deeds = SessionDeeds(state.books, state.sharing, Addresses(settings.public_host),
                                   FreshFacts())  # fmt: skip
    app.state.paces = Paces(
        sessions=Pace(per_s=_SESSION_PER_S, burst=_SESSION_BURST),
        strangers=Pace(per_s=_STRANGERS_PER_S, burst=_STRANGERS_BURST),
    )
    app.state.turns = asyncio.Semaphore(_AT_ONCE)
    problems.install(app)
    app.add_middleware(BodyLimit, limit_bytes=_BODY_BYTES)
    app.add_middleware(Envelope, answer_within_s=settings.answer_within_s)
    app.include_router(router)
    return app
