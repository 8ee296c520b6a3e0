"""Where people can be told things outside the lab, as `lab.yaml` says it.

The address of a channel is a secret, so it stands in a file of its own and never in `lab.yaml`.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from quota.lab_fields import (
    Fault,
    FileName,
    LabModel,
    MailDomain,
    Minute,
    ShortName,
    Text,
    complaint,
)

Chooser = Literal["scholars", "tas", "organizers"]

_DAY_MIN = 24 * 60


class Channel(LabModel):
    """A way to reach people: a room that several read, or each person alone."""

    name: ShortName
    title: Text = Field(default="", description="Its name as people read it.")
    url_file: FileName = Field(description="File with its Apprise URL, in the secrets folder.")
    chosen_by: tuple[Chooser, ...] = Field(
        min_length=1, max_length=3, description="Who may choose it."
    )
    to_person: bool = Field(
        default=False, strict=True,
        description="It reaches one person: the URL has {name} or {email} in it.",
    )  # fmt: skip
    email_domain: MailDomain | None = Field(
        default=None, description="What {email} is: the user name at this domain."
    )
    default: bool = Field(
        default=False, strict=True,
        description="Tells of stopped sessions whoever has chosen nothing else.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _reaches_whom_it_says(self) -> Self:
        if self.default and not self.to_person:
            wrong = "a room would show everybody whose session was stopped"
            raise complaint(Fault(("default",), wrong, "write to_person: true, or remove it"))
        if self.email_domain is not None and not self.to_person:
            wrong = "a room has no address of a person"
            raise complaint(Fault(("email_domain",), wrong, "write to_person: true"))
        return self

    def email_of(self, person: str) -> str | None:
        """Return a person's address; None where the name does not lead to one of the domain."""
        if self.email_domain is None:
            return None
        local, at, domain = person.partition("@")
        if at and (domain != self.email_domain or not local):
            return None
        return f"{local}@{self.email_domain}"


class QuietHours(LabModel):
    """The time of the day in which only what cannot wait is sent, on each person's clocks."""

    starts: Minute = Field(description="When it begins, like 22:00.")
    ends: Minute = Field(description="When it is over, like 07:00, on the next day if earlier.")

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        if self.starts % _DAY_MIN == self.ends % _DAY_MIN:
            wrong = "it begins and ends at the same time"
            raise complaint(Fault(("ends",), wrong, "write another time, or remove quiet_hours"))
        return self

    def covers(self, minute: int) -> bool:
        """Tell whether a minute of the day lies in it."""
        starts, ends = self.starts % _DAY_MIN, self.ends % _DAY_MIN
        if starts < ends:
            return starts <= minute < ends
        return minute >= starts or minute < ends
