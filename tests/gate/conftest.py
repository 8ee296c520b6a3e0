"""One engine, network and gate for all tests of this folder that need them."""

from collections.abc import Iterator

import pytest

from tests.engine import Engine, throwaway_engine, throwaway_network
from tests.gate.rig import GPU, RunningGate, policy_for, running_gate


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as engine:
        yield engine


@pytest.fixture(scope="package")
def network(engine: Engine) -> Iterator[str]:
    with throwaway_network(engine) as network:
        yield network


@pytest.fixture(scope="package")
def gate(
    engine: Engine, network: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGate]:
    folder = tmp_path_factory.mktemp("gate")
    readable = folder / "data"
    readable.mkdir()
    (readable / "set.csv").write_text("1,2\n")
    policy = policy_for(engine, network, folders=[str(readable)], gpus=[GPU])
    with running_gate(folder, engine, policy) as gate:
        yield gate
