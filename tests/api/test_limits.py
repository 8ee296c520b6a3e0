"""How much is worked on at a time."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from api.limits import AtOnce


async def nothing() -> Message:
    return {"type": "http.request"}


async def nowhere(_message: Message) -> None:
    return


def ask(app: AtOnce, paths: list[str]) -> None:
    async def all_at_once() -> None:
        async with asyncio.timeout(10):
            asked = [app({"type": "http", "path": path}, nothing, nowhere) for path in paths]
            await asyncio.gather(*asked)

    asyncio.run(all_at_once())


def test_so_many_at_a_time_in_order_and_cheap_ones_at_once() -> None:
    running: set[str] = set()
    most, order = 0, []

    async def page(scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal most
        path = scope["path"]
        running.add(path)
        order.append(path)
        most = max(most, len([one for one in running if one.startswith("/page")]))
        await asyncio.sleep(0.01)
        running.remove(path)

    pages = [f"/page/{number}" for number in range(12)]
    ask(AtOnce(page, most=3, but="/static/"), [*pages, "/static/x"])
    assert most == 3
    assert [one for one in order if one.startswith("/page")] == pages
    assert order.index("/static/x") < 5, "what costs nothing does not wait"


def test_one_that_fails_gives_its_turn_back() -> None:
    tried = []

    async def broken(scope: Scope, _receive: Receive, _send: Send) -> None:
        tried.append(scope["path"])
        raise RuntimeError("seeded")

    async def again() -> None:
        app = AtOnce(broken, most=1, but="/static/")
        for number in range(3):
            try:
                await app({"type": "http", "path": f"/{number}"}, nothing, nowhere)
            except RuntimeError:
                continue

    asyncio.run(asyncio.wait_for(again(), timeout=5))
    assert len(tried) == 3
