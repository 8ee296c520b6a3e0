"""GPUs that are kept for a section in its co-working hours, and who may use them when."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from quota.lab import Lab
from quota.lab_file import LabFileError, parse_lab
from quota.reserving import is_kept_from, keeping, meeting_now
from tests.quota.books import LAB_YAML, NOON, Desk, gpu, make_lab

HOURS = 'co_working: [{day: wednesday, starts: "14:00", ends: "16:00"}]'


def lab_of(berlin: str = f"reserved_gpus: 1, {HOURS}", utc: str = "") -> Lab:
    """Berlin's hours are 13:00 to 15:00 UTC; NOON is a Wednesday."""
    text = LAB_YAML.replace("hours_per_week: 1}", f"hours_per_week: 10, {berlin}}}")
    return make_lab(text.replace("tas: [tomas]}", f"tas: [tomas], {utc}}}" if utc else
                                 "tas: [tomas]}"))  # fmt: skip


@pytest.fixture
def reserved(engine: Engine) -> Desk:
    return Desk(engine, lab=lab_of())


def at(text: str) -> datetime:
    return NOON.replace(hour=int(text[:2]), minute=int(text[3:]))


def test_the_first_gpus_are_kept_week_after_week_and_windows_do_not_share_them() -> None:
    gpus = [gpu(f"GPU-{number}") for number in range(4)]
    utc = 'reserved_gpus: 2, co_working: [{day: wednesday, starts: "14:30", ends: "17:00"}]'
    lab = lab_of(utc=utc)
    for week in range(3):
        found = keeping(lab, gpus, NOON + timedelta(days=7 * week))
        first = {uuid: times[0].section for uuid, times in found.items()}
        assert first == {"GPU-0": "berlin", "GPU-1": "utc", "GPU-2": "utc"}
    # When the one is over the other keeps what it has.
    later = keeping(lab, gpus, at("15:30"))
    assert [later[f"GPU-{n}"][0].section for n in range(3)] == ["berlin", "utc", "utc"]
    assert later["GPU-0"][0].starts_at == at("13:00") + timedelta(days=7)
    assert keeping(lab, gpus[:1], NOON)["GPU-0"][0].section == "berlin"
    assert keeping(make_lab(), gpus, NOON) == {}
    assert (meeting_now(lab, at("12:59")), meeting_now(lab, at("14:45"))) == (
        frozenset(), frozenset({"berlin", "utc"}))  # fmt: skip


def test_others_run_on_it_until_then_and_are_told(reserved: Desk) -> None:
    reserved.run("blaise")
    view = reserved.ask("ada")
    assert view.gpu is not None
    assert (view.gpu.uuid, view.lease.yields_at) == ("GPU-0", at("13:00"))
    told = reserved.books.account("ada").notices
    assert "13:00 (UTC)" in told[0].text
    reserved.start(view)
    reserved.tick()
    assert [one.ends_at for one in reserved.books.account("ada").sessions] == [at("13:00")]
    reserved.go(minutes=60, every_s=60)
    texts = [one.text for one in reserved.books.account("ada").notices]
    assert any("co-working hours in 15 minutes" in text for text in texts), texts
    reserved.go(seconds=15)
    lease = reserved.books.lease(view.lease.id)
    assert (lease.lease.end_reason, lease.lease.ended_at) == ("reserved", at("13:00"))
    assert lease.end_text is not None
    assert "reserved" in lease.end_text
    charged = reserved.books.account("ada").charged
    assert charged.hours_text() == "1.00"
    # Who was first stays on the other, and the section gets its own.
    theirs = reserved.ask("emeka").gpu
    assert theirs is not None
    assert theirs.uuid == "GPU-0"
    reserved.check()


def test_a_gpu_that_is_kept_for_nobody_is_taken_first(reserved: Desk) -> None:
    view = reserved.ask("ada", "quarter")
    assert view.gpu is not None
    assert (view.gpu.uuid, view.lease.yields_at) == ("GPU-1", None)


def test_shortly_before_and_in_the_hours_others_wait_and_know_why(reserved: Desk) -> None:
    reserved.clock.set(at("12:20"))
    reserved.run("blaise")
    # Half an hour is worth starting; less is not.
    reserved.clock.set(at("12:31"))
    for minute in ("12:31", "13:00", "14:59"):
        reserved.clock.set(at(minute))
        reserved.tick()
        view = reserved.ask("ada")
        assert view.lease.state == "waiting", minute
        assert view.line is not None
        assert view.line.reason == "reserved"
        assert "co-working hours of berlin, Wednesday 13:00 to 15:00 (UTC)" in view.line.text
        flavors = {one.flavor.name: one for one in reserved.books.spawn_options("ada").flavors}
        assert (flavors["whole"].free_slots, flavors["whole"].total_slots) == (0, 2)
        free = {one.flavor.name: one.free_slots
                for one in reserved.books.spawn_options("emeka").flavors}  # fmt: skip
        assert free["whole"] == 1
        reserved.books.stop_lease(view.lease.id, "person")
    reserved.clock.set(at("15:00"))
    reserved.tick()
    assert reserved.ask("ada").lease.state == "held"
    reserved.check()


def test_the_section_itself_starts_before_and_runs_on(reserved: Desk) -> None:
    reserved.run("blaise")
    lease_id, _ = reserved.run("emeka")
    assert reserved.books.lease(lease_id).lease.yields_at is None
    reserved.go(minutes=90, every_s=300)
    assert reserved.books.lease(lease_id).lease.state == "active"


def test_in_its_hours_the_section_comes_first_and_takes_its_own_gpu(reserved: Desk) -> None:
    reserved.clock.set(at("13:10"))
    view = reserved.ask("emeka", "quarter")
    assert view.gpu is not None
    assert view.gpu.uuid == "GPU-0"
    assert reserved.ask("ada", "quarter").gpu != view.gpu


def test_hours_that_are_taken_back_end_no_session(reserved: Desk) -> None:
    reserved.run("blaise")
    lease_id, _ = reserved.run("ada")
    assert is_kept_from(reserved.books.lab, at("13:00"))
    reserved.follow(lab_of(berlin=HOURS))
    assert not is_kept_from(reserved.books.lab, at("13:00"))
    reserved.go(minutes=70, every_s=60)
    assert reserved.books.lease(lease_id).lease.state == "active"


def test_reserved_gpus_need_hours() -> None:
    with pytest.raises(LabFileError, match="co_working"):
        parse_lab(LAB_YAML.replace("hours_per_week: 1}", "reserved_gpus: 1}"), "lab.yaml")
