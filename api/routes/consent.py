"""When a scholar lets the TAs of the section in."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.access import AccessDep
from api.deps import HelpingDep
from api.schemas import Name
from api.schemas_help import ConsentIn, ConsentOut

router = APIRouter(prefix="/v1/accounts", tags=["attachments"])


@router.get("/{account}/attach-consent")
def get_consent(
    account: Annotated[Name, Path()], access: AccessDep, helping: HelpingDep
) -> ConsentOut:
    """See when TAs may attach to somebody's sessions."""
    access.require_sight(account)
    found = helping.consent(account)
    return ConsentOut(account=account, choice=found.choice, chosen_at=found.chosen_at)


@router.put("/{account}/attach-consent")
def put_consent(
    account: Annotated[Name, Path()], body: ConsentIn, access: AccessDep, helping: HelpingDep
) -> ConsentOut:
    """Choose when TAs may attach to your sessions.

    Only you can change it, and the last word counts, so there is no ETag to send along.
    """
    access.require_self(account)
    found = helping.choose(account, body.choice, by=access.by)
    return ConsentOut(account=account, choice=found.choice, chosen_at=found.chosen_at)
