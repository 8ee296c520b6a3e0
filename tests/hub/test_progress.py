"""The progress stream of a start."""

import asyncio
from typing import Any

from hub.progress import Note
from tests.hub.doubles import FakeSpawner, run


def test_streams_the_place_and_then_the_start() -> None:
    spawner = FakeSpawner()

    async def watch() -> list[dict[str, Any]]:
        spawner.begin_waiting()
        spawner.note = Note(message="You are next.", position=1, of=1)
        events = []
        async for event in spawner.progress():
            events.append(event)
            spawner.admitted_title = "A whole GPU"
        return events

    first, second = run(watch())
    assert first["message"] == "You are next."
    assert first["waiting"] == {"position": 1, "of": 1, "estimated_wait_s": None}
    assert second["message"] == "Your session is starting: A whole GPU."
    assert not {"ready", "failed"} & (first.keys() | second.keys())


def test_a_silent_line_sends_a_sign_of_life_so_that_closed_pages_are_noticed() -> None:
    spawner = FakeSpawner()
    now = iter(range(0, 1000, 3))
    spawner.monotonic = lambda: float(next(now))

    async def watch() -> dict[str, Any]:
        spawner.begin_waiting()
        stream = spawner.progress()
        event: dict[str, Any] = await asyncio.wait_for(anext(stream), 10)
        await stream.aclose()  # type: ignore[attr-defined]
        return event

    assert run(watch()) == {"progress": 10}


def test_knows_whether_somebody_watches() -> None:
    spawner = FakeSpawner()
    now = [0.0]
    spawner.monotonic = lambda: now[0]
    spawner.begin_waiting()

    async def watch() -> None:
        now[0] = 59.0
        assert spawner.is_watched(), "whoever just asked is there"
        now[0] = 61.0
        assert not spawner.is_watched()
        spawner.note = Note(message="You are next.")
        stream = spawner.progress()
        await anext(stream)
        now[0] = 500.0
        assert spawner.is_watched()
        await stream.aclose()  # type: ignore[attr-defined]
        now[0] = 559.0
        assert spawner.is_watched(), "a page may be loading again"
        now[0] = 561.0
        assert not spawner.is_watched()

    run(watch())
