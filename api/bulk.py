"""Bulk grants over HTTP: JSON or CSV in, a trial with a token, then the same again to do it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, ValidationError

from api.bridge_office import ROWS_SHOWN, done_out, trial_out
from api.problems import Problem
from api.schemas_bulk import BulkDone, BulkIn, BulkTrial
from quota.audit import By
from quota.bulk import BulkPlan, GrantRow, RowFault, plan_grants, read_csv
from quota.clock import whole_ms
from quota.errors import BadAmount
from quota.listings import account_views
from quota.office import Office

BULK_ADDRESS = "/v1/grants/bulk"
# 100,000 rows with a reason each.
BULK_LIMIT_BYTES = 16_777_216
BULK_ANSWER_WITHIN_S = 300.0

BULK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/BulkIn"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBulk:
    """What came in, read."""

    id: UUID
    hub_id: str
    rows: list[GrantRow]
    faults: list[RowFault]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """What came in, as it came."""

    content: bytes
    is_csv: bool


async def _read(request: Request) -> _Raw:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/csv"):
        raise Problem(415, "http_error", "Unknown kind of body",
                      "Send application/json or text/csv.")  # fmt: skip
    return _Raw(content=await request.body(), is_csv=kind == "text/csv")


def read_bulk(
    raw: Annotated[_Raw, Depends(_read)],
    bulk_id: Annotated[
        UUID | None, Query(alias="id", description="With CSV: the id that makes it repeatable.")
    ] = None,
    hub_id: Annotated[str, Query(max_length=64, description="With CSV: which hub.")] = "main",
    until: Annotated[
        AwareDatetime | None, Query(description="With CSV: the end; else the week's end.")
    ] = None,
) -> SentBulk:
    """Read the body (a FastAPI dependency; not async, since a large one takes a while)."""
    if raw.is_csv:
        return _from_csv(raw.content, bulk_id, hub_id, until)
    try:
        sent = BulkIn.model_validate_json(raw.content)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error
    ends_at = None if sent.until is None else whole_ms(sent.until)
    rows = [
        GrantRow(line=line, account=one.account.strip(), hours=one.hours.strip(),
                 reason=one.reason.strip(), until=ends_at)
        for line, one in enumerate(sent.rows, start=1)
    ]  # fmt: skip
    return SentBulk(id=sent.id, hub_id=sent.hub_id, rows=rows, faults=[])


BulkDep = Annotated[SentBulk, Depends(read_bulk)]


def try_out(office: Office, sent: SentBulk) -> BulkTrial:
    """Tell what it would do."""
    plan, faults = _plan(office, sent)
    names = [one.row.account for one in plan.grants[:ROWS_SHOWN]]
    available = {one.account: one.available for one in account_views(office.books, names)}
    return trial_out(plan, faults, available)


def carry_out(office: Office, sent: SentBulk, token: str | None, *, by: By) -> BulkDone:
    """Give it, if it is what was tried.

    Raises:
        Problem: 428 without a token, 409 when something else was tried.

    """
    if token is None:
        raise Problem(428, "precondition_required", "Try it first",
                      "Send it with dry_run=true, then again with the token of the answer."
                      )  # fmt: skip
    plan, faults = _plan(office, sent)
    if token != plan.fingerprint:
        raise Problem(409, "other_trial", "This is not what was tried",
                      "The token belongs to another dry run. Try it again.")  # fmt: skip
    if faults:
        raise BadAmount(f"{len(faults)} rows cannot be granted; nothing was given.")
    return done_out(plan, office.grant_many(plan, by=by))


def _plan(office: Office, sent: SentBulk) -> tuple[BulkPlan, list[RowFault]]:
    plan = plan_grants(sent.id, sent.rows, office.books.lab, office.books.clock.now())
    return plan, [*sent.faults, *plan.faults]


def _from_csv(
    content: bytes, bulk_id: UUID | None, hub_id: str, until: datetime | None
) -> SentBulk:
    if bulk_id is None:
        raise RequestValidationError(
            [{"type": "missing", "loc": ("query", "id"), "msg": "Field required", "input": None}]
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(422, "invalid_request", "The request is not understood",
                      "The CSV is not text in UTF-8.") from error  # fmt: skip
    ends_at = None if until is None else whole_ms(until)
    rows, faults = read_csv(text, until=ends_at)
    if not rows and not faults:
        faults = [RowFault(line=2, account="", what="there is no row")]
    return SentBulk(id=bulk_id, hub_id=hub_id, rows=rows, faults=faults)
