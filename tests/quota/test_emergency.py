"""GPU sessions without the books: who may start one, where and until when."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from quota.emergency import (
    BadOpening,
    Emergency,
    EmergencyStart,
    Placed,
    Taken,
    ends_at,
    opened,
    place,
    refusal_of,
)
from quota.emergency_times import end_of_start
from quota.placement import Ask
from tests.quota.books import NOON, PROGRAM, gpu, lab_with, make_lab

LAB = make_lab()
WHOLE, QUARTER = LAB.flavors["whole"], LAB.flavors["quarter"]
GPUS = (gpu("GPU-0"), gpu("GPU-1"))
HOUR = timedelta(hours=1)


def an_emergency(hours: str = "2") -> Emergency:
    return opened(uuid4(), hours, "the database is away", by="olga", now=NOON)


def taken(who: str, uuid: str, share: int = 250, mib: int = 4096) -> Taken:
    return Taken(account=who, gpu_uuid=uuid, ask=Ask(share, mib))


def placed(flavor: str, *on: Taken, who: str = "dina", until: datetime = NOON + HOUR) -> object:
    return place(LAB.flavors[flavor], who, GPUS, on, until=until, lab=LAB, now=NOON)


# -- opening --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "minutes"), [("4", 240), ("0.25", 15), (" 1,5 ", 90)])
def test_an_emergency_lasts_as_long_as_was_written(hours: str, minutes: int) -> None:
    one = an_emergency(hours)
    assert one.until - one.opened_at == timedelta(minutes=minutes)
    assert one.is_open(NOON)
    assert not one.is_open(one.until)
    assert not one.is_open(NOON - timedelta(milliseconds=1)), "a clock that was set back"
    assert not replace(one, closed_by="olga", closed_at=NOON + HOUR).is_open(NOON + HOUR)


@pytest.mark.parametrize(
    "hours", ["", "0", "0.2", "4.01", "5", "99", "-1", "nan", "1e0", "1:30", "\u0661", "9" * 400]
)
def test_no_emergency_lasts_longer_than_four_hours_or_no_time_at_all(hours: str) -> None:
    with pytest.raises(BadOpening) as caught:
        an_emergency(hours)
    assert caught.value.faults == {"hours": "Write hours from 0.25 to 4, like 1.5."}


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501, "turned \u202e round"])
def test_an_emergency_has_a_reason_that_everybody_can_read(reason: str) -> None:
    with pytest.raises(BadOpening) as caught:
        opened(uuid4(), "1", reason, by="olga", now=NOON)
    assert list(caught.value.faults) == ["reason"]


# -- who ------------------------------------------------------------------------------------------


def test_the_rules_that_need_no_books_hold() -> None:
    assert refusal_of(LAB, "ada", NOON) is None
    assert "roster" in str(refusal_of(LAB, "mallory", NOON))
    when = "starts: 2026-11-25 11:00, ends: 2026-11-25 13:00"
    night = f"\nblackouts:\n  night: {{title: The night, {when}}}\n"
    assert "The night" in str(refusal_of(lab_with(night), "ada", NOON))
    later = lab_with(PROGRAM.replace("2026-11-23", "2026-11-30"))
    assert "No week" in str(refusal_of(later, "ada", NOON))


# -- until when -----------------------------------------------------------------------------------


def begun(emergency_id: UUID, at: datetime, who: str = "ada") -> EmergencyStart:
    return EmergencyStart(lease_id=uuid4(), emergency_id=emergency_id, account=who, server_name="",
                          flavor="whole", gpu_uuid="GPU-0", started_at=at,
                          ends_at=at + HOUR)  # fmt: skip


def test_p29_a_session_ends_with_the_emergency_or_at_the_horizon_of_an_outage() -> None:
    short, long = an_emergency("1"), an_emergency("4")
    assert ends_at(short, [], "ada", LAB, NOON) == NOON + HOUR
    assert ends_at(long, [], "ada", LAB, NOON) == NOON + 2 * HOUR


def test_p29_starting_again_gives_no_more_time() -> None:
    one = an_emergency("4")
    starts = [begun(one.id, NOON), begun(one.id, NOON + HOUR)]
    later = NOON + 1.5 * HOUR
    assert ends_at(one, starts, "ada", LAB, later) == NOON + 2 * HOUR
    assert ends_at(one, starts, "blaise", LAB, later) == later + 2 * HOUR, "each their own"
    assert ends_at(one, [begun(uuid4(), NOON)], "ada", LAB, later) == later + 2 * HOUR, "another"


@pytest.mark.parametrize(
    ("text", "end"),
    [("2026-11-25T13:00:00+00:00", NOON + HOUR), ("2026-11-25T13:00:00", NOON),
     ("2027-01-01T00:00:00+00:00", NOON + 4 * HOUR), ("tomorrow", NOON), ("", None)],
)  # fmt: skip
def test_p29_what_a_session_says_of_its_end_never_lets_it_run_on(
    text: str, end: datetime | None
) -> None:
    assert end_of_start(text, NOON) == end


# -- where ----------------------------------------------------------------------------------------


def test_it_goes_where_there_is_room() -> None:
    found = placed("whole", taken("ada", "GPU-0"))
    assert isinstance(found, Placed)
    assert (found.gpu.uuid, found.ends_at) == ("GPU-1", NOON + HOUR)


def test_sessions_never_share_beyond_their_shares() -> None:
    on = [taken(f"s-{number}", "GPU-0") for number in range(4)]
    on += [taken(f"t-{number}", "GPU-1") for number in range(3)]
    found = placed("quarter", *on)
    assert isinstance(found, Placed)
    assert found.gpu.uuid == "GPU-1"
    assert "taken" in str(placed("quarter", *on, taken("last", "GPU-1")))
    assert "taken" in str(placed("whole", taken("ada", "GPU-0"), taken("blaise", "GPU-1")))


def test_what_is_on_a_gpu_that_is_gone_takes_nothing_from_the_others() -> None:
    assert isinstance(placed("whole", taken("ada", "GPU-7", 1000, 16384)), Placed)


def test_one_gpu_session_each() -> None:
    assert "one GPU session" in str(placed("quarter", taken("dina", "GPU-0")))


def test_no_session_that_is_over_before_it_is_of_use() -> None:
    least = timedelta(seconds=LAB.policy.minimum_start_s)
    assert "last moment" in str(placed("whole", until=NOON + least - timedelta(seconds=1)))
    assert isinstance(placed("whole", until=NOON + least), Placed)


def test_a_gpu_out_of_service_takes_nobody_and_without_gpus_nothing_starts() -> None:
    off = tuple(replace(one, in_service=False) for one in GPUS)
    how = {"until": NOON + HOUR, "lab": LAB, "now": NOON}
    assert "taken" in str(place(WHOLE, "ada", off, (), **how))  # type: ignore[arg-type]
    assert "does not know" in str(place(QUARTER, "ada", (), (), **how))  # type: ignore[arg-type]
