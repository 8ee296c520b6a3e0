"""What people want to hear of outside the lab, and on which of the operator's channels."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api import schemas
from api.access import AccessDep
from api.deps import BooksDep
from api.rules import ConditionsDep, wanted_tag
from api.schemas_notices import ChannelOut, NewsKindOut, NoticeChoicesIn, NoticeChoicesOut
from quota.notice_choices import NoticeChoices, choices_of, choose
from quota.telling import KINDS

router = APIRouter(prefix="/v1/accounts", tags=["notifications"])
AccountName = Annotated[schemas.Name, Path()]


@dataclass(frozen=True)
class ChoiceDesk:
    """Where choices are shown and made."""

    books: BooksDep
    access: AccessDep
    response: Response

    def shown(self, found: NoticeChoices) -> NoticeChoicesOut:
        """Show choices, with their tag in the header, too."""
        self.response.headers["ETag"] = f'"{found.tag}"'
        return NoticeChoicesOut(
            account=found.person,
            kinds=[
                NewsKindOut(kind=kind, title=KINDS[kind].title, channels=list(names))
                for kind, names in found.chosen.items()
            ],
            channels=[
                ChannelOut(name=one.name, title=one.title, to_person=one.to_person)
                for one in found.channels
            ],
            etag=found.tag,
        )


ChoiceDeskDep = Annotated[ChoiceDesk, Depends()]


@router.get("/{account}/notification-choices")
def get_choices(account: AccountName, desk: ChoiceDeskDep) -> NoticeChoicesOut:
    """See on which channels you hear of what; organizers see everybody's."""
    desk.access.require_notice_choices(account)
    return desk.shown(choices_of(desk.books, account))


@router.put("/{account}/notification-choices")
def put_choices(
    account: AccountName, body: NoticeChoicesIn, desk: ChoiceDeskDep, conditions: ConditionsDep
) -> NoticeChoicesOut:
    """Choose for yourself among the channels of the lab."""
    desk.access.require_own(account)
    tag = wanted_tag(conditions)
    return desk.shown(choose(desk.books, account, body.choices, tag=tag))
