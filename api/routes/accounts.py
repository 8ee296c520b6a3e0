"""Accounts: balance, holds and charges of a person, and what they could start."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import schemas
from api.auth import CallerDep, require_sight_of
from api.bridge import account_out, spawn_options_out
from api.deps import BooksDep, check_hub

router = APIRouter(prefix="/v1", tags=["accounts"])
AccountName = Annotated[schemas.Name, Path()]
HubId = Annotated[str, Query(max_length=64)]


@router.get("/accounts/{account}")
def get_account(
    account: AccountName, caller: CallerDep, books: BooksDep, hub_id: HubId = "main"
) -> schemas.AccountOut:
    """See a person's balance, holds, charges, sessions and notices."""
    require_sight_of(caller, account)
    check_hub(books, hub_id)
    return account_out(books.account(account), books.clock.now())


@router.get("/spawn-options/{account}")
def get_spawn_options(
    account: AccountName, caller: CallerDep, books: BooksDep, hub_id: HubId = "main"
) -> schemas.SpawnOptionsOut:
    """See what a person could start now, what it costs and how long the balance lasts."""
    require_sight_of(caller, account)
    check_hub(books, hub_id)
    return spawn_options_out(books.spawn_options(account), books.clock.now())
