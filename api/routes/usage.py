"""Usage: posted charges, streamed as JSON, CSV or Parquet."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from api import schemas
from api.access import AccessDep
from api.deps import BooksDep
from api.exports import MEDIA_TYPES, UsageFormat, export, usage_line
from api.problems import Problem
from api.schemas_bulk import UsageOut
from quota import listings
from quota.clock import whole_ms

router = APIRouter(prefix="/v1/usage", tags=["usage"])

_LONGEST = timedelta(days=800)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": UsageOut,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def read_span(
    since: Annotated[AwareDatetime, Query(alias="from")],
    until: Annotated[AwareDatetime, Query()],
) -> tuple[datetime, datetime]:
    """Read from when until when (a FastAPI dependency)."""
    start, end = whole_ms(since), whole_ms(until)
    if not timedelta(0) < end - start <= _LONGEST:
        wrong = f"`until` has to be after `from`, by at most {_LONGEST.days} days."
        raise Problem(422, "invalid_request", "The request is not understood", wrong)
    return start, end


SpanDep = Annotated[tuple[datetime, datetime], Depends(read_span)]


@router.get("", responses=_RESPONSES, response_class=StreamingResponse)
def get_usage(
    access: AccessDep,
    books: BooksDep,
    span: SpanDep,
    section: Annotated[schemas.ShortName | None, Query()] = None,
    form: Annotated[UsageFormat, Query(alias="format")] = "json",
) -> StreamingResponse:
    """Read what sessions used: of yourself, of your sections as a TA, of all as an organizer."""
    access.require_person()
    sections = access.readable_sections(section) if section or access.is_organizer else None
    start, end = span
    # Before the answer begins: afterwards it could only break off.
    books.ping()
    names = listings.account_names(books, sections=sections)
    seen = [name for name in names if access.sees(name)]
    lines = (usage_line(one, books.lab) for one in listings.charges(books, seen, start, end))
    head = f'"starts_at":"{start.isoformat()}","ends_at":"{end.isoformat()}",'
    name = f"usage-{start:%Y%m%d}-{end:%Y%m%d}.{form}"
    return StreamingResponse(
        export(lines, form, head=head), media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip
