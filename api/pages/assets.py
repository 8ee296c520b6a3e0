"""Styles and scripts of the pages, kept by browsers for ever since their address names them."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from api.pages.addresses import PREFIX
from api.problems import Problem

STATIC = Path(__file__).parent.parent / "static"

router = APIRouter()


@router.get("/static/{digest}/{name:path}")
async def get_asset(digest: str, name: str) -> Response:
    """Send a file; another digest than its own is an address of another release."""
    known = _digests()
    if known.get(name) != digest:
        raise Problem(404, "not_found", "Not found", "There is no such file.")
    return FileResponse(STATIC / name, headers={
        "Cache-Control": "public, max-age=31536000, immutable"})  # fmt: skip


def asset_url(name: str) -> str:
    """Return the address of a file."""
    return f"{PREFIX}/static/{_digests()[name]}/{name}"


@cache
def _digests() -> dict[str, str]:
    return {
        path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(STATIC.rglob("*")) if path.is_file()
    }  # fmt: skip
