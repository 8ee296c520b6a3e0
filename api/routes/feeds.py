"""Calendar addresses: made and revoked by people, read by their calendar programs."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response

from api import schemas
from api.access import AccessDep, forbidden
from api.cursors import PageDep, read_moment, write_moment
from api.deps import BooksDep, check_hub
from api.envelope import SECRET_AFTER
from api.ical import section_calendar
from api.schemas_office import FeedIn, FeedOut, FeedPage
from quota import feeds
from quota.errors import NoSuchThing

router = APIRouter(prefix="/v1/calendar-feeds", tags=["calendars"])
readers = APIRouter(tags=["calendars"])

_ICS = "text/calendar"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {_ICS: {"schema": {"type": "string"}}}}
}


@router.get("")
def list_feeds(access: AccessDep, books: BooksDep, page: PageDep) -> FeedPage:
    """List your calendar addresses, the oldest first; their secrets are not kept."""
    access.require_person()
    place = read_moment(page.cursor)
    found = [one for one in feeds.feeds_of(books, access.name)
             if place is None or (one.made_at, one.id) > place]  # fmt: skip
    shown = found[: page.size]
    more = write_moment(shown[-1].made_at, shown[-1].id) if len(found) > len(shown) else None
    return FeedPage(feeds=[_feed_out(one) for one in shown], next=more)


@router.put("/{feed_id}")
def put_feed(feed_id: UUID, body: FeedIn, access: AccessDep, books: BooksDep) -> FeedOut:
    """Make an address of a section's calendar for yourself; only this answer has its `path`."""
    access.require_person()
    check_hub(books, body.hub_id)
    access.require_calendar(body.section)
    made, secret = feeds.make_feed(books, feed_id, access.name, body.section, by=access.by)
    return _feed_out(made, secret)


@router.delete("/{feed_id}", status_code=204)
def delete_feed(feed_id: UUID, access: AccessDep, books: BooksDep) -> None:
    """Revoke an address: your own, or anybody's as an organizer."""
    if access.is_hub:
        raise forbidden("The hub may ask for leases, and no more.")
    if not access.is_organizer and feeds.feed(books, feed_id).owner != access.name:
        raise NoSuchThing("There is no such calendar address.")
    feeds.revoke_feed(books, feed_id, by=access.by)


@readers.get(f"{SECRET_AFTER}{{secret}}.ics", responses=_RESPONSES, response_class=Response)
def get_feed(
    secret: Annotated[schemas.Name, Path(description="Of the address.")], books: BooksDep
) -> Response:
    """Read a section's calendar by its secret address, as calendar programs do."""
    text = section_calendar(books, feeds.section_behind(books, secret))
    return Response(text, media_type=f"{_ICS}; charset=utf-8")


def _feed_out(one: feeds.Feed, secret: str | None = None) -> FeedOut:
    path = None if secret is None else f"{SECRET_AFTER}{secret}.ics"
    return FeedOut(id=one.id, owner=one.owner, section=one.section, made_at=one.made_at,
                   revoked_at=one.revoked_at, path=path)  # fmt: skip
