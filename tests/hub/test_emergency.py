"""Emergency mode at the hub: the switch, a start without the books, and the way back into them."""

import asyncio
import stat
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from hub.attentive import Unseen
from hub.client import ServiceUnavailable
from hub.emergency import EmergencyMode
from hub.emergency_page import Banner, own_end_text
from hub.gpu_room import Trace
from hub.home import Books
from hub.refusals import Refused
from hub.replies import Gpus
from hub.spawn_page import OptionsForm
from quota.clock import ManualClock
from quota.emergency import BadOpening, Emergency, EmergencyStart
from tests.hub.doubles import (
    FakeSpawner,
    FixedLab,
    ScriptedService,
    User,
    admission,
    lease,
    refusal,
    run,
)
from tests.quota.books import NOON, make_lab

AWAY = ServiceUnavailable("gone")
WHY = "the database is away"


def gpus(*occupied: dict[str, Any], count: int = 2) -> Gpus:
    known = [{"uuid": f"GPU-{number}", "name": "Virtual GPU", "kind": "virtual",
              "memory_mib": 16384, "in_service": True, "sharing": "plain",
              "holds_memory": False} for number in range(count)]  # fmt: skip
    return Gpus.model_validate({"gpus": known, "occupied": list(occupied)})


def on(who: str, uuid: str = "GPU-0", *, lease_id: UUID | None = None, ref: str = "c-1",
       is_starting: bool = False) -> dict[str, Any]:  # fmt: skip
    return {"lease_id": lease_id or uuid4(), "account": who, "gpu_uuid": uuid, "ref": ref,
            "share_mgpu": 1000, "memory_mib": 16384, "is_starting": is_starting}  # fmt: skip


@dataclass
class TellingService:
    """Takes note of what it is told, unless it is away or refuses."""

    room: Gpus = field(default_factory=gpus)
    is_away: bool = False
    refuses: bool = False
    told: list[Emergency | EmergencyStart] = field(default_factory=list)
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def gpus(self) -> Gpus:
        self._answer()
        self.seen.set()
        return self.room

    async def tell_emergency(self, one: Emergency) -> None:
        self._answer()
        self.told.append(one)

    async def tell_emergency_start(self, one: EmergencyStart) -> None:
        self._answer()
        self.told.append(one)

    def _answer(self) -> None:
        if self.is_away:
            raise AWAY
        if self.refuses:
            raise refusal("id_conflict")


@dataclass
class Runtime:
    """What runs, by the lease's id or the container's name; the rest was never seen."""

    seen: dict[str, Trace] = field(default_factory=dict)
    is_silent: bool = False

    def spawner(self, name: str = "ada", flavor: str = "whole") -> FakeSpawner:
        made: Any = FakeSpawner(name, flavor)
        made.trace = self.trace
        return made  # type: ignore[no-any-return]

    async def trace(self, lease_id: str, ref: str) -> Trace:
        await asyncio.sleep(0)
        if self.is_silent:
            raise Unseen("no answer")
        return self.seen.get(ref) or self.seen.get(lease_id, "nowhere")


@dataclass
class Scene:
    """A hub in an emergency, or before one."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    told: TellingService = field(default_factory=TellingService)
    books: ScriptedService = field(default_factory=lambda: ScriptedService(answers=[AWAY]))
    runtime: Runtime = field(default_factory=Runtime)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start another hub on the same folder."""
        self.mode = EmergencyMode(self.folder, self.told, FixedLab(), self.clock)

    def open(self, hours: str = "2") -> Emergency:
        run(self.mode.learn())
        self.told.is_away = True
        return self.mode.open(hours, WHY, by="olga")

    def start(self, who: str = "ada", flavor: str = "whole") -> FakeSpawner:
        """Start a session as the hub does; it runs from then on."""
        spawner = self.runtime.spawner(who, flavor)

        async def all_of_it() -> None:
            hooks = admission(self.books, emergency=self.mode)
            hooks._clock = self.clock
            try:
                await hooks.pre_spawn(spawner)
            finally:
                await hooks.settle()

        run(all_of_it())
        self.runtime.seen[spawner.lease_id] = "running"
        return spawner

    def refused(self, who: str = "ada", flavor: str = "whole") -> Refused:
        with pytest.raises(Refused) as caught:
            self.start(who, flavor)
        return caught.value


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# -- the switch -----------------------------------------------------------------------------------


def shown() -> float | None:
    return REGISTRY.get_sample_value("gpulab_hub_emergency_open")


def test_it_is_closed_until_somebody_opens_it_and_closes_by_itself(scene: Scene) -> None:
    assert (scene.mode.now_open(), shown()) == (None, 0)
    one = scene.open("1")
    assert (scene.mode.now_open(), shown()) == (one, 1)
    scene.clock.set(NOON + timedelta(hours=1))
    assert (scene.mode.now_open(), shown()) == (None, 0)


def test_it_outlives_a_restart_of_the_hub_in_a_file_that_nobody_else_can_read(
    scene: Scene,
) -> None:
    one = scene.open()
    scene.restart()
    assert scene.mode.now_open() == one
    for path in scene.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    scene.mode.close(by="oona")
    scene.restart()
    assert scene.mode.now_open() is None


@pytest.mark.parametrize("text", ["", "{", "[3]", '[{"one": {"until": "later"}}]'])
def test_a_file_that_says_nothing_opens_nothing(scene: Scene, text: str) -> None:
    scene.open()
    (scene.folder / "emergency.json").write_text(text)
    (scene.folder / "known-gpus.json").write_text(text)
    scene.restart()
    assert scene.mode.now_open() is None
    assert scene.mode.room.gpus == ()


def test_a_second_one_has_to_wait_for_the_end_of_the_first(scene: Scene) -> None:
    scene.open()
    with pytest.raises(BadOpening, match="open already"):
        scene.mode.open("1", WHY, by="oona")
    scene.mode.close(by="oona")
    assert scene.mode.open("1", WHY, by="oona").opened_by == "oona"


def test_what_cannot_be_kept_is_not_opened(scene: Scene) -> None:
    (scene.folder / "emergency.tmp").mkdir()
    with pytest.raises(OSError, match=r"."):
        scene.mode.open("1", WHY, by="olga")
    assert scene.mode.now_open() is None


# -- a start without the books --------------------------------------------------------------------


def test_p27_closed_it_is_refused_as_ever(scene: Scene) -> None:
    run(scene.mode.learn())
    assert scene.refused().reason == "quota_unavailable"


def test_open_it_starts_on_a_free_gpu_under_an_id_that_the_books_never_heard_of(
    scene: Scene,
) -> None:
    one = scene.open()
    scene.told.is_away = False  # for a moment
    spawner = scene.start()
    asked = scene.books.asked[0][0]
    assert spawner.lease_id != str(asked)
    assert scene.books.stopped == [(asked, "spawn_failed")], "it may have arrived"
    assert (spawner.gpu_uuid, spawner.gpu_is_virtual) == ("GPU-0", True)
    assert spawner.emergency_until == one.until.isoformat()
    assert spawner.admitted_title == "Whole GPU"
    assert spawner.orm_spawner.state["lease_id"] == spawner.lease_id


def test_it_does_not_hold_for_a_start_that_the_books_answer(scene: Scene) -> None:
    scene.open()
    scene.told.is_away = False
    scene.books.answers = [refusal()]
    assert scene.refused().reason == "insufficient_balance"
    scene.books.answers = [lease]
    assert scene.start().emergency_until == ""


def test_two_sessions_never_share_beyond_the_gpu(scene: Scene) -> None:
    scene.open()
    first, second = scene.start("ada"), scene.start("blaise")
    assert {first.gpu_uuid, second.gpu_uuid} == {"GPU-0", "GPU-1"}
    assert "All GPUs are taken" in str(scene.refused("chen"))
    scene.runtime.seen[first.lease_id] = "ended"
    assert scene.start("chen").gpu_uuid == first.gpu_uuid


def test_of_two_at_the_same_moment_one_gets_the_last_gpu(scene: Scene) -> None:
    scene.told.room = gpus(count=1)
    scene.open()
    hooks = admission(scene.books, emergency=scene.mode)

    async def both() -> list[BaseException | None]:
        starts = (hooks.pre_spawn(scene.runtime.spawner(who)) for who in ("ada", "blaise"))
        found = await asyncio.gather(*starts, return_exceptions=True)
        await hooks.settle()
        return list(found)

    assert sorted(type(one).__name__ for one in run(both())) == ["NoneType", "Refused"]


def test_what_the_service_told_last_is_taken_while_it_runs(scene: Scene) -> None:
    scene.told.room = gpus(on("blaise"), on("chen", "GPU-1", ref="c-2"))
    scene.runtime.seen = {"c-1": "running", "c-2": "ended"}
    scene.open()
    assert scene.start().gpu_uuid == "GPU-1"


def test_what_was_granted_since_is_known_too_and_after_a_restart(scene: Scene) -> None:
    run(scene.mode.learn())
    scene.books.answers = [lease, AWAY]
    granted = scene.start("blaise")
    assert granted.gpu_uuid == "GPU-0"
    scene.restart()
    scene.told.is_away = True
    scene.mode.open("1", WHY, by="olga")
    assert scene.start().gpu_uuid == "GPU-1"


def test_one_that_may_still_start_keeps_its_room_for_as_long_as_starts_take(scene: Scene) -> None:
    scene.told.room = gpus(on("blaise", is_starting=True), count=1)
    scene.open()
    scene.refused()
    scene.clock.advance(timedelta(seconds=make_lab().policy.spawn_timeout_s + 1))
    assert scene.start().gpu_uuid == "GPU-0"


def test_a_start_that_failed_gives_its_room_back_at_once(scene: Scene) -> None:
    scene.told.room = gpus(count=1)
    scene.open()
    spawner = scene.start()
    del scene.runtime.seen[spawner.lease_id]
    assert "All GPUs" in str(scene.refused("blaise"))
    scene.mode.room.note_over(UUID(spawner.lease_id))
    assert scene.start("blaise").gpu_uuid == "GPU-0"


def test_a_runtime_that_does_not_answer_frees_nothing(scene: Scene) -> None:
    scene.told.room = gpus(on("blaise"), count=1)
    scene.runtime.is_silent = True
    scene.open()
    assert "All GPUs" in str(scene.refused())


def test_one_gpu_session_each_and_an_end_that_starting_again_does_not_move(scene: Scene) -> None:
    scene.open("4")
    first = scene.start()
    assert "one GPU session" in str(scene.refused(flavor="quarter"))
    assert first.emergency_until == (NOON + timedelta(hours=2)).isoformat()
    scene.runtime.seen[first.lease_id] = "ended"
    scene.clock.advance(timedelta(hours=1))
    assert scene.start().emergency_until == first.emergency_until


def test_nothing_starts_that_could_not_be_written_down(scene: Scene) -> None:
    scene.open()
    (scene.folder / "emergency.tmp").mkdir()
    assert scene.refused().reason == "fault"


def test_who_is_on_no_roster_gets_nothing_and_nothing_is_told_of_it(scene: Scene) -> None:
    scene.open()
    error = scene.refused("mallory")
    assert (error.reason, error.status_code) == ("emergency_no_room", 503)
    assert [reason for _, reason in scene.books.stopped] == ["spawn_failed"]
    assert scene.mode.records[0].starts == ()


# -- the way back into the books ------------------------------------------------------------------


def test_all_is_told_before_anything_else_is_asked(scene: Scene) -> None:
    one = scene.open()
    spawner = scene.start()
    scene.told.is_away = False
    order: list[str] = []

    def asked(lease_id: UUID) -> Any:
        order.append(f"asked after {len(scene.told.told)}")
        return lease(lease_id)

    scene.books.answers = [asked]
    scene.start("blaise")
    assert order == ["asked after 2"]
    emergency, start = scene.told.told
    assert emergency == one
    assert isinstance(start, EmergencyStart)
    assert (str(start.lease_id), start.account) == (spawner.lease_id, "ada")
    assert start.gpu_uuid == "GPU-0"
    run(scene.mode.tell())
    assert len(scene.told.told) == 2, "once"
    scene.mode.close(by="oona")
    run(scene.mode.tell())
    assert scene.told.told[2:] == [scene.mode.records[0].one], "its end is news again"


def test_p27_as_long_as_it_cannot_be_told_nothing_is_asked(scene: Scene) -> None:
    scene.open("0.25")
    scene.clock.advance(timedelta(hours=1))
    scene.books.answers = [lease]
    assert scene.refused().reason == "quota_unavailable"
    assert scene.books.asked == []


def test_what_is_untold_outlives_a_restart(scene: Scene) -> None:
    scene.open()
    scene.start()
    scene.restart()
    scene.told.is_away = False
    run(scene.mode.tell())
    assert [type(one).__name__ for one in scene.told.told] == ["Emergency", "EmergencyStart"]


def test_a_refusal_of_the_books_is_logged_and_holds_nobody_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.open()
    scene.told.is_away, scene.told.refuses = False, True
    run(scene.mode.tell())
    run(scene.mode.learn())
    assert "id_conflict" in caplog.text
    assert scene.mode.records[0].is_settled


def test_what_the_books_know_is_forgotten_after_some_days(scene: Scene) -> None:
    scene.open("1")
    scene.told.is_away = False
    run(scene.mode.tell())
    scene.clock.advance(timedelta(days=8))
    latest = scene.mode.open("1", WHY, by="olga")
    assert [each.one for each in scene.mode.records] == [latest]


def test_it_keeps_itself_up_to_date_as_long_as_the_hub_runs(scene: Scene) -> None:
    scene.mode.open("1", WHY, by="olga")

    async def for_a_while() -> None:
        scene.mode.watch()
        await asyncio.wait_for(scene.told.seen.wait(), 5)

    run(for_a_while())
    assert len(scene.told.told) == 1
    scene.mode.watch()  # without a loop there is nothing to keep


# -- what people see ------------------------------------------------------------------------------


def test_the_banner_says_until_when_in_the_readers_zone(scene: Scene) -> None:
    banner = Banner(scene.mode, FixedLab())
    assert banner.text(User("ada")) == ""
    scene.open()
    assert banner.text(None) == "", "nobody is logged in"
    text = banner.text(User("emeka"))
    assert text.startswith("Emergency mode until Wednesday, 25 November at 15:00 (Europe/Berlin).")
    assert "2 h after your first start" in text


def test_the_spawn_page_offers_gpus_while_it_is_open(scene: Scene) -> None:
    scene.books.options_reply = AWAY
    form = OptionsForm(scene.books, FixedLab(), scene.mode.now_open)
    assert run(form(FakeSpawner())).count("disabled") == 2
    scene.open()
    page = run(form(FakeSpawner()))
    assert "disabled" not in page
    assert "start without them" in page


def test_the_home_page_says_when_a_session_without_the_books_ends(scene: Scene) -> None:
    scene.books.account_reply = AWAY
    scene.open()
    scene.start()
    books = Books(scene.books, FixedLab(), own_end=scene.mode.end_of)
    said = run(books.of("ada"))["sentence"]
    assert "ends on Wednesday, 25 November at 14:00 (UTC)" in said
    assert "ends on" not in run(books.of("blaise"))["sentence"]
    assert own_end_text(None, make_lab(), "ada") == ""


def test_only_organizers_are_led_to_the_switch(scene: Scene) -> None:
    def told(who: str) -> str:
        return scene.refused(who).jupyterhub_html_message

    assert '<a href="/hub/gpulab/emergency">' in told("olga")
    assert "emergency" not in told("ada")
