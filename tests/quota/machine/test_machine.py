"""P03: the ledger equals the model."""

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from quota.ledger import Account
from tests.quota.machine.lab_machine import LabMachine
from tests.quota.memory import empty

# A failing seed is printed; GPULAB_SEED=<it> plays the same again.
SEED = int(os.environ.get("GPULAB_SEED") or random.randrange(2**32))
QUICK = settings(
    max_examples=12,
    stateful_step_count=50,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
PROMISED = settings(QUICK, max_examples=20, stateful_step_count=200)


def play(engine: Engine, size: settings) -> None:
    print(f"GPULAB_SEED={SEED}")

    @seed(SEED)
    class Fresh(LabMachine):
        def __init__(self) -> None:
            empty(engine)
            type(self).engine = engine
            super().__init__()

    run_state_machine_as_test(Fresh, settings=size)


def test_p03_the_books_equal_the_model(memory_engine: Engine) -> None:
    play(memory_engine, QUICK)


@pytest.mark.postgres
def test_p03_the_books_equal_the_model_on_postgres(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the test above is this one on SQLite")
    play(engine, settings(QUICK, max_examples=5))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_p03_at_the_promised_size(memory_engine: Engine) -> None:
    play(memory_engine, PROMISED)


def test_p03_the_model_catches_a_rounded_charge(
    memory_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: 59 seconds for free, as in a peer's int(minutes)."""
    honest = Account.charge

    def rounding(self: Account, lease_id, *, start, until, **rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        return honest(self, lease_id, start=start, until=until.replace(second=0), **rest)

    monkeypatch.setattr(Account, "charge", rounding)
    with pytest.raises(AssertionError):
        play(memory_engine, settings(QUICK, max_examples=50))
