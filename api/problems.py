"""Every error as RFC 9457 `application/problem+json`: one map from refusals, no internals."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from quota import errors

log = structlog.get_logger()

STATUS: Mapping[type[errors.Refusal], int] = {
    errors.InsufficientBalance: 409,
    errors.OutsideProgram: 409,
    errors.NotOnRoster: 409,
    errors.AlreadyRunning: 409,
    errors.TooManySessions: 409,
    errors.FlavorCannotBePlaced: 409,
    errors.LeaseConflict: 409,
    errors.GrantConflict: 409,
    errors.NoSuchFlavor: 422,
    errors.NoSuchImage: 422,
    errors.NoSuchLease: 404,
    errors.NoSuchAccount: 404,
    errors.BadAmount: 422,
    errors.BadText: 422,
    errors.GpusClosed: 409,
    errors.IdConflict: 409,
    errors.BudgetSpent: 409,
    errors.AlreadyDecided: 409,
    errors.NotAttachable: 409,
    errors.AttachNeedsSubdomains: 409,
    errors.AttachNotConsented: 409,
    errors.ObserveNotPossible: 409,
    errors.NotYours: 409,
    errors.GpuIsWanted: 409,
    errors.NoReservations: 409,
    errors.TooManyReservations: 409,
    errors.NothingFree: 409,
    errors.BadStart: 422,
    errors.BadLength: 422,
    errors.StaleEdit: 412,
    errors.BadRule: 422,
    errors.BadChoice: 422,
    errors.NoSuchThing: 404,
}

# What the service itself says no to: code and when.
OWN_CODES: Mapping[str, str] = {
    "not_signed_in": "401: no token, or one that the hub does not know (any more).",
    "forbidden": "403: a token without the right to do this.",
    "no_such_hub": "404: the service keeps no books of the hub that is named.",
    "not_found": "404: no such address.",
    "method_not_allowed": "405: the address exists, the method does not.",
    "id_conflict": "409: the id was used by another request at the same moment.",
    "other_trial": "409: a bulk grant with the token of another dry run.",
    "too_large": "413: the body is larger than allowed.",
    "invalid_request": "422: something is missing, wrong or unknown; `errors` names it.",
    "too_many_requests": "429: somebody asks faster than the lab allows; `Retry-After` says when.",
    "precondition_required": "428: a change without If-Match, a bulk grant without a dry run.",
    "http_error": "Any other 4xx, such as a body that is no JSON.",
    "internal": "500: a mistake of the lab; the log has it under the request id.",
    "hub_unavailable": "503: the hub cannot be asked whose a token is. `Retry-After` says when.",
    "unavailable": "503: the books do not answer. `Retry-After` says when.",
}
ASK = "Ask an organizer of your program."
RETRY_AFTER_S = 5
_MOST_FAULTS = 20
_FAULT_MOST_CHARS = 200


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"


class Problem(HTTPException):
    """An error of the service itself, with a code like the refusals have."""

    def __init__(
        self, status: int, code: str, title: str, detail: str, *, retry_after_s: int | None = None
    ) -> None:
        wait = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        super().__init__(status, detail, headers=wait)
        self.code, self.title = code, title


def problem(status: int, code: str, title: str, detail: str, **more: object) -> ProblemResponse:
    """Make a problem document."""
    body: dict[str, Any] = {
        "type": f"urn:gpulab:problem:{code}", "title": title, "status": status,
        "detail": _as_text(detail), "code": code,
    }  # fmt: skip
    body.update({name: value for name, value in more.items() if value is not None})
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return ProblemResponse(body, status_code=status, headers=headers)


def refusal_problem(error: errors.Refusal, request_id: str | None = None) -> ProblemResponse:
    """Turn a refusal of the books into a problem document."""
    retry_at = error.retry_at.isoformat() if error.retry_at else None
    status = STATUS[type(error)]
    ask = ASK if status == 409 else None
    return problem(status, error.code, error.title, error.message, retry_at=retry_at, ask=ask,
                   request_id=request_id)  # fmt: skip


def http_problem(error: HTTPException, request_id: str | None) -> ProblemResponse:
    """Turn an HTTP error, ours or the framework's, into a problem document."""
    if isinstance(error, Problem):
        found = problem(error.status_code, error.code, error.title, error.detail,
                        request_id=request_id)  # fmt: skip
        found.headers.update(error.headers or {})
        return found
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return problem(error.status_code, code, str(error.detail), str(error.detail),
                   request_id=request_id)  # fmt: skip


def unavailable_problem(request_id: str | None) -> ProblemResponse:
    """Say that the database does not answer."""
    return problem(503, "unavailable", "The books do not answer",
                   "The books do not answer just now. Try again in a few seconds.",
                   request_id=request_id)  # fmt: skip


def too_slow_problem(request_id: str) -> ProblemResponse:
    """Say that an answer took too long; to the caller that is the same as no answer."""
    log.warning("answered_too_late")
    return unavailable_problem(request_id)


def internal_problem(request_id: str) -> ProblemResponse:
    """Say that the mistake is ours, and nothing of what it was."""
    return problem(500, "internal", "Something went wrong here",
                   "The lab made a mistake; it is logged. Try again, and tell an operator "
                   "the request id if it stays.", request_id=request_id)  # fmt: skip


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(errors.Refusal, _refusal)
    app.add_exception_handler(errors.BooksUnavailable, _unavailable)
    app.add_exception_handler(IntegrityError, _met)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


# The handlers are `async`, so that no thread is spent on them while the database hangs.


async def _refusal(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, errors.Refusal)
    request.app.state.metrics.count_refusal(error.code)
    request.app.state.refused.note(request, error)
    return refusal_problem(error, _id_of(request))


async def _unavailable(request: Request, error: Exception) -> ProblemResponse:
    log.warning("books_unavailable", error=str(error))
    request.app.state.metrics.count_refusal("unavailable")
    return unavailable_problem(_id_of(request))


async def _met(request: Request, error: Exception) -> ProblemResponse:
    """Two requests met in the database, which let only one through and undid the other."""
    assert isinstance(error, IntegrityError)
    log.error("constraint_refused", error=str(error.orig))
    return problem(409, "id_conflict", "This id is in use",
                   "Another request used this id, or did the same, at the same moment. Ask again "
                   "to see what became of it.", request_id=_id_of(request))  # fmt: skip


async def _invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"where": _shown(".".join(str(part) for part in one["loc"])), "what": _shown(one["msg"])}
        for one in error.errors()[:_MOST_FAULTS]
    ]
    return problem(422, "invalid_request", "The request is not understood",
                   "Something in the request is missing or wrong; `errors` names it.",
                   errors=faults, request_id=_id_of(request))  # fmt: skip


async def _http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    return http_problem(error, _id_of(request))


def _id_of(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def _shown(text: str) -> str:
    """Cut a text that came from outside, and take out what is no text (lone surrogates)."""
    return _as_text(text[:_FAULT_MOST_CHARS])


def _as_text(text: str) -> str:
    """Take out what is no text; a lone surrogate could not be sent."""
    return text.encode(errors="replace").decode()
