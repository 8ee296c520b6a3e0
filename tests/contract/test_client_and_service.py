"""The hub's real client against the real service on real books: every state, every refusal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import Engine

from api.app import create_app
from api.problems import STATUS as SERVICE_STATUS
from hub.client import ServiceClient, ServiceRefused, ServiceUnavailable
from hub.refusals import STATUS as HUB_STATUS
from hub.refusals import Reader, refused
from quota.audit import By
from quota.lease_ids import make_lease_id
from quota.leases import LeaseRequest
from tests.api.desk import ADMISSION_SECRET, settings_on
from tests.api.hub import FakeHub
from tests.quota.books import LAB_YAML, Desk

READER = Reader(time_zone="UTC", home_url="/hub/home")


@dataclass
class Both:
    """The client, and the books behind the service."""

    client: ServiceClient
    desk: Desk

    async def ask(self, who: str = "ada", flavor: str = "whole", *, image: str = "base",
                  lease_id: UUID | None = None, server: str = "",
                  present: bool = True) -> Any:  # fmt: skip
        wanted = LeaseRequest(hub_id="main", account=who, server_name=server, flavor=flavor,
                              image=image)  # fmt: skip
        return await self.client.request_lease(lease_id or uuid4(), wanted, present=present)

    async def run(self, who: str = "ada", flavor: str = "whole") -> UUID:
        lease = await self.ask(who, flavor)
        self.desk.start(self.desk.books.lease(lease.id))
        self.desk.tick()
        return UUID(str(lease.id))


Story = Callable[[Both], Awaitable[Any]]
Play = Callable[[Story], None]


@pytest.fixture
def play(engine: Engine, tmp_path: Path) -> Play:
    """Run a story with client and service in one loop; the books are checked at its end."""

    @asynccontextmanager
    async def opened(secret: str, hub_id: str) -> AsyncIterator[Both]:
        desk = Desk(engine)
        app = create_app(settings_on(engine, tmp_path), desk.clock, FakeHub().client())
        http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://service",
            headers={"Authorization": f"token {secret}"},
        )  # fmt: skip
        async with app.router.lifespan_context(app):
            client = ServiceClient(http, hub_id=hub_id)
            try:
                yield Both(client, desk)
            finally:
                await client.aclose()
        desk.check()

    def play(story: Story, *, secret: str = ADMISSION_SECRET, hub_id: str = "main") -> None:
        async def all_of_it() -> None:
            async with opened(secret, hub_id) as both:
                await story(both)

        asyncio.run(all_of_it())

    return play


def test_held_active_stopping_ended(play: Play) -> None:
    async def story(both: Both) -> None:
        held = await both.ask()
        assert (held.state, held.gpu.virtual) == ("held", True)
        assert (await both.ask(lease_id=held.id)).state == "held", "asking again changes nothing"
        ref = both.desk.start(both.desk.books.lease(held.id))
        both.desk.tick()
        assert (await both.ask(lease_id=held.id)).state == "active"
        await both.client.stop_lease(held.id, "person")
        await both.client.stop_lease(held.id, "server_gone")
        assert (await both.ask(lease_id=held.id)).state == "stopping"
        both.desk.finish(ref)
        both.desk.tick()
        over = await both.ask(lease_id=held.id)
        assert (over.state, over.end_reason, over.gpu) == ("ended", "person", None)
        assert over.end_text

    play(story)


def test_waiting_with_a_place(play: Play) -> None:
    async def story(both: Both) -> None:
        await both.run("ada")
        await both.run("blaise")
        waits = await both.ask("chen")
        assert (waits.state, waits.gpu) == ("waiting", None)
        assert (waits.waiting.position, waits.waiting.of) == (1, 1)
        assert waits.waiting.text
        await both.client.stop_lease(waits.id, "left_line")
        assert (await both.ask("chen", lease_id=waits.id)).end_reason == "left_line"

    play(story)


def test_a_turn_that_comes_while_nobody_is_there_is_offered(play: Play) -> None:
    async def story(both: Both) -> None:
        lease = await both.ask(present=False)
        assert (lease.state, lease.waiting.offered) == ("waiting", True)
        assert (await both.ask(lease_id=lease.id)).state == "held"

    play(story)


def test_a_place_is_kept_while_its_holder_works_on_a_cpu(play: Play) -> None:
    async def story(both: Both) -> None:
        await both.run("ada")
        await both.run("blaise")
        place = await both.ask("chen")
        for _again in range(2):
            assert (await both.client.keep_place(place.id)).state == "waiting"
        await both.run("chen", "cpu")
        (cpu, kept) = sorted((await both.client.account("chen")).sessions,
                             key=lambda one: one.keeps_place)  # fmt: skip
        assert (cpu.server_name, cpu.state, cpu.keeps_place) == ("", "active", False)
        assert (kept.image, kept.state, kept.turn_until) == ("base", "waiting", None)
        both.desk.finish(next(iter(both.desk.containers)))
        both.desk.tick()
        both.desk.books.ask_for_kept_places()
        (turn,) = (one for one in (await both.client.account("chen")).sessions if one.keeps_place)
        assert turn.turn_until == both.desk.clock.now() + timedelta(minutes=10)
        with pytest.raises(ServiceRefused) as refused:
            await both.client.keep_place(cpu.lease_id)
        assert refused.value.code == "no_such_lease"

    play(story)


def test_a_session_without_a_gpu(play: Play) -> None:
    async def story(both: Both) -> None:
        lease = await both.ask("nobody-knows-me", "cpu")
        assert (lease.state, lease.gpu) == ("held", None)

    play(story)


def test_pages_get_what_they_show(play: Play) -> None:
    async def story(both: Both) -> None:
        await both.run("ada")
        both.desk.go(minutes=10)
        account = await both.client.account("ada")
        assert account.balance_hours == "9.83"
        assert [(one.flavor, one.state) for one in account.sessions] == [("whole", "active")]
        options = await both.client.spawn_options("blaise")
        cards = {one.name: (one.free_slots, one.total_slots) for one in options.flavors}
        assert cards == {"cpu": (0, 0), "quarter": (4, 8), "whole": (1, 2)}
        assert all(one.may_start for one in options.flavors)

    play(story)


def test_a_session_hears_who_visits_it(play: Play) -> None:
    async def story(both: Both) -> None:
        lease_id = await both.run("ada")
        assert (await both.client.visits(lease_id, "")).visits == []
        both.desk.office.attach(uuid4(), "ada", server_name="", mode="observe", minutes=5,
                                by=By(actor="tomas"), reason="x", has_own_host=True)  # fmt: skip
        (visit,) = (await both.client.visits(lease_id, "")).visits
        assert (visit.ta, visit.mode) == ("tomas", "observe")
        with pytest.raises(ServiceRefused, match="no_such_lease"):
            await both.client.visits(uuid4(), "")

    play(story)


def test_warnings_and_the_stop_reach_the_page(play: Play) -> None:
    async def story(both: Both) -> None:
        lease_id = await both.run("emeka")
        both.desk.go(minutes=65)
        kinds = {one.kind for one in (await both.client.account("emeka")).notices}
        assert kinds == {"warning", "stopped"}
        over = await both.client.request_lease(
            lease_id, LeaseRequest(hub_id="main", account="emeka", server_name="",
                                   flavor="whole", image="base"))  # fmt: skip
        assert over.end_reason == "exhausted"

    play(story)


# -- refusals ---------------------------------------------------------------------------------


def test_the_hub_maps_every_refusal_of_the_service() -> None:
    assert set(HUB_STATUS) == {kind.code for kind in SERVICE_STATUS}


async def _short_of_hours(both: Both) -> None:
    await both.run("emeka")
    both.desk.go(minutes=65)
    await both.ask("emeka")


async def _twice(both: Both) -> None:
    await both.run("ada")
    await both.ask("ada", "quarter", server="second")


async def _used_id(both: Both) -> None:
    lease = await both.ask("ada", "quarter")
    await both.ask("ada", "whole", lease_id=lease.id)


async def _late(both: Both) -> None:
    stuck = make_lease_id(both.desk.clock.now())
    both.desk.clock.advance(timedelta(seconds=1))
    await both.ask("ada", "cpu", lease_id=make_lease_id(both.desk.clock.now()))
    await both.ask("ada", "whole", lease_id=stuck)


REFUSALS: dict[str, Story] = {
    "insufficient_balance": _short_of_hours,
    "not_on_roster": lambda both: both.ask("stranger"),
    "too_many_sessions": _twice,
    "lease_conflict": _used_id,
    "already_running": _late,
    "no_such_flavor": lambda both: both.ask(flavor="tpu"),
    "no_such_image": lambda both: both.ask(image="evil"),
    "no_such_lease": lambda both: both.client.stop_lease(uuid4(), "person"),
    "no_such_account": lambda both: both.client.account("stranger"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_arrives_as_one(play: Play, code: str) -> None:
    async def story(both: Both) -> None:
        with pytest.raises(ServiceRefused) as caught:
            await REFUSALS[code](both)
        no = caught.value
        assert no.code == code
        shown = refused(no.code, no.detail, reader=READER, retry_at=no.retry_at, ask=no.ask)
        assert 400 <= shown.status_code < 500
        assert no.detail in shown.jupyterhub_message

    play(story)


def test_a_refusal_for_want_of_hours_says_when_it_works_again(play: Play) -> None:
    async def story(both: Both) -> None:
        with pytest.raises(ServiceRefused) as caught:
            await _short_of_hours(both)
        shown = refused("insufficient_balance", caught.value.detail, reader=READER,
                        retry_at=caught.value.retry_at)  # fmt: skip
        assert "Sunday, 29 November at 23:00 (UTC)" in shown.jupyterhub_message

    play(story)


def test_outside_the_program(play: Play, tmp_path: Path) -> None:
    over = "program: {starts_on: 2026-01-05, weeks: [{topic: Past}]}\n"
    (tmp_path / "lab.yaml").write_text(LAB_YAML + over)

    async def story(both: Both) -> None:
        with pytest.raises(ServiceRefused, match="outside_program"):
            await both.ask()

    play(story)


def test_a_gpu_that_nobody_has(play: Play, tmp_path: Path) -> None:
    huge = LAB_YAML.replace("memory_mib: 16384}\nimages", "memory_mib: 99999}\nimages")
    huge = huge.replace("memory_mib: 16384, count: 2", "memory_mib: 99999, count: 2")
    (tmp_path / "lab.yaml").write_text(huge)

    async def story(both: Both) -> None:
        with pytest.raises(ServiceRefused, match="flavor_cannot_be_placed"):
            await both.ask()

    play(story)


# -- faults between the two -------------------------------------------------------------------


def test_a_wrong_secret_is_a_service_that_cannot_be_used(play: Any) -> None:
    async def story(both: Both) -> None:
        with pytest.raises(ServiceUnavailable, match="401"):
            await both.ask()

    play(story, secret="wrong")


def test_another_hubs_books_are_not_ours(play: Any) -> None:
    async def story(both: Both) -> None:
        with pytest.raises(ServiceUnavailable, match="no_such_hub"):
            await both.client.account("ada")

    play(story, hub_id="other")
