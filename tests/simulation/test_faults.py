"""The search for faults of the books: no law breaks, a seed replays, a planted fault is found."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from quota import asking, posting, reconcile
from quota.amount import GpuTime
from quota.ledger import Account
from quota.simulation.behaviour import Behaviour
from quota.simulation.deeds import DEEDS
from quota.simulation.faults import FAULTS
from quota.simulation.search import Done, Search, search_seed
from quota.simulation.torture import BrokenLaw
from quota.store import slots
from tests.simulation.classes import TODAY, small_lab

BUSY = Behaviour(cpu_share=0.2, session_min=40, wanted_share=1.2, start_fails=0.05, dies=0.1,
                 away=0.3)  # fmt: skip


CALM = Behaviour(cpu_share=0.2, wanted_share=0.3, start_fails=0.1)


def search(
    seed: int, *, rate: float = 0.25, weeks: int = 1, behaviour: Behaviour = BUSY,
    url: str | None = None,
) -> Done:  # fmt: skip
    wanted = Search(lab=small_lab(), behaviour=behaviour, today=TODAY, weeks=weeks, gpus=1,
                    rate=rate)  # fmt: skip
    return search_seed(wanted, seed, url)


def test_p04_no_fault_breaks_a_law_of_the_books() -> None:
    done = search(seed=5)
    assert done.steps > 200
    assert sum(done.faults.values()) > 30


@pytest.mark.postgres
def test_p04_no_fault_breaks_a_law_on_postgres(postgres_url: str) -> None:
    done = search(seed=5, behaviour=CALM, url=postgres_url)
    assert done.steps > 100
    assert sum(done.faults.values()) > 20


def test_a_seed_replays_exactly() -> None:
    first = search(seed=6, rate=0.3, behaviour=CALM)
    assert search(seed=6, rate=0.3, behaviour=CALM) == first
    assert len(first.faults) > 3


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_p02_p04_p11_many_seeds(where: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if where == "postgres" else None
    struck, done = Counter[str](), Counter[str]()
    for seed in range(20, 23):
        found = search(seed=seed, rate=0.3, weeks=3, url=url)
        struck.update(found.faults)
        done.update(found.deeds)
    assert set(struck) == set(FAULTS), "every kind of fault struck"
    assert set(done) == set(DEEDS), "and all kinds of deeds were done"


# -- negative controls ---------------------------------------------------------------------------


def forgets_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "release_gpu", lambda *_args: None)


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
    monkeypatch.setattr(slots, "take_gpu", lambda *_args, **_named: True)


def keeps_what_help_did_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "take_back", lambda *_args, **_named: None)


def answers_without_giving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "give", lambda *_args, **_named: None)


@pytest.fixture(params=[forgets_the_slot, forgets_the_hold, rounds_to_minutes, charges_twice,
                        takes_what_is_not_free, keeps_what_help_did_not_need,
                        answers_without_giving])  # fmt: skip
def planted(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[pytest.MonkeyPatch], None]:
    plant: Callable[[pytest.MonkeyPatch], None] = request.param
    plant(monkeypatch)
    return plant


@pytest.mark.usefixtures("planted")
def test_a_planted_fault_is_found() -> None:
    with pytest.raises((BrokenLaw, AssertionError)) as found:
        search(seed=1, rate=0.0, behaviour=CALM)
    assert "step" in str(found.value) or isinstance(found.value, AssertionError)
