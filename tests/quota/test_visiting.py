"""Who may come into a session: own hosts, consent, a session that keeps visitors. P34's rules."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from quota.attachments import Attachment, AttachMode
from quota.audit import By
from quota.errors import (
    AttachNeedsSubdomains,
    AttachNotConsented,
    NotAttachable,
    ObserveNotPossible,
)
from quota.helping import Helping
from tests.quota.books import Desk, lab_with

TOMAS, ADA = By(actor="tomas"), By(actor="ada")


def attach(
    desk: Desk, mode: AttachMode = "observe", *, has_own_host: bool = True,
    help_request_id: UUID | None = None,
) -> Attachment:  # fmt: skip
    return desk.office.attach(
        uuid4(), "ada", server_name="", mode=mode, minutes=30, by=TOMAS, reason="asked",
        has_own_host=has_own_host, help_request_id=help_request_id,
    )  # fmt: skip


@pytest.fixture
def helping(desk: Desk) -> Helping:
    return Helping(desk.books)


def test_p34_without_hosts_of_their_own_nobody_attaches_unless_that_is_accepted(
    desk: Desk, helping: Helping
) -> None:
    lease_id, _ = desk.run()
    helping.open_session(lease_id, "")
    with pytest.raises(AttachNeedsSubdomains, match="act as you"):
        attach(desk, has_own_host=False)
    desk.follow(lab_with("attach: {accept_shared_origin: true}"))
    assert attach(desk, has_own_host=False).is_open


def test_a_session_that_has_not_said_that_it_keeps_visitors_has_none(
    desk: Desk, helping: Helping
) -> None:
    lease_id, ref = desk.run()
    with pytest.raises(NotAttachable, match="tell visitors"):
        attach(desk, "co_edit")
    helping.open_session(lease_id, "")
    desk.office.detach(attach(desk, "co_edit").id, "detached", by=TOMAS)
    desk.finish(ref)
    desk.tick()
    desk.run()
    with pytest.raises(NotAttachable):
        attach(desk, "co_edit")


def test_observing_is_refused_where_the_session_cannot_hold_it_to_reading(
    desk: Desk, helping: Helping
) -> None:
    lease_id, _ = desk.run()
    helping.open_session(lease_id, "It has another version.")
    with pytest.raises(ObserveNotPossible, match="another version"):
        attach(desk)
    assert attach(desk, "co_edit").mode == "co_edit"


def test_a_scholar_chooses_when_tas_may_come(desk: Desk, helping: Helping) -> None:
    lease_id, _ = desk.run()
    helping.open_session(lease_id, "")
    assert (helping.consent("ada").choice, helping.consent("ada").chosen_at) == ("always", None)
    chosen = helping.choose("ada", "asking", by=ADA)
    assert helping.choose("ada", "asking", by=ADA) == chosen
    with pytest.raises(AttachNotConsented, match="asking for help"):
        attach(desk)
    request_id = uuid4()
    helping.raise_hand(request_id, "ada", message="stuck", path="", server_name="", by=ADA)
    helping.claim(request_id, by=TOMAS)
    one = attach(desk)
    assert one.help_request_id == request_id, "both are linked"
    desk.office.detach(one.id, "detached", by=TOMAS)
    helping.resolve(request_id, "mended", by=TOMAS)
    with pytest.raises(AttachNotConsented):
        attach(desk)
    actions = [line.action for line in desk.office.trail(subject="ada")]
    assert actions == ["attach_consent", "help.raise", "help.claim", "attach", "detach",
                       "help.resolve"]  # fmt: skip
    desk.check()


def test_an_attachment_for_a_request_needs_that_request_claimed(
    desk: Desk, helping: Helping
) -> None:
    lease_id, _ = desk.run()
    helping.open_session(lease_id, "")
    request_id = uuid4()
    helping.raise_hand(request_id, "ada", message="stuck", path="", server_name="", by=ADA)
    for named in (request_id, uuid4()):
        with pytest.raises(NotAttachable, match="claimed"):
            attach(desk, help_request_id=named)
    helping.claim(request_id, by=TOMAS)
    assert attach(desk, help_request_id=request_id).help_request_id == request_id


def test_a_session_hears_who_may_be_in_it_up_to_the_last_moment(
    desk: Desk, helping: Helping
) -> None:
    lease_id, _ = desk.run()
    assert helping.open_session(lease_id, "") == []
    one = attach(desk, "co_edit")
    (visit,) = helping.open_session(lease_id, "")
    assert (visit.ta, visit.mode, visit.until) == ("tomas", "co_edit", one.until)
    desk.clock.advance(timedelta(minutes=30))
    assert helping.open_session(lease_id, "") == [], "also before the worker writes the end"


def test_what_the_hub_may_share_is_known_until_it_was_seen_not_to(
    desk: Desk, helping: Helping
) -> None:
    lease_id, _ = desk.run()
    helping.open_session(lease_id, "")
    one = attach(desk)
    assert [(x.account, x.server_name, x.attachment.id) for x in helping.shared()] == [
        ("ada", "", one.id)
    ]
    desk.office.detach(one.id, "detached", by=TOMAS)
    assert len(helping.shared(ta="tomas")) == 1
    assert helping.shared(ta="tilda") == []
    helping.note_unshared([one.id])
    assert helping.shared() == []
