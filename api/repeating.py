"""Something that is done again and again beside what a process serves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def repeating(work: Callable[[], Awaitable[None]], *, every_s: float) -> AsyncIterator[None]:
    """Do the work every so often while the block runs; what has begun when it ends is waited for.

    A thread cannot be cancelled, and what it uses, the database for one, may be closed after this.
    """
    begun: asyncio.Future[None] | None = None

    async def repeat() -> None:
        nonlocal begun
        while True:
            await asyncio.sleep(every_s)
            begun = asyncio.ensure_future(work())
            await asyncio.shield(begun)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if begun is not None:
            await begun
