"""`kill -9` of hub, service, worker and proxy at random instants under load: nothing is lost.

The books are compared afterwards with a record that a separate program kept of what really ran.
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from lab.trial.running import RunningLab
from lab.trial.text import lab_text
from lab.trial.waiting import wait_for
from quota.clock import to_ms
from quota.invariants import check_books, describe
from quota.store.engine import open_engine, reading
from quota.store.tables import entries, leases
from tests.crash.load import START_WITHIN_S, Scholar, Storm, scholars_of
from tests.engine import throwaway_engine

PROGRAMS = ("hub", "service", "worker", "proxy")
NAMES = ("ada", "blaise", "chen", "dina", "emeka")
# Promise I5 allows one look of the worker (15 s) at both ends. Both runtimes tell the start
# themselves; what is left is the recorder's own look (50 ms) on a busy machine. A keeper notes its
# session's end and then clears up after it, before it is gone itself.
_SAME_START_WITHIN_MS = 500
_SAME_END_WITHIN_MS = 5_000

pytestmark = pytest.mark.slow


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def crash_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningLab]:
    text = lab_text(hours="100", gpus=4, policy={"spawn_timeout_s": 45})
    if request.param == "process":
        with RunningLab(tmp_path, text=text) as lab:
            yield lab
        return
    with (
        throwaway_engine() as engine,
        RunningLab(tmp_path, text=text, spawner="docker", hub_id=engine.hub_id) as lab,
    ):
        yield lab


def test_p05_p20_kills_lose_and_double_nothing(crash_lab: RunningLab, tmp_path: Path) -> None:
    _play(crash_lab, tmp_path, kills_each=3)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_p05_p20_twenty_kills_each(crash_lab: RunningLab, tmp_path: Path) -> None:
    _play(crash_lab, tmp_path, kills_each=20)


def _play(lab: RunningLab, folder: Path, *, kills_each: int) -> None:
    seed = int(os.environ.get("GPULAB_TEST_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"seed {seed}: GPULAB_TEST_SEED={seed} repeats the order of the kills")
    record = folder / "record.jsonl"
    scholars, storm = scholars_of(lab, NAMES, seed)
    with _recorder(lab, record):
        threads = [threading.Thread(target=one.live) for one in scholars]
        for thread in threads:
            thread.start()
        _kill_in_random_order(lab, seed, kills_each, storm)
        storm.ending.set()
        for thread in threads:
            thread.join(timeout=3 * START_WITHIN_S)
        wait_for("an empty runtime", lambda: [_still_run(lab)] == [[]], within_s=60)
    wait_for("closed books", lambda: not _open_leases(lab), within_s=90)
    ran = [json.loads(line) for line in record.read_text().splitlines()]
    troubles = [text for one in scholars for text in one.troubles]
    assert not troubles, troubles
    _no_session_was_lost(scholars, ran)
    _books_agree(lab, ran)
    _tell(scholars, ran, kills_each)


def _still_run(lab: RunningLab) -> list[str]:
    return [f"{one.account} {one.flavor} {one.ref[:12]}" for one in lab.sessions()]


def _kill_in_random_order(lab: RunningLab, seed: int, kills_each: int, storm: Storm) -> None:
    dice = random.Random(seed)
    order = [name for name in PROGRAMS for _ in range(kills_each)]
    dice.shuffle(order)
    for name in order:
        time.sleep(dice.uniform(0.2, 4))
        lab.kill(name)
        storm.last_kill_at = time.time()


@contextmanager
def _recorder(lab: RunningLab, out: Path) -> Iterator[None]:
    where = str(lab.state.root) if lab.spawner == "process" else lab.hub_id
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.recorder", lab.spawner, where, str(out)]
    )
    wait_for("a recorder", out.exists, within_s=30)
    try:
        yield
        time.sleep(1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "the recorder failed, so there is no witness"


def _no_session_was_lost(scholars: list[Scholar], ran: list[dict[str, Any]]) -> None:
    """Whoever had a running session kept it until they asked for its end."""
    for scholar in scholars:
        mine = [one for one in ran if one["account"] == scholar.visitor.name]
        for stay in scholar.stays:
            during = [
                one for one in mine
                if one["started_ms"] <= stay.ready_at * 1000
                and (one["gone_ms"] is None or one["gone_ms"] >= stay.stop_asked_at * 1000 - 100)
            ]  # fmt: skip
            assert during, f"{stay} ended before it was asked to; what ran: {mine}"


def _books_agree(lab: RunningLab, ran: list[dict[str, Any]]) -> None:
    with _books(lab) as tx:
        violations = check_books(tx)
        assert not violations, describe(violations)
        ended = {row["id"]: row for row in tx.execute(select(leases)).mappings()}
        spans: dict[UUID, list[tuple[int, int]]] = {}
        for row in tx.execute(select(entries).where(entries.c.kind == "charge")).mappings():
            span = (to_ms(row["from_at"]), to_ms(row["until_at"]))
            spans.setdefault(row["lease_id"], []).append(span)
    assert all(row["state"] == "ended" and not row["hold"] for row in ended.values())
    off: list[tuple[int, int]] = []
    by_ran = {UUID(one["lease_id"]): one for one in ran}
    assert len(by_ran) == len(ran), "two sessions ran on one lease"
    for lease_id, one in by_ran.items():
        assert one["gone_ms"] is not None, f"{one} still runs"
        row = ended[lease_id]
        if row["weight_mgpu"]:
            start, until = min(s[0] for s in spans[lease_id]), max(s[1] for s in spans[lease_id])
            assert abs(start - one["started_ms"]) <= _SAME_START_WITHIN_MS, (one, row)
            assert abs(until - one["gone_ms"]) <= _SAME_END_WITHIN_MS, (one, row)
            off.append((abs(start - one["started_ms"]), abs(until - one["gone_ms"])))
    assert set(spans) <= set(by_ran), "charged for what never ran"
    starts, ends = zip(*off, strict=True) if off else ((0,), (0,))
    print(f"books against the record: start within {max(starts)} ms, end within {max(ends)} ms")


def _tell(scholars: list[Scholar], ran: list[dict[str, Any]], kills_each: int) -> None:
    waits = sorted(stay.ready_at - stay.asked_at for one in scholars for stay in one.stays)
    print(
        f"{kills_each * len(PROGRAMS)} kills, {len(ran)} sessions ran, {len(waits)} starts; "
        f"start to ready: median {statistics.median(waits):.1f} s, most {waits[-1]:.1f} s"
    )


def _open_leases(lab: RunningLab) -> int:
    with _books(lab) as tx:
        return len(tx.execute(select(leases.c.id).where(leases.c.state != "ended")).all())


@contextmanager
def _books(lab: RunningLab) -> Iterator[Any]:
    engine = open_engine(f"sqlite:///{lab.state.root / 'books.sqlite'}")
    try:
        with reading(engine) as tx:
            yield tx
    finally:
        engine.dispose()
