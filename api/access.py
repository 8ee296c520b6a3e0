"""Who may do what with whose, in one place.

Organizers carry a scope of the hub; who is a TA of which section stands in the lab's rules, so a
change there holds at once. What somebody may not see is answered as if it were not there (404);
what only others may do is refused (403).

| what                                   | hub | scholar | TA                  | organizer |
|----------------------------------------|-----|---------|---------------------|-----------|
| ask for, give up a lease               | all | -       | -                   | -         |
| see all GPUs, tell of an emergency     | all | -       | -                   | -         |
| see an account, what it could start    | all | own     | own, own sections   | all       |
| see why, grants, requests, attachments | -   | own     | own, own sections   | all       |
| see usage                              | -   | own     | own, own sections   | all       |
| give hours (a TA: of a weekly budget)  | -   | -       | own sections        | all       |
| ask for hours, take that back          | -   | own     | own                 | own       |
| answer a request (a TA: out of that)   | -   | -       | own sections        | all       |
| attach; claim, pass on, resolve help   | -   | -       | own sections        | -         |
| see when TAs may attach                | -   | own     | own, own sections   | all       |
| choose that, ask for help, take it back | -   | own     | own                 | own       |
| see requests for help                  | -   | own     | own, own sections   | all       |
| see reservations                       | -   | own     | own, own sections   | all       |
| reserve a GPU share, take that back    | -   | own     | own                 | own       |
| tell who visits, as a session          | all | -       | -                   | -         |
| end an attachment                      | -   | own     | own attachments     | all       |
| see notification choices               | -   | own     | own                 | all       |
| make notification choices              | -   | own     | own                 | own       |
| see a section                          | -   | -       | own sections        | all       |
| see a calendar, make an address for it | -   | own     | own sections        | all       |
| see due dates and blackouts            | -   | all     | all                 | all       |
| see what differs for a scholar, a TA   | -   | own     | own, own sections   | all       |
| see drained GPUs                       | -   | -       | -                   | all       |
| change a rule, refund, read the trail  | -   | -       | -                   | all       |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.auth import ADMIN_SCOPE, Caller, CallerDep
from api.deps import BooksDep
from api.problems import Problem
from quota.attachments import Attachment, DetachReason
from quota.audit import By
from quota.errors import NoSuchThing
from quota.lab import Lab
from quota.ledger import LotSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What one caller may do under the rules in force."""

    name: str
    is_hub: bool
    is_organizer: bool
    lab: Lab
    by: By

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that the caller supports as a TA."""
        return tuple(section.name for section in self.lab.sections_of_ta(self.name))

    def supports(self, account: str) -> bool:
        """Tell whether the caller is a TA of somebody's section; nobody is the own TA."""
        section = self.lab.section_of(account)
        return account != self.name and section is not None and self.name in section.tas

    def sees(self, account: str) -> bool:
        """Tell whether an account shows to the caller."""
        return self.is_organizer or self.name == account or self.supports(account)

    # -- accounts ------------------------------------------------------------------------------

    def require_sight(self, account: str, *, or_hub: bool = False) -> None:
        """Let through who may look at an account; to others it does not exist."""
        if not (self.sees(account) and not self.is_hub) and not (or_hub and self.is_hub):
            raise no_such_account()

    def require_notice_choices(self, account: str) -> None:
        """Let through who may see on which channels somebody hears of what."""
        self.require_person()
        if account != self.name and not self.is_organizer:
            raise no_such_account()
        if not self.lab.knows(account):
            raise no_such_account()

    def require_own(self, account: str) -> None:
        """Let people through to what is theirs alone; organizers see that it is there."""
        self.require_notice_choices(account)
        if account != self.name:
            raise forbidden("Only the person may choose this.")

    def require_person(self) -> None:
        """Let people through, not the hub."""
        if self.is_hub:
            raise forbidden("The hub may ask for leases, and no more.")

    def require_hub(self) -> None:
        """Let only the hub through."""
        if not self.is_hub:
            raise forbidden("Only the hub may do this.")

    def require_organizer(self) -> None:
        """Let organizers through."""
        if not self.is_organizer:
            raise forbidden("Only organizers may do this.")

    def readable_sections(self, section: str | None) -> Sequence[str] | None:
        """Return the sections whose accounts the caller may list; None stands for all.

        Raises:
            Problem: 404 for a section that does not show to the caller.

        """
        self.require_person()
        if section is not None:
            self.require_section(section)
            return (section,)
        return None if self.is_organizer else self.sections

    def require_section(self, section: str) -> None:
        """Let through who supports a section, and organizers."""
        is_there = section in self.lab.sections
        if not is_there or not (self.is_organizer or section in self.sections):
            raise no_such_section()

    def require_calendar(self, section: str) -> None:
        """Let through who is in a section, supports it, and organizers."""
        self.require_person()
        own = self.lab.section_of(self.name)
        if own is None or own.name != section:
            self.require_section(section)

    # -- giving --------------------------------------------------------------------------------

    def source_for(self, account: str) -> LotSource:
        """Tell whose hours the caller gives: the lab's, or a TA's own of this week."""
        return "grant" if self._gives(account) else "ta_grant"

    def source_of_answer(self, account: str) -> LotSource:
        """Tell the same for the answer to a request."""
        return "request" if self._gives(account) else "ta_grant"

    def require_attaching(self, account: str) -> None:
        """Let TAs of the scholar's section through."""
        if not self.sections:
            raise forbidden("Only TAs may attach.")
        if not self.supports(account):
            raise no_such_account()

    def require_supporting(self, account: str) -> None:
        """Let TAs of the section of somebody whom the caller sees through."""
        if not self.supports(account):
            raise forbidden("Only a TA of the scholar's section may do this.")

    def require_self(self, account: str) -> None:
        """Let people through to what is their own; others may know of it, or not."""
        self.require_sight(account)
        if self.name != account:
            raise forbidden("Only they themselves may change this.")

    def ending_of(self, account: str, attachment: Attachment) -> DetachReason:
        """Tell as what the caller ends an attachment."""
        if self.name == account:
            return "scholar_ended"
        if self.is_organizer or self.name == attachment.ta:
            return "detached"
        raise NoSuchThing("There is no such attachment.")

    def _gives(self, account: str) -> bool:
        """Tell whether the caller gives as an organizer, not as a TA."""
        if self.is_organizer:
            return True
        if not self.sections:
            raise forbidden("Only organizers and TAs may give GPU-hours.")
        if not self.supports(account):
            raise no_such_account()
        return False

    # -- rules ---------------------------------------------------------------------------------

    def sees_rule(self, part: str, name: str) -> bool:
        """Tell whether an entry of the rules shows to the caller."""
        if self.is_organizer or part in ("due_dates", "blackouts"):
            return True
        if part == "sections":
            return name in self.sections
        return name == self.name or (part == "scholars" and self.supports(name))


async def get_access(request: Request, caller: CallerDep, books: BooksDep) -> Access:
    """Find out what a caller may do (a FastAPI dependency)."""
    return access_of(caller, books.lab, getattr(request.state, "request_id", ""))


AccessDep = Annotated[Access, Depends(get_access)]


def access_of(caller: Caller, lab: Lab, request_id: str) -> Access:
    """Tell what a caller may do under the rules in force."""
    return Access(
        name=caller.name, is_hub=caller.is_hub, lab=lab,
        is_organizer=ADMIN_SCOPE in caller.scopes,
        by=By(actor=caller.name, request_id=request_id),
    )  # fmt: skip


def forbidden(detail: str) -> Problem:
    """Say that only others may do this."""
    return Problem(403, "forbidden", "Not allowed", detail)


def no_such_account() -> Problem:
    """Say that there is nobody, or nobody who shows to the caller."""
    return Problem(404, "no_such_account", "Unknown account",
                   "The lab knows nobody of this name.")  # fmt: skip


def no_such_section() -> Problem:
    """Say that there is no such section, or none that shows to the caller."""
    return Problem(404, "no_such_thing", "Unknown here", "There is no such section.")
