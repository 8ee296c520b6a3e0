"""Accounts: balance, holds and charges of a person, why, and what they could start."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import schemas
from api.access import AccessDep
from api.bridge import account_out, spawn_options_out
from api.bridge_office import account_line, explanation_out
from api.cursors import PageDep, read_name, write_cursor
from api.deps import BooksDep, check_hub
from api.schemas_office import AccountPage, ExplanationOut
from quota import listings

router = APIRouter(prefix="/v1", tags=["accounts"])
AccountName = Annotated[schemas.Name, Path()]
HubId = Annotated[str, Query(max_length=64)]


@router.get("/accounts")
def list_accounts(
    access: AccessDep,
    books: BooksDep,
    page: PageDep,
    section: Annotated[schemas.ShortName | None, Query()] = None,
) -> AccountPage:
    """List the accounts that you support as a TA, or all of them as an organizer, by name."""
    sections = access.readable_sections(section)
    names = listings.account_names(books, sections=sections)
    after = read_name(page.cursor) or ""
    left = [name for name in names if name > after]
    shown = left[: page.size]
    return AccountPage(
        accounts=[account_line(one) for one in listings.account_views(books, shown)],
        next=write_cursor(shown[-1]) if len(left) > len(shown) else None,
    )


@router.get("/accounts/{account}")
def get_account(
    account: AccountName, access: AccessDep, books: BooksDep, hub_id: HubId = "main"
) -> schemas.AccountOut:
    """See a person's balance, holds, charges, sessions and notices."""
    access.require_sight(account, or_hub=True)
    check_hub(books, hub_id)
    return account_out(books.account(account), books.clock.now())


@router.get("/accounts/{account}/explanation")
def get_explanation(account: AccountName, access: AccessDep, books: BooksDep) -> ExplanationOut:
    """See why a person has this many hours: lines that sum to the balance."""
    access.require_sight(account)
    return explanation_out(books.explanation(account))


@router.get("/spawn-options/{account}")
def get_spawn_options(
    account: AccountName, access: AccessDep, books: BooksDep, hub_id: HubId = "main"
) -> schemas.SpawnOptionsOut:
    """See what a person could start now, what it costs and how long the balance lasts."""
    access.require_sight(account, or_hub=True)
    check_hub(books, hub_id)
    return spawn_options_out(books.spawn_options(account), books.clock.now())
