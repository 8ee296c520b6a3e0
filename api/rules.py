"""The conditions of a change: what If-Match and If-None-Match say, and who may see what."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Response

from api.access import AccessDep
from api.deps import OfficeDep
from api.problems import Problem
from api.schemas_office import RuleOut
from quota.errors import NoSuchThing, StaleEdit

ABSENT = "absent"

IfMatch = Annotated[
    str | None,
    Header(max_length=200, description="The ETag that was read; needed to change what is there."),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=200, description="`*` to make what is not there yet.")
]


@dataclass(frozen=True)
class Conditions:
    """What has to be so for a change to be made."""

    if_match: IfMatch = None
    if_none_match: IfNoneMatch = None


ConditionsDep = Annotated[Conditions, Depends()]


def wanted_tag(of: Conditions) -> str:
    """Return the tag that the entry has to have for a change to be made.

    Raises:
        Problem: 428 when the caller names none.

    """
    if of.if_match is not None and of.if_match.strip() != "*":
        return of.if_match.strip().removeprefix('"').removesuffix('"')
    if of.if_match is None and of.if_none_match is not None and of.if_none_match.strip() == "*":
        return ABSENT
    raise Problem(
        428, "precondition_required", "Say what you change",
        "Send the ETag that you read in `If-Match`, or `If-None-Match: *` to make a new entry, "
        "so that nobody's change is lost.",
    )  # fmt: skip


@dataclass(frozen=True)
class RuleDesk:
    """Where entries of the rules are shown and changed."""

    office: OfficeDep
    access: AccessDep
    response: Response

    def shown(self, part: str, name: str) -> RuleOut:
        """Show an entry, with its tag in the header, too."""
        found = self.entry(part, name)
        self.response.headers["ETag"] = f'"{found.etag}"'
        return found

    def entry(self, part: str, name: str) -> RuleOut:
        """Return an entry for who may see it.

        Raises:
            NoSuchThing: there is none, or none that shows to the caller.

        """
        self.access.require_person()
        if not self.access.sees_rule(part, name):
            raise NoSuchThing(f"There is no entry {name!r} in {part}.")
        rule, tag = self.office.rule(part, name)
        return RuleOut(part=part, name=name, rule=rule, etag=tag)

    def change(
        self, part: str, name: str, rule: dict[str, object] | None, *, of: Conditions, reason: str
    ) -> None:
        """Replace or take away an entry as an organizer.

        Raises:
            StaleEdit: it is not, or no longer, what the caller has read.

        """
        self.access.require_organizer()
        tag = wanted_tag(of)
        try:
            self.office.change_rule(part, name, rule, tag=tag, by=self.access.by, reason=reason)
        except StaleEdit:
            # Another process may have changed it; who reads it again is to see that.
            self.office.books.reload_rules()
            raise


RuleDeskDep = Annotated[RuleDesk, Depends()]
