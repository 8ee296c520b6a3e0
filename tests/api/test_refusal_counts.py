"""Refused starts are counted for the report of a week, without a write for each."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.refusal_counts import RefusalCounts
from quota.errors import BooksUnavailable
from quota.store.daily import counted
from quota.store.engine import reading
from tests.api.desk import ApiDesk


def counts_of(service: ApiDesk) -> dict[str, int]:
    now = service.books.clock.now()
    with reading(service.books.engine) as tx:
        return counted(tx, "main", "refused", now - timedelta(days=1), now + timedelta(days=1))


def refused_of(service: ApiDesk) -> RefusalCounts:
    refused: RefusalCounts = service.app.state.refused
    return refused


def test_refused_starts_are_written_together_and_nothing_else(service: ApiDesk) -> None:
    refused = refused_of(service)
    service.books.run("ada", "whole")
    for _ in range(3):
        assert service.ask("ada", "whole", server_name="more").status_code == 409
    assert service.get("/v1/accounts/nobody").status_code == 404
    assert counts_of(service) == {}
    asyncio.run(refused._write())
    assert counts_of(service) == {"too_many_sessions": 3}
    asyncio.run(refused._write())
    assert counts_of(service) == {"too_many_sessions": 3}


def test_counts_are_kept_while_the_books_are_away(
    service: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refused_of(service)
    refused._counts["gpus_closed"] = 2

    def away(*_: Any) -> None:
        raise BooksUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr("api.refusal_counts.note_refused", away)
        asyncio.run(refused._write())
    refused._counts["gpus_closed"] += 1
    asyncio.run(refused._write())
    assert counts_of(service) == {"gpus_closed": 3}
