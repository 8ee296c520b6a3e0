"""One seed of the search for faults: a class, its store, its faults, all laws."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from quota.lab import Lab
from quota.simulation.behaviour import Behaviour
from quota.simulation.databases import empty_books
from quota.simulation.torture import Torture
from quota.simulation.variants import gpus_of
from quota.simulation.visits import draw_visits, span_of


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
    deeds: Mapping[str, int]
    digest: str


def search_seed(search: Search, seed: int, url: str | None = None) -> Done:
    """Run one seed on new books: in a file, or on the PostgreSQL cluster of a URL.

    Raises:
        BrokenLaw: a law does not hold.

    """
    today, weeks = search.today, search.weeks
    visits = draw_visits(search.lab, search.behaviour, seed=seed, today=today, weeks=weeks)
    span = span_of(search.lab, today=today, weeks=weeks)
    with empty_books(url, f"gpulab_sim_{os.getpid()}_{seed}") as engine:
        torture = Torture(engine, search.lab, gpus_of(search.lab, search.gpus), visits, span=span,
                          seed=seed, rate=search.rate)  # fmt: skip
        torture.run()
        torture.finish()
        return Done(steps=torture.record.steps, sessions=len(torture.world.ran),
                    faults=dict(torture.faults.counts), deeds=dict(torture.deeds),
                    digest=torture.digest.hexdigest())  # fmt: skip
