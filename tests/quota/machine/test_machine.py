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
from tests.quota.sizes import IS_FUZZ

# A failing part's seed is printed; with GPULAB_SEED=<it> part 0 plays the same again.
SEED = int(os.environ.get("GPULAB_SEED") or random.randrange(2**32))
QUICK = settings(
    max_examples=5,
    stateful_step_count=50,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
# In parts, so that several processes can share them: 20 x 200 steps, 200 x 500 in `make fuzz`.
PARTS = 20 if IS_FUZZ else 4
PART = settings(QUICK, max_examples=10 if IS_FUZZ else 5,
                stateful_step_count=500 if IS_FUZZ else 200)  # fmt: skip


def play(engine: Engine, size: settings, *, by: int = SEED) -> None:
    print(f"GPULAB_SEED={by}")

    @seed(by)
    class Fresh(LabMachine):
        def __init__(self) -> None:
            empty(engine)
            type(self).engine = engine
            super().__init__()

    run_state_machine_as_test(Fresh, settings=size)


@pytest.mark.timeout(7200 if IS_FUZZ else 900)
@pytest.mark.parametrize("part", range(PARTS))
def test_p03_the_books_equal_the_model(memory_engine: Engine, part: int) -> None:
    play(memory_engine, PART, by=SEED + part)


@pytest.mark.postgres
def test_p03_the_books_equal_the_model_on_postgres(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the test above is this one on SQLite")
    play(engine, QUICK)


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
