"""Starting on a CPU while one waits: the place is kept, and the waiting start ends by itself."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from hub.client import ServiceUnavailable
from hub.home import Books, home_view
from hub.meanwhile import Meanwhile
from hub.refusals import Refused
from hub.replies import Lease
from hub.spawn_page import online_page
from quota.leases import KEPT_PLACE
from tests.hub.doubles import (
    FIRST,
    FakeSpawner,
    FixedLab,
    ScriptedService,
    Stopwatch,
    admission,
    lease,
    refusal,
    run,
)
from tests.hub.shown import LEASE, account, flavor, notice, options, session
from tests.quota.books import LAB_YAML, NOON, make_lab

OPTIONS = {"flavor": "cpu", "image": "base"}


def waiting(lease_id: UUID) -> Lease:
    return lease(lease_id, "waiting", gpu=None, line=FIRST)


def wait_and_keep(service: ScriptedService, spawner: FakeSpawner) -> BaseException:
    """Let a start wait, keep its place after a while, and return how the start ended."""
    meanwhile = Meanwhile(service, FixedLab())

    async def all_of_it() -> BaseException:
        hooks = admission(service, Stopwatch())
        start = asyncio.create_task(hooks.pre_spawn(spawner))
        for _ in range(1000):
            await asyncio.sleep(0)
            if len(service.asked) >= 3:
                break
        assert (await meanwhile.keep_place(spawner))["options"] == OPTIONS
        with pytest.raises(Refused) as caught:
            await start
        await hooks.post_stop(spawner)
        await hooks.settle()
        return caught.value

    return run(all_of_it())


def test_the_waiting_start_ends_and_its_place_does_not() -> None:
    service, spawner = ScriptedService([waiting]), FakeSpawner()
    error = wait_and_keep(service, spawner)
    assert "Your place in the line is kept" in str(error)
    assert service.places == [service.asked[0][0]]
    assert service.stopped == [], "the place is given up by nobody"
    assert spawner.lease_id == ""


def test_a_question_that_was_on_its_way_ends_no_place() -> None:
    service, spawner = ScriptedService([waiting, waiting, waiting]), FakeSpawner()
    service.answers.append(refusal("lease_conflict"))
    wait_and_keep(service, spawner)
    assert service.stopped == []


def test_the_next_start_is_one_like_any_other() -> None:
    service, spawner = ScriptedService([waiting]), FakeSpawner()
    wait_and_keep(service, spawner)
    spawner.flavor_name = "cpu"
    service.answers = [lambda lease_id: lease(lease_id, gpu=None)]

    async def start_and_stop() -> None:
        hooks = admission(service)
        await hooks.pre_spawn(spawner)
        mine = UUID(spawner.lease_id)
        await hooks.post_stop(spawner)
        await hooks.settle()
        assert [one[0] for one in service.stopped] == [mine]

    run(start_and_stop())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(ServiceUnavailable("x"), "do not answer"), (refusal("no_such_lease"), "Not enough")],
)
def test_what_cannot_be_kept_goes_on_waiting(error: Exception, sentence: str) -> None:
    service, spawner = ScriptedService(place_reply=error), FakeSpawner()
    spawner.lease_id = str(LEASE)
    told = run(Meanwhile(service, FixedLab()).keep_place(spawner))
    assert told["options"] is None
    assert sentence in told["message"]
    assert (spawner.lease_id, spawner.place_kept) == (str(LEASE), False)


def test_nothing_waits_or_there_is_no_cpu_to_start_on() -> None:
    service = ScriptedService()
    over = Meanwhile(service, FixedLab())
    for spawner in (None, FakeSpawner()):
        assert "does not wait" in run(over.keep_place(spawner))["message"]
    gpus_only = make_lab(LAB_YAML.replace("  cpu: {title: CPU, weight_mgpu: 0}\n", ""))
    spawner = FakeSpawner()
    spawner.lease_id = str(LEASE)
    told = run(Meanwhile(service, FixedLab(gpus_only)).keep_place(spawner))
    assert told == {"message": "This lab has no session without a GPU.", "options": None}
    assert service.places == []


# -- the home page --------------------------------------------------------------------------------


def place(turn_in_min: int | None = None) -> dict[str, object]:
    until = None if turn_in_min is None else NOON + timedelta(minutes=turn_in_min)
    return session(server_name=KEPT_PLACE, state="waiting", keeps_place=True, image="base",
                   started_at=None, ends_at=None, turn_until=until)  # fmt: skip


def test_a_kept_place_shows_and_so_does_the_turn() -> None:
    told = [notice("turn", "Your turn has come.", minutes=1)]
    before = home_view(account(sessions=[place()], notices=told), make_lab())
    assert before["notices"] == [], "a turn that is over is no news"
    shown = before["sessions"][0]
    assert "your place is kept" in shown["state"]
    assert (shown["keeps_place"], shown["turn"]) == (True, None)
    after = home_view(account(sessions=[place(9)], notices=told), make_lab())
    assert [one["text"] for one in after["notices"]] == ["Your turn has come."]
    shown = after["sessions"][0]
    assert "kept for you until Wednesday, 25 November at 07:09" in shown["state"]
    assert shown["turn"] == {"flavor": "whole", "image": "base"}


def test_the_spawn_page_names_the_place_and_suggests_the_turn() -> None:
    cpu = flavor("cpu", is_gpu=False, weight_mgpu=0)
    texts = ("You have a place", "A GPU is kept for you until Wednesday, 25 November at 07:09")
    for shown, text in zip((place(), place(9)), texts, strict=True):
        page = online_page(options(cpu, flavor(), sessions=[shown]), make_lab(), ("cpu", "base"))
        whole = page.flavors[1]
        assert whole.free.startswith(text)
        assert whole.is_chosen == (shown["turn_until"] is not None)
        assert page.flavors[0].free == ""


def test_a_place_is_left_from_the_home_page() -> None:
    service = ScriptedService(account_reply=account(sessions=[place()]))
    books = Books(service, FixedLab())
    assert run(books.leave("ada", KEPT_PLACE)) == "You have left the line."
    assert service.stopped == [(LEASE, "left_line")]
    assert "not in the line" in run(books.leave("ada", "")), "a session is not left so"
    service.stop_errors = [ServiceUnavailable("x"), refusal("no_such_lease")]
    assert "do not answer" in run(books.leave("ada", KEPT_PLACE))
    assert "Not enough" in run(books.leave("ada", KEPT_PLACE))
    assert len(service.stopped) == 1
