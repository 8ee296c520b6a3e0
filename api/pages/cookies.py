"""The cookies of the pages: who is signed in, a sign-in that is under way, a word after a deed."""

from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.pages.addresses import PREFIX, Addresses
from api.pages.sealed import Seal
from quota.clock import Clock

SESSION = "gpulab"
STATE = "gpulab-sign-in"
WORD = "gpulab-word"

# The token inside dies after an hour; the cookie lives on, so that forms of before still count
# when the same person signs in again.
_SESSION_MOST_S = 14 * 86_400
_WORD_MOST_S = 60


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who signed in: their token at the hub, and what their forms are bound to."""

    name: str
    token: str
    binding: str


class Cookies:
    """Reads and writes them; a page of a scholar's session can do neither."""

    def __init__(self, seal: Seal, addresses: Addresses, clock: Clock) -> None:
        self._seal = seal
        self._addresses = addresses
        self._clock = clock
        # With this prefix no other host can set them. Browsers want HTTPS for it.
        self._prefix = "__Host-" if addresses.is_https else ""

    # -- who -----------------------------------------------------------------------------------

    def signed_in(self, request: Request) -> SignedIn | None:
        """Tell who the browser says it is; the hub has to confirm the token."""
        found = self.opened(request, SESSION, most_s=_SESSION_MOST_S)
        return None if found is None else SignedIn(**found)

    def sign_in(self, answer: Response, who: SignedIn) -> None:
        """Remember somebody."""
        self.keep(answer, SESSION, asdict(who), most_s=_SESSION_MOST_S)

    def sign_out(self, answer: Response) -> None:
        """Forget who it was."""
        self.forget(answer, SESSION)

    def proof_for(self, who: SignedIn) -> str:
        """Return what somebody's own forms carry, and nobody else's can."""
        return self._seal.stamp(f"form {who.name} {who.binding}")

    # -- a word after a deed -------------------------------------------------------------------

    def say(self, answer: Response, text: str) -> None:
        """Let the next page say what was done."""
        self.keep(answer, WORD, {"text": text}, most_s=_WORD_MOST_S)

    def said(self, request: Request) -> str:
        """Return what is to be said; the page that shows it forgets it."""
        found = self.opened(request, WORD, most_s=_WORD_MOST_S)
        return "" if found is None else str(found.get("text", ""))

    # -- all of them ---------------------------------------------------------------------------

    def opened(self, request: Request, name: str, *, most_s: int) -> dict[str, Any] | None:
        """Return what a cookie holds, if it was sealed here lately."""
        sealed = request.cookies.get(self._prefix + name)
        return self._seal.open(sealed, now_s=self._now_s(), most_s=most_s)

    def keep(self, answer: Response, name: str, value: dict[str, Any], *, most_s: int) -> None:
        """Let the browser keep a value."""
        answer.set_cookie(
            self._prefix + name, self._seal.close(value, now_s=self._now_s()), max_age=most_s,
            path=self._path, secure=self._addresses.is_https, httponly=True, samesite="lax",
        )  # fmt: skip

    def forget(self, answer: Response, name: str) -> None:
        """Let the browser forget it."""
        answer.delete_cookie(self._prefix + name, path=self._path, httponly=True,
                             secure=self._addresses.is_https, samesite="lax")  # fmt: skip

    @property
    def _path(self) -> str:
        return "/" if self._prefix else f"{PREFIX}/"

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())
