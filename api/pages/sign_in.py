"""Signing in to the pages: OAuth 2 with PKCE at the hub, whose login everybody has anyway.

JupyterHub's own client code is made for Tornado and would pull the hub into the service; what it
does here are two requests, as JupyterHub's example of a FastAPI service does them.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx2
import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.pages.addresses import CLIENT_ID, PREFIX, Addresses
from api.pages.cookies import STATE, Cookies, SignedIn
from api.pages.forms import TypedDep, require_proof
from api.pages.rooms import RoomDep
from api.problems import Problem

log = structlog.get_logger()

router = APIRouter()

# Whoever takes longer to type a password begins anew.
_STATE_MOST_S = 600
_NEXT_MOST_CHARS = 512


@dataclass(frozen=True, slots=True)
class HubDoor:
    """The hub as somebody who vouches for people."""

    addresses: Addresses
    client_secret: str
    hub: httpx2.AsyncClient

    def authorize_url(self, *, state: str, verifier: str) -> str:
        """Return where the browser asks the hub for a code."""
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": CLIENT_ID, "redirect_uri": self.addresses.callback,
            "response_type": "code", "state": state, "code_challenge_method": "S256",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        }  # fmt: skip
        return f"{self.addresses.hub('api/oauth2/authorize')}?{urlencode(query)}"

    async def token_for(self, code: str, verifier: str) -> str:
        """Trade a code for the person's token.

        Raises:
            Problem: 403 when the hub does not take the code, 503 when it does not answer.

        """
        asked = {
            "client_id": CLIENT_ID, "client_secret": self.client_secret, "code": code,
            "grant_type": "authorization_code", "redirect_uri": self.addresses.callback,
            "code_verifier": verifier,
        }  # fmt: skip
        try:
            reply = await self.hub.post("/oauth2/token", data=asked)
        except httpx2.HTTPError as error:
            raise _hub_away() from error
        if reply.status_code >= 500:
            raise _hub_away()
        return _token(reply)


@router.get("/sign-in")
async def get_sign_in(
    room: RoomDep, next_path: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Send somebody to the hub, and remember where they wanted to go."""
    return begin(room.door, room.cookies, next_path)


@router.get("/oauth_callback")
async def get_callback(request: Request, room: RoomDep) -> Response:
    """Take in who comes back from the hub."""
    asked = room.cookies.opened(request, STATE, most_s=_STATE_MOST_S)
    query: Mapping[str, str] = request.query_params
    if asked is None or not _is_answer_to(asked, query):
        # A bookmark of this address, an old tab, or somebody else's link: begin anew.
        return begin(room.door, room.cookies, "" if asked is None else asked.get("next", ""))
    token = await room.door.token_for(query["code"], asked["verifier"])
    caller = await room.identities.caller_of(token)
    answer = RedirectResponse(local_path(asked["next"]), status_code=303)
    before = room.cookies.signed_in(request)
    # The same person's forms stay good when they sign in again.
    binding = before.binding if before and before.name == caller.name else secrets.token_hex(16)
    room.cookies.sign_in(answer, SignedIn(name=caller.name, token=token, binding=binding))
    room.cookies.forget(answer, STATE)
    return answer


@router.post("/sign-out")
async def post_sign_out(request: Request, typed: TypedDep, room: RoomDep) -> Response:
    """Forget who it was here, and let the hub forget, too; also when the sign-in has ended."""
    who = room.cookies.signed_in(request)
    if who is not None:
        require_proof(typed, room.cookies.proof_for(who))
    answer = RedirectResponse(room.addresses.hub("logout"), status_code=303)
    room.cookies.sign_out(answer)
    return answer


def begin(door: HubDoor, cookies: Cookies, next_path: str) -> Response:
    """Begin to sign in."""
    state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    answer = RedirectResponse(door.authorize_url(state=state, verifier=verifier), status_code=303)
    kept = {"state": state, "verifier": verifier, "next": local_path(next_path)}
    cookies.keep(answer, STATE, kept, most_s=_STATE_MOST_S)
    return answer


def local_path(path: str) -> str:
    """Return an address of these pages; whatever leads elsewhere becomes the first page."""
    is_ours = path.startswith(f"{PREFIX}/") and len(path) <= _NEXT_MOST_CHARS
    if not is_ours or not path.isascii() or not path.isprintable() or "\\" in path:
        return f"{PREFIX}/"
    return path


def _is_answer_to(asked: dict[str, Any], query: Mapping[str, str]) -> bool:
    state = query.get("state", "")
    is_ours = secrets.compare_digest(state.encode(), str(asked.get("state", "")).encode())
    return is_ours and bool(query.get("code"))


def _token(reply: httpx2.Response) -> str:
    try:
        token = reply.raise_for_status().json()["access_token"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        log.warning("sign_in_refused", status=reply.status_code)
        raise Problem(403, "not_signed_in", "The hub did not let you in",
                      "The hub did not confirm who you are. Go back to the lab's start page, "
                      "sign in there, and try again.") from error  # fmt: skip
    if not isinstance(token, str):
        raise _hub_away()
    return token


def _hub_away() -> Problem:
    return Problem(503, "hub_unavailable", "The hub does not answer",
                   "The hub cannot be asked who you are just now. Try again in a few "
                   "seconds.")  # fmt: skip
