"""While a TA is attached, the section's help budget pays: exactly that time, and no more."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.attachments import Attachment
from quota.audit import By
from quota.errors import IdConflict, NotAttachable
from tests.quota.books import Desk, hours, lab_with

TOMAS = By(actor="tomas")


@pytest.fixture
def helped(desk: Desk) -> Desk:
    desk.follow(lab_with(section="help_hours_per_week: 2"))
    return desk


def attach(desk: Desk, minutes: int = 30, *, attachment_id: UUID | None = None) -> Attachment:
    return desk.office.attach(
        attachment_id or uuid4(), "ada", server_name="", mode="observe", minutes=minutes,
        by=TOMAS, reason="asked in the chat",
    )  # fmt: skip


def test_help_pays_exactly_the_attached_time_and_gets_the_rest_back(helped: Desk) -> None:
    helped.run()
    helped.go(every_s=60, minutes=20)
    attach(helped, minutes=25)
    helped.go(every_s=60, minutes=40)
    (only,) = helped.office.attachments_of("ada")
    assert (only.end_reason, only.ended_at) == ("time_over", only.until)
    assert helped.budget("help", "utc") == hours("2") - hours("25 min")
    assert helped.books.account("ada").balance == hours("10") - hours("35 min")


def test_help_that_ends_between_two_ticks_pays_up_to_the_millisecond(helped: Desk) -> None:
    helped.run()
    helped.go(minutes=1)
    helped.clock.advance(timedelta(milliseconds=4321))
    attachment = attach(helped)
    helped.go(every_s=15, minutes=3)
    helped.clock.advance(timedelta(milliseconds=1234))
    helped.office.detach(attachment.id, "detached", by=TOMAS)
    helped.go(every_s=15, minutes=1)
    attached_s = (3 * 60_000 + 1234) / 1000
    assert helped.budget("help", "utc") == hours("2") - hours(f"{attached_s} s")
    used = 60_000 + 4321 + 60_000
    assert helped.books.account("ada").balance == hours("10") - hours(f"{used / 1000} s")


def test_help_is_drawn_before_what_ends_earlier(helped: Desk) -> None:
    helped.run()
    until = helped.clock.now() + timedelta(minutes=10)
    helped.office.grant(
        uuid4(), "ada", hours("1"), by=By(actor="olga"), reason="extra", until=until
    )
    attach(helped, minutes=30)
    helped.go(every_s=60, minutes=9)
    view = helped.books.account("ada")
    assert next(lot.remaining for lot in view.lots if lot.source == "grant") == hours("1")


def test_a_session_that_ends_ends_the_help_and_its_rest_goes_back_at_once(helped: Desk) -> None:
    _, ref = helped.run()
    attach(helped)
    helped.go(every_s=60, minutes=10)
    helped.finish(ref)
    helped.tick()
    (only,) = helped.office.attachments_of("ada")
    assert only.end_reason == "session_ended"
    assert helped.budget("help", "utc") == hours("2") - hours("10 min")
    assert helped.books.account("ada").balance == hours("10")


def test_when_the_budget_runs_out_the_scholar_pays_on(helped: Desk) -> None:
    helped.follow(lab_with(section="help_hours_per_week: 10 min"))
    helped.run()
    attach(helped, minutes=30)
    helped.go(every_s=60, minutes=29)
    assert helped.budget("help", "utc") == hours("0")
    assert helped.books.account("ada").balance == hours("10") - hours("19 min")


def test_help_lets_a_session_go_on_that_has_no_hours_of_its_own(helped: Desk) -> None:
    helped.follow(lab_with("scholars: {ada: {hours_per_week: 20 min}}",
                           section="help_hours_per_week: 2"))  # fmt: skip
    lease_id, _ = helped.run()
    helped.go(every_s=30, minutes=10)
    attach(helped, minutes=40)
    helped.go(every_s=30, minutes=39)
    assert helped.books.lease(lease_id).lease.state == "active"
    helped.go(every_s=30, minutes=12)
    lease = helped.books.lease(lease_id).lease
    assert lease.end_reason == "exhausted"
    assert lease.started_at is not None
    assert lease.paid_until == lease.started_at + timedelta(minutes=60)


def test_help_across_the_end_of_a_week_never_makes_a_budget_larger(helped: Desk) -> None:
    helped.at("2026-11-29T23:50")
    _, ref = helped.run()
    attach(helped, minutes=30)
    helped.go(every_s=60, minutes=11)
    helped.finish(ref)
    helped.tick()
    left = helped.budget("help", "utc")
    assert hours("2") - hours("2 min") <= left <= hours("2")
    assert helped.books.account("ada").balance == hours("10")


def test_only_a_ta_of_the_section_can_attach_and_only_one_to_what_runs(helped: Desk) -> None:
    with pytest.raises(NotAttachable):
        attach(helped)
    helped.run()
    with pytest.raises(NotAttachable, match="section"):
        helped.office.attach(uuid4(), "ada", server_name="", mode="observe", minutes=5,
                             by=By(actor="olga"), reason="curious")  # fmt: skip
    first = attach(helped, 5, attachment_id=(same := uuid4()))
    assert attach(helped, 5, attachment_id=same) == first, "asked again, nothing changes"
    with pytest.raises(NotAttachable, match="already"):
        attach(helped)
    with pytest.raises(IdConflict):
        helped.office.attach(same, "ada", server_name="", mode="co_edit", minutes=5, by=TOMAS,
                             reason="asked in the chat")  # fmt: skip
    actions = [line.action for line in helped.office.trail(subject="ada")]
    assert actions == ["attach"]


def test_an_attachment_lasts_no_longer_than_policy_allows(helped: Desk) -> None:
    helped.run()
    assert attach(helped, 600).until == helped.clock.now() + timedelta(minutes=60)


def test_the_scholar_can_end_it_and_a_second_end_changes_nothing(helped: Desk) -> None:
    helped.run()
    attachment = attach(helped)
    helped.go(every_s=60, minutes=5)
    first = helped.office.detach(attachment.id, "scholar_ended", by=By(actor="ada"))
    helped.go(every_s=60, minutes=5)
    second = helped.office.detach(attachment.id, "detached", by=TOMAS)
    assert (second.end_reason, second.ended_at) == ("scholar_ended", first.ended_at)
    assert helped.budget("help", "utc") == hours("2") - hours("5 min")
    assert [one.action for one in helped.office.trail(subject="ada")] == ["attach", "detach"]
