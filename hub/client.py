"""The service as the hub sees it: ask, within a budget, and never be hurt by the answer.

Whatever is not an answer in a known shape (refused connections, time-outs, server errors, garbage)
is `ServiceUnavailable`; a refusal of the books is `ServiceRefused`.
"""

import asyncio
import json
import logging
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx2
import stamina
from pydantic import ValidationError

from hub.breaker import Breaker
from hub.refusals import STATUS
from hub.replies import (
    Account,
    Gpus,
    GpuState,
    Lease,
    Problem,
    Reply,
    SpawnOptions,
    Told,
    Visits,
)
from quota.emergency import Emergency, EmergencyStart
from quota.leases import LeaseRequest

log = logging.getLogger(__name__)

# A spawn waits at most 5 s for a dead service (promises, P27), the refusal's own way included.
SPAWN_BUDGET_S = 4.5
# Pages would rather be shown without the books than late.
PAGE_BUDGET_S = 3.0
_TRY_TIMEOUT_S = 2.0
_TRIES = 4
# Answers are a few kilobytes; a megabyte is nothing that the service ever sends.
_MOST_BYTES = 1_000_000

Shape = TypeVar("Shape", bound=Reply)


class ServiceUnavailable(Exception):
    """The service could not be asked, or did not answer in a way that can be understood."""


class ServiceRefused(Exception):
    """The books say no: `code` is for programs, `detail` for people."""

    def __init__(
        self, code: str, detail: str, *, retry_at: datetime | None = None, ask: str | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.retry_at, self.ask = code, detail, retry_at, ask


class LabService(Protocol):
    """What hooks and pages need of the service."""

    async def request_lease(
        self, lease_id: UUID, wanted: LeaseRequest, *, present: bool = True
    ) -> Lease:
        """Ask for a lease, or what became of it."""

    async def stop_lease(self, lease_id: UUID, reason: str) -> None:
        """Say that a lease has to end."""

    async def keep_gpu(self, lease_id: UUID) -> GpuState:
        """Keep an idle session's GPU for a while longer."""

    async def keep_place(self, lease_id: UUID) -> Lease:
        """Keep a place in the line while its holder starts on a CPU."""

    async def visits(self, lease_id: UUID, no_observing: str) -> Visits:
        """Hear who may be in a session, and say whether it can be observed."""

    async def account(self, name: str) -> Account:
        """See a person's books."""

    async def spawn_options(self, name: str) -> SpawnOptions:
        """See what a person could start."""


class _Failed(Exception):
    """One try failed; another may do better."""


class ServiceClient:
    """Talks to the service over HTTP with the hub's own secret."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        hub_id: str,
        breaker: Breaker | None = None,
        spawn_budget_s: float = SPAWN_BUDGET_S,
    ) -> None:
        self._http = http
        self._hub_id = hub_id
        self._breaker = breaker or Breaker()
        self._spawn_budget_s = spawn_budget_s

    async def request_lease(
        self, lease_id: UUID, wanted: LeaseRequest, *, present: bool = True
    ) -> Lease:
        """Ask for a lease, or what became of it; safe to repeat."""
        body = {
            "hub_id": wanted.hub_id, "account": wanted.account, "flavor": wanted.flavor,
            "server_name": wanted.server_name, "image": wanted.image, "present": present,
        }  # fmt: skip
        lease = await self._ask(Lease, "PUT", f"/v1/leases/{lease_id}", self._spawn_budget_s, body)
        if lease.id != lease_id:
            raise ServiceUnavailable("the answer is about another lease")
        return lease

    async def stop_lease(self, lease_id: UUID, reason: str) -> None:
        """Say that a lease has to end; safe to repeat."""
        path = f"/v1/leases/{lease_id}/stop"
        await self._ask(Lease, "PUT", path, self._spawn_budget_s, {"reason": reason})

    async def keep_gpu(self, lease_id: UUID) -> GpuState:
        """Keep an idle session's GPU for a while longer; safe to repeat."""
        return await self._ask(GpuState, "PUT", f"/v1/leases/{lease_id}/keep", PAGE_BUDGET_S)

    async def keep_place(self, lease_id: UUID) -> Lease:
        """Keep a place in the line while its holder starts on a CPU; safe to repeat."""
        return await self._ask(Lease, "PUT", f"/v1/leases/{lease_id}/place", PAGE_BUDGET_S)

    async def visits(self, lease_id: UUID, no_observing: str) -> Visits:
        """Hear who may be in a session, and say whether it can be observed; safe to repeat."""
        path, body = f"/v1/leases/{lease_id}/visits", {"no_observing": no_observing}
        return await self._ask(Visits, "PUT", path, PAGE_BUDGET_S, body)

    async def gpus(self) -> Gpus:
        """See all GPUs, and who is on them."""
        path = f"/v1/gpus?hub_id={quote(self._hub_id, safe='')}"
        return await self._ask(Gpus, "GET", path, PAGE_BUDGET_S)

    async def tell_emergency(self, one: Emergency) -> None:
        """Tell of an emergency, or of its end; safe to repeat."""
        body = {
            "hub_id": self._hub_id, "opened_by": one.opened_by, "reason": one.reason,
            "opened_at": one.opened_at.isoformat(), "until": one.until.isoformat(),
            "closed_by": one.closed_by,
            "closed_at": None if one.closed_at is None else one.closed_at.isoformat(),
        }  # fmt: skip
        await self._ask(Told, "PUT", f"/v1/emergencies/{one.id}", PAGE_BUDGET_S, body)

    async def tell_emergency_start(self, one: EmergencyStart) -> None:
        """Tell of a session that was started in an emergency; safe to repeat."""
        path = f"/v1/emergencies/{one.emergency_id}/starts/{one.lease_id}"
        body = {
            "account": one.account, "server_name": one.server_name, "flavor": one.flavor,
            "gpu_uuid": one.gpu_uuid, "started_at": one.started_at.isoformat(),
            "ends_at": one.ends_at.isoformat(),
        }  # fmt: skip
        await self._ask(Told, "PUT", path, PAGE_BUDGET_S, body)

    async def account(self, name: str) -> Account:
        """See a person's books."""
        return await self._ask(Account, "GET", self._of("accounts", name), PAGE_BUDGET_S)

    async def spawn_options(self, name: str) -> SpawnOptions:
        """See what a person could start."""
        return await self._ask(SpawnOptions, "GET", self._of("spawn-options", name), PAGE_BUDGET_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _of(self, what: str, name: str) -> str:
        return f"/v1/{what}/{quote(name, safe='')}?hub_id={quote(self._hub_id, safe='')}"

    async def _ask(
        self, shape: type[Shape], method: str, path: str, budget_s: float, body: object = None
    ) -> Shape:
        if not self._breaker.lets_through():
            raise ServiceUnavailable("it failed a moment ago")
        try:
            async with asyncio.timeout(budget_s):
                reply = await self._try_several_times(method, path, budget_s, body)
            answer = _understood(reply, shape)
        except (TimeoutError, _Failed) as error:
            self._breaker.failed()
            raise _unavailable(method, path, error) from error
        except ServiceRefused:
            self._breaker.answered()
            raise
        self._breaker.answered()
        return answer

    async def _try_several_times(
        self, method: str, path: str, budget_s: float, body: object
    ) -> httpx2.Response:
        async for attempt in stamina.retry_context(
            on=_Failed, attempts=_TRIES, timeout=budget_s, wait_initial=0.25, wait_max=1.0,
            wait_jitter=0.25,
        ):  # fmt: skip
            with attempt:
                return await self._try_once(method, path, body)
        raise AssertionError("stamina returns or raises")

    async def _try_once(self, method: str, path: str, body: object) -> httpx2.Response:
        try:
            reply = await self._http.request(method, path, json=body)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _Failed(type(error).__name__) from error
        if reply.status_code >= 500:
            raise _Failed(f"status {reply.status_code}")
        return reply


def open_client(service_url: str, secret: str, *, hub_id: str) -> ServiceClient:
    """Open the client for a service."""
    http = httpx2.AsyncClient(
        base_url=service_url,
        timeout=httpx2.Timeout(_TRY_TIMEOUT_S),
        headers={"Authorization": f"token {secret}"},
        # The service is next door: no proxy from the environment may come between.
        trust_env=False,
    )
    return ServiceClient(http, hub_id=hub_id)


def _understood(reply: httpx2.Response, shape: type[Shape]) -> Shape:
    """Read an answer.

    Raises:
        ServiceRefused: the books say no.
        _Failed: it is no answer of a service that speaks our language.

    """
    body = _json(reply)
    if reply.status_code == 200:
        try:
            return shape.model_validate(body)
        except ValidationError as error:
            raise _Failed(f"an unknown shape ({error.error_count()} faults)") from error
    try:
        problem = Problem.model_validate(body)
    except ValidationError as error:
        raise _Failed(f"status {reply.status_code} without a reason") from error
    # A code that is not in the map is a newer service's refusal if the books' state is the
    # reason (409). Anything else (401, 404 without a code of ours) is a fault between us.
    if problem.code in STATUS or reply.status_code == 409:
        raise ServiceRefused(problem.code, problem.detail[:2000], retry_at=problem.retry_at,
                             ask=problem.ask)  # fmt: skip
    raise _Failed(f"status {reply.status_code}, {problem.code[:64]}")


def _json(reply: httpx2.Response) -> Any:
    if len(reply.content) > _MOST_BYTES:
        raise _Failed("an answer that is far too long")
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError) as error:
        raise _Failed(f"status {reply.status_code}, not JSON") from error


def _unavailable(method: str, path: str, error: Exception) -> ServiceUnavailable:
    # No query, no body: names of people stay out of the log.
    what = str(error) or type(error).__name__
    log.warning("the service did not answer %s %s: %s", method, path.split("/")[2], what)
    return ServiceUnavailable(what)
