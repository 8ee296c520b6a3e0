"""What somebody has used: by day, by session, and as a file for a spreadsheet."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from api.cursors import Cursor, read_moment, write_moment
from api.exports import csv_text
from api.pages import charts
from api.pages.rooms import RoomDep
from api.pages.visitor import VisitorDep
from api.participation_text import PROJECT_TEXTS, STATE_TEXTS
from quota.amount import GpuTime
from quota.leases import end_text
from quota.own_hours import LedgerLine, ledger, use_of_week
from quota.participation import Participation, participation
from quota.service import Books

router = APIRouter(prefix="/hours")

_SHOWN = 25
# More sessions than anybody has in a program; as a file they are read some at a time.
_MOST_IN_FILE = 5_000
_AT_ONCE = 500
_COLUMNS = ("started_at", "ended_at", "session", "flavor", "gpu_hours", "why_it_ended", "lease_id")


@router.get("/used")
def get_used(
    request: Request, visitor: VisitorDep, room: RoomDep, before: Cursor = None
) -> HTMLResponse:
    """Show the days of this week and the newest sessions, or those before a place in the list."""
    books, days = room.books, use_of_week(room.books, visitor.name)
    found = ledger(books, visitor.name, before=read_moment(before), most=_SHOWN + 1)
    shown = found[:_SHOWN]
    older = write_moment(shown[-1].begun_at, shown[-1].lease.id) if len(found) > _SHOWN else ""
    chart = charts.bars("GPU-hours used on each day",
                        [(f"{one.day:%a} {one.day.day}", one.amount) for one in days])  # fmt: skip
    return room.looks.page(
        request, "used.html", visitor, days=days, chart=chart, lines=shown, older=older,
        is_newest=before is None, total=GpuTime.total(one.amount for one in days),
        flavors=books.lab.flavors, end_text=end_text, own=_own_weeks(books, visitor.name),
        states=STATE_TEXTS, projects=PROJECT_TEXTS,
    )  # fmt: skip


@router.get("/used.csv")
def get_file(visitor: VisitorDep, room: RoomDep) -> Response:
    """Send the newest sessions and what they cost as CSV."""
    name = f"gpu-hours-{room.books.clock.now():%Y-%m-%d}.csv"
    return StreamingResponse(
        _file(room.books, visitor.name), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def _own_weeks(books: Books, name: str) -> Participation | None:
    """Return how they take part, as organizers see it; None without a program or a section."""
    if books.lab.program is None:
        return None
    return next(iter(participation(books, name=name)), None)


def _file(books: Books, name: str) -> Iterator[str]:
    yield csv_text([_COLUMNS])
    place = None
    for _ in range(_MOST_IN_FILE // _AT_ONCE):
        some = ledger(books, name, before=place, most=_AT_ONCE)
        yield csv_text(_row(one) for one in some)
        if len(some) < _AT_ONCE:
            return
        place = (some[-1].begun_at, some[-1].lease.id)


def _row(line: LedgerLine) -> tuple[object, ...]:
    lease = line.lease
    return (
        _exact(lease.started_at), _exact(lease.ended_at), lease.server_name, lease.flavor,
        line.charged.hours_text(), end_text(lease.end_reason) or "", str(lease.id),
    )  # fmt: skip


def _exact(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
