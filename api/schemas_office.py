"""The JSON of what organizers and TAs do: rules, requests, refunds, attachments, the trail."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.schemas import Body, GrantOut, Name, Reason, ServerName, ShortName, WeekOut

Answer = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Hours = Annotated[str, StringConstraints(max_length=32)]


class RuleIn(Body):
    """Write an entry of the rules."""

    reason: Reason
    rule: dict[str, Any] = Field(description="The entry in the notation of lab.yaml.")


class RuleOut(BaseModel):
    """An entry of the rules in force; `etag` is what a change has to carry in If-Match."""

    part: str
    name: str
    rule: dict[str, Any]
    etag: str


class RulePage(BaseModel):
    """Entries of one part of the rules."""

    entries: list[RuleOut]
    next: str | None


class AccountLine(BaseModel):
    """An account in a list."""

    account: str
    section: str | None
    granted_mgpu_ms: int
    charged_mgpu_ms: int
    held_mgpu_ms: int
    balance_mgpu_ms: int
    available_mgpu_ms: int
    debt_mgpu_ms: int
    available_hours: str
    sessions: int


class AccountPage(BaseModel):
    """Accounts by name."""

    accounts: list[AccountLine]
    next: str | None


class BalanceLineOut(BaseModel):
    """One reason for a part of a balance."""

    kind: str
    text: str
    amount_mgpu_ms: int
    hours: str
    author: str
    lot_id: UUID | None
    ends_at: datetime | None


class ExplanationOut(BaseModel):
    """Why somebody has so many hours: the lines sum to the balance."""

    account: str
    balance_mgpu_ms: int
    held_mgpu_ms: int
    available_mgpu_ms: int
    balance_hours: str
    available_hours: str
    lines: list[BalanceLineOut]


class GrantPage(BaseModel):
    """Grants, the oldest first."""

    grants: list[GrantOut]
    next: str | None


class AskIn(Body):
    """Ask for hours."""

    hub_id: ShortName
    hours: Hours = Field(description='Hours as text: "2.5"')
    reason: Reason


class AnswerIn(Body):
    """Answer a request: with hours it is approved, without it is denied."""

    hours: Hours | None = Field(description="What is given, all or a part; null denies.")
    text: Answer = Field(default="", description="What the scholar reads; a denial needs it.")


class RequestOut(BaseModel):
    """A request for hours and what became of it."""

    id: UUID
    account: str
    hours_mgpu_ms: int
    hours: str
    reason: str
    state: Literal["open", "approved", "denied", "withdrawn", "stale"]
    asked_at: datetime
    stale_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    granted_mgpu_ms: int | None
    answer: str


class RequestPage(BaseModel):
    """Requests, the oldest first."""

    requests: list[RequestOut]
    next: str | None


class RefundIn(Body):
    """Give back what a fault of the lab cost between two instants."""

    hub_id: ShortName
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: Reason
    section: ShortName | None = Field(default=None, description="Only to this section.")
    accounts: list[Name] | None = Field(
        default=None, min_length=1, max_length=1000, description="Only to these accounts."
    )


class RefundLine(BaseModel):
    """What one scholar gets; `is_new` is false if it was given back before."""

    account: str
    amount_mgpu_ms: int
    hours: str
    is_new: bool


class RefundOut(BaseModel):
    """What an incident's refund gave, or with `dry_run` would give."""

    incident: str
    dry_run: bool
    total_mgpu_ms: int
    total_hours: str
    refunds: list[RefundLine]


class AttachIn(Body):
    """Attach to a scholar's running session."""

    hub_id: ShortName
    account: Name
    server_name: ServerName
    mode: Literal["observe", "co_edit"]
    minutes: int = Field(ge=1, le=10_080, strict=True, description="At most the policy's most.")
    reason: Reason
    help_request_id: UUID | None = Field(
        default=None, description="The request for help that you have claimed, if it is for one."
    )


class AttachmentOut(BaseModel):
    """A TA at a scholar's session; `ended_at` is null while it lasts."""

    id: UUID
    account: str
    lease_id: UUID
    ta: str
    mode: Literal["observe", "co_edit"]
    reason: str
    started_at: datetime
    until: datetime
    ended_at: datetime | None
    end_reason: str | None
    help_request_id: UUID | None
    may_enter: bool | None = Field(
        description="Whether the hub lets the TA in; null where it was not asked or is silent."
    )


class AttachmentPage(BaseModel):
    """Who was attached to somebody's sessions, the newest first."""

    attachments: list[AttachmentOut]
    next: str | None


class AuditLineOut(BaseModel):
    """One line of the trail; `before` and `after` are as they were written."""

    seq: int
    at: datetime
    hub_id: str
    actor: str
    action: str
    subject: str
    reason: str
    before: Any
    after: Any
    request_id: str
    hash: str


class AuditPage(BaseModel):
    """Lines of the trail in order, and its head to be kept elsewhere."""

    lines: list[AuditLineOut]
    head: str
    next: str | None


class WindowOut(BaseModel):
    """A time with a name: [starts_at, ends_at)."""

    name: str
    title: str
    starts_at: datetime
    ends_at: datetime


class DueOut(BaseModel):
    """Something that is due, with the extra hours before it."""

    name: str
    title: str
    due_at: datetime
    hours_mgpu_ms: int
    hours_from: datetime


class FeedIn(Body):
    """Make a calendar address."""

    hub_id: ShortName
    section: ShortName


class FeedOut(BaseModel):
    """A calendar address; `path` is there only in the answer that made it."""

    id: UUID
    owner: str
    section: str
    made_at: datetime
    revoked_at: datetime | None
    path: str | None


class FeedPage(BaseModel):
    """Somebody's calendar addresses, the oldest first."""

    feeds: list[FeedOut]
    next: str | None


class SectionWeekOut(BaseModel):
    """A section's week: when hours come and lapse, what is due, when people meet."""

    section: str
    time_zone: str
    week: WeekOut
    due: list[DueOut]
    co_working: list[WindowOut]
    office_hours: list[WindowOut]
    blackouts: list[WindowOut]
