"""A class with channels: what the lab shows of stopped sessions is what the outbox has, too."""

from pathlib import Path

import pytest
from sqlalchemy import select

from quota.clock import to_ms
from quota.store.engine import open_engine, reading
from quota.store.tables import notices, outbox
from tests.simulation.classes import days, in_store, small_lab


@pytest.mark.long
def test_each_stop_of_a_class_is_told_once_on_the_default_channel(tmp_path: Path) -> None:
    in_store(small_lab(), days("2026-10-26", 3), tmp_path / "books.sqlite", seed=1)
    engine = open_engine(f"sqlite:///{tmp_path}/books.sqlite")
    with reading(engine) as tx:
        shown = tx.execute(select(notices.c.lease_id, notices.c.at)
                           .where(notices.c.kind == "stopped")).all()  # fmt: skip
        letters = tx.execute(select(outbox.c.occasion, outbox.c.kind, outbox.c.channel)).all()
    engine.dispose()
    assert len(shown) >= 2
    assert {(kind, channel) for _, kind, channel in letters} == {("stopped", "mail")}
    assert sorted(one.occasion for one in letters) == sorted(
        f"stopped:{lease_id}:{to_ms(at)}" for lease_id, at in shown)  # fmt: skip
