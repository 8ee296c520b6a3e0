"""Is the service there, and does its database answer."""

from fastapi import APIRouter

from api.deps import BooksDep

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def get_healthz() -> dict[str, str]:
    """Say that the process lives; asks nobody."""
    return {"status": "ok"}


@router.get("/readyz")
def get_readyz(books: BooksDep) -> dict[str, str]:
    """Say that the books answer, or 503."""
    books.ping()
    return {"status": "ok"}
