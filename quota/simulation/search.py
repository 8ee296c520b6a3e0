"""One seed of the search for faults: a class, its store, its faults, all laws."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from quota.lab import Lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.torture import Torture
from quota.simulation.variants import gpus_of
from quota.simulation.visits import draw_visits, span_of
from quota.store.engine import open_engine
from quota.store.migrate import upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is simulated; the seed decides the rest."""

    lab: Lab
    behaviour: Behaviour
    today: datetime
    weeks: int | None
    gpus: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What happened in a run that broke no law; equal digests are equal runs."""

    steps: int
    sessions: int
    faults: Mapping[str, int]
    digest: str


def search_seed(search: Search, seed: int, path: Path) -> Done:
    """Run one seed on a new SQLite file.

    Raises:
        BrokenLaw: a law does not hold.

    """
    today, weeks = search.today, search.weeks
    visits = draw_visits(search.lab, search.behaviour, seed=seed, today=today, weeks=weeks)
    span = span_of(search.lab, today=today, weeks=weeks)
    engine = open_engine(f"sqlite:///{path}", pool_size=2)
    try:
        upgrade(engine)
        torture = Torture(engine, search.lab, gpus_of(search.lab, search.gpus), visits, span=span,
                          seed=seed, rate=search.rate)  # fmt: skip
        torture.run()
        torture.finish()
        return Done(steps=torture.record.steps, sessions=len(torture.world.ran),
                    faults=dict(torture.faults.counts),
                    digest=torture.digest.hexdigest())  # fmt: skip
    finally:
        engine.dispose()
