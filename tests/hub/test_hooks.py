"""Asking before a start and telling after a stop, with a service that answers as scripted."""

import asyncio
from uuid import UUID

import pytest
from jupyterhub.spawner import SpawnException

from hub.client import ServiceUnavailable
from hub.hooks import note_of, wait_text
from hub.refusals import Refused
from hub.replies import Gpu, Lease
from quota.lease_ids import was_made_before
from tests.hub.doubles import (
    FIRST,
    FakeSpawner,
    ScriptedService,
    Stopwatch,
    admission,
    lease,
    refusal,
    run,
)
from tests.quota.books import NOON

AWAY = ServiceUnavailable("gone")


def waiting(lease_id: UUID) -> Lease:
    return lease(lease_id, "waiting", gpu=None, line=FIRST)


def spawn(service: ScriptedService, spawner: FakeSpawner, watch: Stopwatch | None = None) -> None:
    async def all_of_it() -> None:
        hooks = admission(service, watch)
        try:
            await hooks.pre_spawn(spawner)
        finally:
            await hooks.settle()

    run(all_of_it())


def refused(service: ScriptedService, spawner: FakeSpawner) -> Refused:
    with pytest.raises(Refused) as caught:
        spawn(service, spawner)
    return caught.value


def test_admitted_sets_everything_that_a_start_needs() -> None:
    service, spawner = ScriptedService(), FakeSpawner()
    spawn(service, spawner)
    lease_id, wanted, present = service.asked[0]
    assert (wanted.account, wanted.flavor, wanted.image, present) == ("ada", "whole", "base", True)
    assert spawner.lease_id == str(lease_id)
    assert (spawner.gpu_uuid, spawner.gpu_is_virtual) == ("GPU-0", True)
    assert (spawner.cpus, spawner.ram_mib) == (1.0, 2048)
    assert service.stopped == []


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ({}, {"PYTORCH_ALLOC_CONF": "per_process_memory_fraction:0.2500"}),
        ({"holds_memory": True}, {}),  # the driver holds it: both together would count twice
        ({"virtual": True}, {}),
        ({"memory_mib": 16384}, {}),  # all of it
        ({"gpu_memory_mib": 0}, {}),  # an older service does not tell
    ],
)
def test_a_session_is_told_its_part_of_the_memory_unless_it_is_held_to_it(
    told: dict[str, object], advice: dict[str, str]
) -> None:
    plain = {"uuid": "GPU-1", "virtual": False, "memory_mib": 4096, "gpu_memory_mib": 16384}
    gpu = Gpu.model_validate(plain | told)
    spawner = FakeSpawner()
    spawn(ScriptedService([lambda lease_id: lease(lease_id, gpu=gpu)]), spawner)
    assert spawner.gpu_advice() == advice


def test_p23_the_lease_id_is_saved_before_anybody_is_asked() -> None:
    spawner = FakeSpawner()
    seen: list[tuple[str, int]] = []

    def look(lease_id: UUID) -> Lease:
        seen.append((spawner.orm_spawner.state["lease_id"], spawner.user.db.commits))
        return lease(lease_id)

    service = ScriptedService(answers=[look])
    spawn(service, spawner)
    assert seen == [(str(service.asked[0][0]), 1)]


def test_a_refusal_says_why_and_when_it_works_in_the_persons_zone() -> None:
    service = ScriptedService(answers=[refusal(retry_at=NOON, ask="Ask an organizer.")])
    spawner = FakeSpawner("emeka")
    error = refused(service, spawner)
    assert error.status_code == 429
    assert error.jupyterhub_message == (
        "Not enough GPU-hours. It will work again on Wednesday, 25 November at 13:00 "
        "(Europe/Berlin). Ask an organizer."
    )
    assert '<a href="/hub/home">' in error.jupyterhub_html_message
    assert spawner.lease_id == ""
    assert service.stopped == [], "what was refused needs no giving back"


def test_p27_without_the_service_no_gpu_starts() -> None:
    service, spawner = ScriptedService(answers=[AWAY]), FakeSpawner()
    error = refused(service, spawner)
    assert (error.status_code, error.reason) == (503, "quota_unavailable")
    lease_id = service.asked[0][0]
    assert service.stopped == [(lease_id, "spawn_failed")], "the request may have arrived"


def test_p27_without_the_service_a_cpu_session_starts() -> None:
    service, spawner = ScriptedService(answers=[AWAY]), FakeSpawner(flavor="cpu")
    spawn(service, spawner)
    assert spawner.lease_id == str(service.asked[0][0]), "the worker adopts it by this id"
    assert spawner.gpu_uuid == ""


def test_a_cpu_session_never_keeps_the_gpu_of_the_one_before() -> None:
    service = ScriptedService(answers=[lambda one: lease(one, gpu=None)])
    spawner = FakeSpawner(flavor="cpu")
    spawner.gpu_uuid, spawner.gpu_is_virtual = "GPU-7", False
    spawn(service, spawner)
    assert spawner.gpu_uuid == ""


@pytest.mark.parametrize("flavor", ["cpu", "whole"])
def test_p28_no_error_of_any_kind_counts_as_a_failure_of_the_hub(flavor: str) -> None:
    service = ScriptedService(answers=[RuntimeError("secret detail")])
    error = refused(service, FakeSpawner(flavor=flavor))
    assert isinstance(error, SpawnException)
    assert "secret" not in error.jupyterhub_message


def test_p28_a_database_that_fails_is_a_refusal_too() -> None:
    spawner = FakeSpawner()

    def fail() -> None:
        raise OSError("disk full")

    spawner.user.db.commit = fail  # type: ignore[method-assign]
    service = ScriptedService()
    assert refused(service, spawner).reason == "fault"
    assert service.asked == []


def test_waits_in_the_line_and_shows_the_place() -> None:
    notes: list[str] = []
    spawner = FakeSpawner()

    def second(lease_id: UUID) -> Lease:
        notes.append(spawner.note.message)
        return waiting(lease_id)

    service = ScriptedService(answers=[waiting, second, lease])
    spawn(service, spawner)
    assert [one[0] for one in service.asked] == [service.asked[0][0]] * 3
    assert notes == [
        "You are number 1 of 2 in the line. All GPUs are taken. It may take about 5 minutes."
    ]
    assert spawner.gpu_uuid == "GPU-0"


def test_a_place_in_the_line_outlives_a_restart_of_the_service() -> None:
    service = ScriptedService(answers=[waiting, AWAY, AWAY, waiting, lease])
    spawner = FakeSpawner()
    spawn(service, spawner)
    assert spawner.gpu_uuid == "GPU-0"


def test_a_service_that_stays_away_ends_the_wait() -> None:
    service, watch = ScriptedService(answers=[waiting, AWAY]), Stopwatch()
    with pytest.raises(Refused) as caught:
        spawn(service, FakeSpawner(), watch)
    assert caught.value.reason == "quota_unavailable"
    assert 60 < watch.now_s - 1000 < 120
    assert service.stopped[0][1] == "spawn_failed"


def test_a_lease_that_ends_in_the_line_says_why() -> None:
    over = "The turn came, but nobody was there."
    service = ScriptedService(
        answers=[waiting, lambda one: lease(one, "ended", gpu=None, end_text=over)]
    )
    assert refused(service, FakeSpawner()).jupyterhub_message.startswith(over)


def test_stop_leaves_the_line() -> None:
    in_line = asyncio.Event()

    def third(lease_id: UUID) -> Lease:
        in_line.set()
        return waiting(lease_id)

    service = ScriptedService(answers=[waiting, waiting, third])
    spawner = FakeSpawner()

    async def stop_after_a_while() -> None:
        hooks = admission(service)
        start = asyncio.create_task(hooks.pre_spawn(spawner))
        await asyncio.wait_for(in_line.wait(), 5)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        await hooks.settle()

    run(stop_after_a_while())
    assert service.stopped == [(service.asked[0][0], "left_line")]
    assert spawner.lease_id == ""


def test_nobody_watching_is_told_to_the_service() -> None:
    service = ScriptedService(answers=[waiting, waiting, lease])
    spawner = FakeSpawner()
    spawner.monotonic = iter([0.0, 10.0, 100.0]).__next__
    spawn(service, spawner)
    assert [present for _, _, present in service.asked] == [True, True, False]


def test_a_gpu_lease_without_a_gpu_starts_nothing() -> None:
    service = ScriptedService(answers=[lambda one: lease(one, gpu=None)])
    assert refused(service, FakeSpawner()).status_code == 503
    assert service.stopped[0][1] == "spawn_failed"


def test_ids_tell_which_request_came_first() -> None:
    service = ScriptedService()
    spawn(service, FakeSpawner())
    spawn(service, FakeSpawner())
    first, second = (one[0] for one in service.asked)
    assert first != second
    assert not was_made_before(second, first)


# -- after the end ------------------------------------------------------------------------------


def stop(service: ScriptedService, spawner: FakeSpawner, watch: Stopwatch | None = None) -> None:
    async def all_of_it() -> None:
        hooks = admission(service, watch)
        await hooks.post_stop(spawner)
        await hooks.settle()

    run(all_of_it())


def leased(service: ScriptedService) -> FakeSpawner:
    spawner = FakeSpawner()
    spawn(service, spawner)
    return spawner


def test_a_death_is_told_and_the_lease_forgotten() -> None:
    service = ScriptedService()
    spawner = leased(service)
    stop(service, spawner)
    stop(service, spawner)
    assert service.stopped == [(service.asked[0][0], "server_gone")], "told once"


def test_a_persons_stop_is_told_as_such() -> None:
    service = ScriptedService()
    spawner = leased(service)
    spawner._stop_future = object()
    stop(service, spawner)
    assert service.stopped[0][1] == "person"


def test_a_failed_start_is_told_as_such() -> None:
    service = ScriptedService()
    spawner = leased(service)

    async def while_starting() -> None:
        spawner._spawn_future = asyncio.get_running_loop().create_future()
        hooks = admission(service)
        await hooks.post_stop(spawner)
        await hooks.settle()

    run(while_starting())
    assert service.stopped[0][1] == "spawn_failed"


def test_an_end_is_told_again_until_the_service_answers() -> None:
    service = ScriptedService(stop_errors=[AWAY, AWAY, refusal("no_such_lease"), AWAY])
    spawner = leased(service)
    watch = Stopwatch()
    stop(service, spawner, watch)
    assert len(service.stopped) == 1
    assert watch.now_s - 1000 > 30


@pytest.mark.parametrize("error", [RuntimeError("bug"), refusal("lease_conflict")])
def test_telling_the_end_never_raises_and_gives_up_in_time(error: Exception) -> None:
    service = ScriptedService(stop_errors=[error] * 100)
    stop(service, leased(service))
    assert service.stopped == []


def test_a_service_that_is_gone_for_good_is_given_up() -> None:
    service, watch = ScriptedService(stop_errors=[AWAY] * 100), Stopwatch()
    stop(service, leased(service), watch)
    assert 600 < watch.now_s - 1000 < 700


# -- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_s", "text"),
    [
        (0, "It should be less than a minute."),
        (59, "It should be less than a minute."),
        (60, "It may take about 1 minute."),
        (61, "It may take about 2 minutes."),
        (89 * 60, "It may take about 89 minutes."),
        (90 * 60, "It may take about 2 hours."),
    ],
)
def test_a_wait_in_words(wait_s: int, text: str) -> None:
    assert wait_text(wait_s) == text


def test_an_unknown_wait_is_not_guessed() -> None:
    line = FIRST.model_copy(update={"estimated_wait_s": None})
    assert note_of(line).message == "You are number 1 of 2 in the line. All GPUs are taken."
