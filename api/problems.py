"""Every error as RFC 9457 `application/problem+json`: one map from refusals, no internals."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from quota import errors

log = structlog.get_logger()

STATUS: Mapping[type[errors.Refusal], int] = {
    errors.InsufficientBalance: 409,
    errors.OutsideProgram: 409,
    errors.NotOnRoster: 409,
    errors.TooManySessions: 409,
    errors.FlavorCannotBePlaced: 409,
    errors.LeaseConflict: 409,
    errors.GrantConflict: 409,
    errors.NoSuchFlavor: 422,
    errors.NoSuchImage: 422,
    errors.NoSuchLease: 404,
    errors.NoSuchAccount: 404,
    errors.BadAmount: 422,
}
ASK = "Ask an organizer of your program."
RETRY_AFTER_S = 5


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"


class Problem(HTTPException):
    """An error of the service itself, with a code like the refusals have."""

    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(status, detail)
        self.code, self.title = code, title


def problem(status: int, code: str, title: str, detail: str, **more: object) -> ProblemResponse:
    """Make a problem document."""
    body: dict[str, Any] = {
        "type": f"urn:gpulab:problem:{code}", "title": title, "status": status,
        "detail": detail, "code": code,
    }  # fmt: skip
    body.update({name: value for name, value in more.items() if value is not None})
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return ProblemResponse(body, status_code=status, headers=headers)


def refusal_problem(error: errors.Refusal) -> ProblemResponse:
    """Turn a refusal of the books into a problem document."""
    retry_at = error.retry_at.isoformat() if error.retry_at else None
    status = STATUS[type(error)]
    ask = ASK if status == 409 else None
    return problem(status, error.code, error.title, error.message, retry_at=retry_at, ask=ask)


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(errors.Refusal, _refusal)
    app.add_exception_handler(errors.BooksUnavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _refusal(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, errors.Refusal)
    metrics = getattr(request.app.state, "metrics", None)
    if metrics is not None:
        metrics.count_refusal(error.code)
    return refusal_problem(error)


def _unavailable(_request: Request, error: Exception) -> ProblemResponse:
    log.warning("books_unavailable", error=str(error)[:200])
    return problem(503, "unavailable", "The books do not answer",
                   "The books do not answer just now. Try again in a few seconds.")  # fmt: skip


def _invalid(_request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"where": ".".join(str(part) for part in one["loc"])[:200], "what": one["msg"][:200]}
        for one in error.errors()[:20]
    ]
    return problem(422, "invalid_request", "The request is not understood",
                   "Something in the request is missing or wrong; `errors` names it.",
                   errors=faults)  # fmt: skip


def _http(_request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return problem(error.status_code, error.code, error.title, error.detail)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return problem(error.status_code, code, str(error.detail), str(error.detail))


def _unexpected(_request: Request, error: Exception) -> ProblemResponse:
    log.error("request_failed", exc_info=error)
    return problem(500, "internal", "Something went wrong here",
                   "The lab made a mistake; it is logged. Try again, and tell an operator "
                   "if it stays.")  # fmt: skip
