"""What was started without the books, told afterwards: trail, slot, charge and debt."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from quota.audit import By
from quota.emergency import Emergency, EmergencyStart
from quota.emergency_books import Emergencies
from quota.errors import BadText, IdConflict, NoSuchThing
from quota.leases import Lease
from quota.observed import Observed
from tests.quota.books import NOON, Desk, lab_with

HUB = By(actor="hub")
HOUR = timedelta(hours=1)


def emergency(**changed: object) -> Emergency:
    one = Emergency(id=UUID(int=5), opened_by="olga", reason="the database is away",
                    opened_at=NOON, until=NOON + 2 * HOUR)  # fmt: skip
    return replace(one, **changed)  # type: ignore[arg-type]


def started(who: str = "ada", flavor: str = "whole", uuid: str = "GPU-0",
            at: datetime = NOON) -> EmergencyStart:  # fmt: skip
    return EmergencyStart(lease_id=uuid4(), emergency_id=UUID(int=5), account=who, server_name="",
                          flavor=flavor, gpu_uuid=uuid, started_at=at,
                          ends_at=NOON + 2 * HOUR)  # fmt: skip


def runs(desk: Desk, one: EmergencyStart, *, after_s: int = 2) -> str:
    """Let the container of a start run, as the hub's labels say it."""
    ref = f"c-{one.lease_id}"
    desk.containers[ref] = Observed(
        ref=ref, lease_id=one.lease_id, hub_id="main", account=one.account, server_name="",
        flavor=one.flavor, started_at=one.started_at + timedelta(seconds=after_s),
        finished_at=None, exit_code=None, gpu_uuid=one.gpu_uuid, emergency_until=one.ends_at,
    )  # fmt: skip
    return ref


def lease(desk: Desk, one: EmergencyStart) -> Lease:
    return desk.books.lease(one.lease_id).lease


def tell(desk: Desk, *starts: EmergencyStart) -> Emergencies:
    told = Emergencies(desk.books)
    told.note(emergency(), by=HUB)
    for one in starts:
        told.note_start(one, by=HUB)
    return told


# -- the worker comes first --------------------------------------------------------------------


def test_a_session_of_an_emergency_is_adopted_with_its_gpu_and_charged_from_its_start(
    desk: Desk,
) -> None:
    one = started(flavor="quarter")
    runs(desk, one)
    desk.clock.set(NOON + HOUR)
    assert not desk.tick().stops
    found = lease(desk, one)
    assert (found.state, found.gpu_uuid, found.share_mgpu) == ("active", "GPU-0", 250)
    assert found.started_at == NOON + timedelta(seconds=2)
    assert desk.books.load().gpus[0].used_mgpu == 250
    desk.go(minutes=1)
    charged = desk.books.account("ada").charged
    assert charged.mgpu_ms == 250 * (3600 + 60 - 2) * 1000
    tell(desk, one)
    desk.go(minutes=1)
    assert lease(desk, one).state == "active", "telling it changes nothing any more"
    assert desk.books.load().gpus[0].used_mgpu == 250


def test_it_may_leave_its_account_in_debt_which_is_shown(desk: Desk) -> None:
    one = started("emeka")
    runs(desk, one)
    desk.clock.set(NOON + 1.5 * HOUR)
    desk.go(minutes=2)
    account = desk.books.account("emeka")
    assert account.debt.mgpu_ms >= 1000 * 1800 * 1000 - 2_000_000, "half an hour more than it had"
    assert lease(desk, one).end_reason == "exhausted"
    assert not desk.containers


def test_p26_a_gpu_session_that_no_emergency_let_start_is_stopped_as_ever(desk: Desk) -> None:
    one = started()
    ref = runs(desk, one)
    desk.containers[ref] = replace(desk.containers[ref], gpu_uuid="", emergency_until=None)
    assert [order.reason for order in desk.tick().stops] == ["orphan"]


def test_what_has_ended_before_the_books_were_back_is_charged_for_what_it_ran(desk: Desk) -> None:
    one = started()
    ref = runs(desk, one, after_s=0)
    desk.clock.advance(timedelta(minutes=30))
    desk.finish(ref)
    desk.clock.advance(timedelta(minutes=30))
    assert not desk.tick().stops
    assert desk.books.account("ada").charged.hours_text() == "0.50"
    assert lease(desk, one).end_reason == "server_gone"


def test_two_sessions_never_share_beyond_a_gpu_whoever_promised_it(desk: Desk) -> None:
    desk.run("blaise", "whole")
    desk.run("chen", "whole")
    one = started()
    runs(desk, one)
    (order,) = desk.tick().stops
    assert (order.reason, order.account) == ("displaced", "ada")
    assert [gpu.used_mgpu for gpu in desk.books.load().gpus] == [1000, 1000]


# -- the hub comes first --------------------------------------------------------------------------


def test_what_is_told_has_its_place_before_anybody_else_gets_it(desk: Desk) -> None:
    one, two = started(), started("blaise", uuid="GPU-1")
    tell(desk, one, two)
    assert desk.ask("chen").lease.state == "waiting", "both GPUs are taken"
    runs(desk, one)
    runs(desk, two)
    desk.go(minutes=1)
    assert [lease(desk, each).state for each in (one, two)] == ["active", "active"]
    assert lease(desk, one).started_at == NOON + timedelta(seconds=2)


def test_a_start_that_failed_gives_its_place_back(desk: Desk) -> None:
    one = started()
    tell(desk, one)
    desk.go(minutes=11)
    assert lease(desk, one).end_reason == "never_started"
    assert desk.books.load().gpus[0].used_mgpu == 0
    assert desk.balance() == "10.00"


def test_another_session_of_the_same_server_keeps_its_own_lease(desk: Desk) -> None:
    old, ref = desk.run("ada", "quarter")
    desk.finish(ref)
    desk.clock.advance(timedelta(minutes=1))
    one = started(uuid="GPU-1", at=desk.clock.now())
    tell(desk, one)
    runs(desk, one)
    desk.go(minutes=1)
    assert desk.books.lease(old).lease.state == "ended"
    assert lease(desk, one).state == "active"


def test_a_flavor_that_is_gone_or_a_full_gpu_leaves_it_to_the_worker(desk: Desk) -> None:
    desk.run("blaise", "whole")
    told = tell(desk, started(uuid="GPU-0"), started("chen", "old"), started("dina", uuid="GPU-9"))
    assert [row.starts for row in told.newest()] == [3]
    assert desk.books.account("ada").sessions == ()


# -- the trail ------------------------------------------------------------------------------------


def trail(desk: Desk) -> list[tuple[str, str, str, str]]:
    return [(one.actor, one.action, one.subject, one.reason) for one in desk.office.trail()]


def test_everything_is_on_the_trail_once(desk: Desk) -> None:
    why = "the database is away"
    one = started()
    for _ in range(3):
        told = tell(desk, one)
    closed = emergency(closed_by="oona", closed_at=NOON + HOUR)
    for _ in range(2):
        told.note(closed, by=HUB)
        told.note(emergency(), by=HUB)  # late, and it does not open it again
    assert trail(desk) == [
        ("olga", "emergency.open", "emergency", why),
        ("ada", "emergency.start", "ada", why),
        ("oona", "emergency.close", "emergency", why),
    ]
    assert [row.one for row in told.newest()] == [closed]


def test_one_that_was_closed_before_it_could_be_told(desk: Desk) -> None:
    closed = emergency(closed_by="olga", closed_at=NOON + HOUR)
    Emergencies(desk.books).note(closed, by=HUB)
    assert [line[1] for line in trail(desk)] == ["emergency.open", "emergency.close"]


def test_metrics_and_pages_hear_of_it(desk: Desk) -> None:
    told = Emergencies(desk.books)
    assert told.open_now() is None
    assert not desk.books.load().emergency_is_open
    tell(desk, started())
    row = told.open_now()
    assert row is not None
    assert row.starts == 1
    load = desk.books.load()
    assert (load.emergency_is_open, load.emergency_starts) == (True, 1)
    desk.clock.set(NOON + 2 * HOUR)
    assert told.open_now() is None
    assert not desk.books.load().emergency_is_open


def test_nothing_else_passes_under_the_same_id(desk: Desk) -> None:
    one = started()
    told = tell(desk, one)
    with pytest.raises(IdConflict):
        told.note(emergency(reason="another"), by=HUB)
    with pytest.raises(IdConflict):
        told.note_start(replace(one, gpu_uuid="GPU-1"), by=HUB)
    with pytest.raises(NoSuchThing):
        told.note_start(replace(started(), emergency_id=uuid4()), by=HUB)


@pytest.mark.parametrize(
    "changed",
    [{"until": NOON + 4 * HOUR + timedelta(seconds=1)}, {"until": NOON}, {"reason": "a\nb"}],
)
def test_the_books_take_no_note_of_an_emergency_that_may_not_be(
    desk: Desk, changed: dict[str, object]
) -> None:
    with pytest.raises(BadText):
        Emergencies(desk.books).note(emergency(**changed), by=HUB)


def test_the_hub_hears_who_is_on_which_gpu_and_which_are_drained(desk: Desk) -> None:
    lease_id, ref = desk.run("ada", "quarter")
    desk.follow(lab_with("\ndrained_gpus: {GPU-1: {why: its fan}}\n"))
    gpus, on = Emergencies(desk.books).gpus()
    assert [(gpu.uuid, gpu.in_service) for gpu in gpus] == [("GPU-0", True), ("GPU-1", False)]
    assert on == [("ada", desk.books.lease(lease_id).lease)]
    assert (on[0][1].ref, on[0][1].gpu_uuid) == (ref, "GPU-0")
