"""The search for faults of the books: no law breaks, a seed replays, a planted fault is found."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from quota import posting, reconcile
from quota.amount import GpuTime
from quota.ledger import Account
from quota.simulation.behaviour import Behaviour
from quota.simulation.faults import FAULTS
from quota.simulation.search import Done, Search, search_seed
from quota.simulation.torture import BrokenLaw
from quota.store import writes
from tests.simulation.classes import TODAY, small_lab

BUSY = Behaviour(cpu_share=0.2, session_min=40, wanted_share=1.2, start_fails=0.05, dies=0.1,
                 away=0.3)  # fmt: skip


CALM = Behaviour(cpu_share=0.2, wanted_share=0.3, start_fails=0.1)


def search(
    path: Path, seed: int, *, rate: float = 0.25, weeks: int = 1, behaviour: Behaviour = BUSY
) -> Done:
    wanted = Search(lab=small_lab(), behaviour=behaviour, today=TODAY, weeks=weeks, gpus=1,
                    rate=rate)  # fmt: skip
    path.unlink(missing_ok=True)
    return search_seed(wanted, seed, path)


def test_p04_no_fault_breaks_a_law_of_the_books(tmp_path: Path) -> None:
    done = search(tmp_path / "books.sqlite", seed=5)
    assert done.steps > 200
    assert sum(done.faults.values()) > 30


def test_a_seed_replays_exactly(tmp_path: Path) -> None:
    first = search(tmp_path / "one.sqlite", seed=6, rate=0.3, behaviour=CALM)
    assert search(tmp_path / "two.sqlite", seed=6, rate=0.3, behaviour=CALM) == first
    assert len(first.faults) > 3


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20, 30))
def test_p02_p04_p11_many_seeds(seed: int, tmp_path: Path) -> None:
    done = search(tmp_path / "books.sqlite", seed=seed, weeks=3)
    assert set(FAULTS) <= set(done.faults), "every kind of fault struck"


# -- negative controls ---------------------------------------------------------------------------


def forgets_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "release_gpu", lambda *_args: None)


def forgets_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "void", lambda *_args, **_named: None)


def rounds_to_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = posting.post_use

    def rounded(account: Account, lease: Any, until: Any, *, at: Any) -> Any:
        minute = until.replace(second=0, microsecond=0)
        return real(account, lease, max(minute, lease.charged_until or minute), at=at)

    monkeypatch.setattr(reconcile, "post_use", rounded)


def charges_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Account.charge

    def twice(self: Account, lease_id: UUID, **named: Any) -> GpuTime:
        real(self, lease_id, **{**named, "start": named["start"] - timedelta(minutes=1)})
        return real(self, lease_id, **named)

    monkeypatch.setattr(Account, "charge", twice)


def takes_what_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "take_gpu", lambda *_args, **_named: True)


@pytest.fixture(params=[forgets_the_slot, forgets_the_hold, rounds_to_minutes, charges_twice,
                        takes_what_is_not_free])  # fmt: skip
def planted(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[pytest.MonkeyPatch], None]:
    request.param(monkeypatch)
    return request.param


@pytest.mark.usefixtures("planted")
def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    with pytest.raises((BrokenLaw, AssertionError)) as found:
        search(tmp_path / "books.sqlite", seed=1, rate=0.0, behaviour=CALM)
    assert "step" in str(found.value) or isinstance(found.value, AssertionError)
