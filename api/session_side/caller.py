"""Which session asks: by the token that the hub gave that very server, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.auth import Caller, Identities, keep_pace, token_of
from api.pace import Pace
from api.problems import Problem
from quota.audit import By


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A running server, by whose own token somebody in it asks."""

    name: str
    server_name: str
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """How fast each session may ask, and how fast each address may come with unknown tokens."""

    sessions: Pace
    strangers: Pace


async def get_session(request: Request) -> AsyncIterator[Session]:
    """Find out which session asks, and let it wait for its turn (a FastAPI dependency).

    By now the body is there: whoever sends one slowly takes nobody's turn.
    """
    paces: Paces = request.app.state.paces
    holder = await _holder(request, paces)
    if holder.server is None:
        raise Problem(403, "forbidden", "Not allowed",
                      "Only a session's own token is good here.")  # fmt: skip
    keep_pace(paces.sessions, f"{holder.name}/{holder.server}")
    request_id = getattr(request.state, "request_id", "")
    turns: asyncio.Semaphore = request.app.state.turns
    async with turns:
        yield Session(name=holder.name, server_name=holder.server,
                      by=By(actor=holder.name, request_id=request_id))  # fmt: skip


SessionDep = Annotated[Session, Depends(get_session)]


async def _holder(request: Request, paces: Paces) -> Caller:
    """Return who holds the token; the hub is asked for no more than an address may cost it."""
    token = token_of(request)
    identities: Identities = request.app.state.identities
    if (known := identities.remembered(token)) is not None:
        return known
    keep_pace(paces.strangers, request.client.host if request.client else "")
    return await identities.asked(token)
