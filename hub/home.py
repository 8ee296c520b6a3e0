"""`/hub/gpulab/me`: a person's hours, session and notices, for the hub's pages to refresh.

Logged-in browsers only; asks the service with the hub's own secret, at most once in some seconds
for each person.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from jupyterhub.handlers.base import BaseHandler

from hub.client import LabService, ServiceRefused, ServiceUnavailable
from hub.emergency_page import own_end_text
from hub.policy import HasLab
from hub.replies import Account, Notice, Session
from hub.spawn_page import balance_text, resets_text
from quota.lab import Lab
from quota.shown import GPU_TEXTS, LEASE_TEXTS, moment_text, span_text

_FRESH_S = 5.0
_REMEMBERED_MOST = 10_000
_NOTICES_FOR = timedelta(hours=24)
# A warning that a GPU is idle is shown as long as it will be given away within this time.
_SOON = timedelta(minutes=15)
_AWAY = (
    "Your hours cannot be shown just now: the lab's books do not answer. Running sessions go on."
)


def home_view(account: Account, lab: Lab) -> dict[str, Any]:
    """Lay out an account for the home page: texts that need no more thought."""
    notices = [one for one in account.notices if account.server_time - one.at < _NOTICES_FOR]
    # A warning speaks of a session that runs; when it is over, what counts is why it was stopped.
    # That a GPU is idle is no news any more once it is used or kept, nor a turn that is over.
    told = {
        "warning": any(one.state == "active" for one in account.sessions),
        "idle": any(_is_going(one, account.server_time) for one in account.sessions),
        "turn": any(one.turn_until is not None for one in account.sessions),
    }
    shown = [one for one in notices if told.get(one.kind, True)]
    return {
        "answered": True,
        "balance": balance_text(account),
        "debt": account.debt_mgpu_ms > 0,
        "resets": resets_text(account),
        "sessions": [_session(one, account, lab) for one in account.sessions],
        "notices": [_notice(one, account) for one in _newest_of_each_kind(shown)],
    }


class Books:
    """What the home page asks for, remembered for some seconds."""

    def __init__(
        self,
        service: LabService,
        policy: HasLab,
        *,
        own_end: Callable[[str], datetime | None] = lambda _name: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._own_end = own_end
        self._policy = policy
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    async def of(self, name: str) -> dict[str, Any]:
        """Return what to show a person; when nobody answers, a sentence."""
        known = self._known.get(name)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        view = await self._ask(name)
        self._known[name] = (self._monotonic() + _FRESH_S, view)
        while len(self._known) > _REMEMBERED_MOST:
            self._known.popitem(last=False)
        return view

    async def keep(self, name: str, server_name: str) -> str:
        """Keep the GPU of a person's own session; say what became of that."""
        try:
            account = await self._service.account(name)
            mine = [one for one in account.sessions if one.server_name == server_name]
            if not mine:
                return "This session does not run any more."
            state = await self._service.keep_gpu(mine[0].lease_id)
        except ServiceUnavailable:
            return "The lab's books do not answer just now. Try again in a minute."
        except ServiceRefused as no:
            return no.detail
        self._known.pop(name, None)
        return f"The GPU is kept until {_moment(state.kept_until, account)}."

    async def leave(self, name: str, server_name: str) -> str:
        """Give up a person's own place in the line; say what became of that."""
        try:
            account = await self._service.account(name)
            mine = [one for one in account.sessions
                    if one.server_name == server_name and one.state == "waiting"]  # fmt: skip
            if not mine:
                return "You are not in the line any more."
            await self._service.stop_lease(mine[0].lease_id, "left_line")
        except ServiceUnavailable:
            return "The lab's books do not answer just now. Try again in a minute."
        except ServiceRefused as no:
            return no.detail
        self._known.pop(name, None)
        return "You have left the line."

    async def _ask(self, name: str) -> dict[str, Any]:
        try:
            return home_view(await self._service.account(name), self._policy.lab)
        except ServiceUnavailable:
            said = own_end_text(self._own_end(name), self._policy.lab, name)
            return {"answered": False, "sentence": _AWAY + said}
        except ServiceRefused as no:
            return {"answered": False, "sentence": no.detail}


def person_at(handler: BaseHandler) -> Any:
    """Return who asks; None, and 403 is answered, when nobody is logged in."""
    user = handler.current_user
    if user is None:
        handler.set_status(403)
        handler.finish({"message": "Log in to the hub first."})
    return user


class MeHandler(BaseHandler):
    """Answers for whoever is logged in."""

    def initialize(self, view_of: Callable[[str], Awaitable[dict[str, Any]]]) -> None:
        """Take what answers for a name."""
        self._view_of = view_of

    async def get(self) -> None:
        """Answer with the view as JSON, or 403."""
        self.set_header("Cache-Control", "no-store")
        user = person_at(self)
        if user is None:
            return
        self.finish(await self._view_of(user.name))


class AnswerHandler(BaseHandler):
    """Takes what somebody wants of a session of theirs; JupyterHub checks whence it comes."""

    def initialize(self, answer: Callable[[str, str], Awaitable[str]]) -> None:
        """Take what does it, and says what became of it."""
        self._answer = answer

    async def post(self) -> None:
        """Do it with the session that is named, or say why not."""
        user = person_at(self)
        if user is None:
            return
        sentence = await self._answer(user.name, self.get_body_argument("server_name", ""))
        self.finish({"message": sentence})


def _session(one: Session, account: Account, lab: Lab) -> dict[str, Any]:
    flavor = lab.flavors.get(one.flavor)
    return {
        "server_name": one.server_name,
        "title": flavor.title if flavor else one.flavor,
        "state": _state(one, account),
        "started": _moment(one.started_at, account),
        "ends": _moment(one.ends_at, account) if one.weight_mgpu else "",
        "left": _left(one.ends_at, account.server_time) if one.weight_mgpu else "",
        "gpu": _gpu(one, account),
        "can_keep": one.gpu_state is not None and one.gpu_state.release_at is not None,
        "keeps_place": one.keeps_place,
        "turn": {"flavor": one.flavor, "image": one.image}
        if one.keeps_place and one.turn_until is not None else None,
    }  # fmt: skip


def _state(one: Session, account: Account) -> str:
    if one.keeps_place and one.turn_until is not None:
        return f"your turn: a GPU is kept for you until {_moment(one.turn_until, account)}"
    if one.keeps_place:
        return "in the line: your place is kept while you have another session"
    return LEASE_TEXTS.get(one.state, one.state)


def _gpu(one: Session, account: Account) -> str:
    """Say what a session does with its GPU, where that is known and matters."""
    state = one.gpu_state
    text = "" if state is None else GPU_TEXTS.get(state.state, "")
    if state is None or state.release_at is None:
        return text
    left = _left(state.release_at, account.server_time)
    return f"{text}; it will be given to others in {left} if it stays so"


def _is_going(one: Session, now: datetime) -> bool:
    at = None if one.gpu_state is None else one.gpu_state.release_at
    return at is not None and at - now <= _SOON


def _notice(one: Notice, account: Account) -> dict[str, str]:
    return {"kind": one.kind, "text": one.text, "at": moment_text(one.at, account.time_zone)}


def _newest_of_each_kind(notices: list[Notice]) -> list[Notice]:
    newest: dict[str, Notice] = {}
    for one in sorted(notices, key=lambda one: one.at):
        newest[one.kind] = one
    return sorted(newest.values(), key=lambda one: one.at, reverse=True)


def _moment(at: datetime | None, account: Account) -> str:
    return "" if at is None else moment_text(at, account.time_zone)


def _left(ends_at: datetime | None, now: datetime) -> str:
    if ends_at is None:
        return ""
    return span_text(max(0, int((ends_at - now).total_seconds())))
