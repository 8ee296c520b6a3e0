"""When scholars come, what they want and how long they would stay: drawn before anything runs.

All chance of a simulated class is in its visits. So the same class meets every number of GPUs and
every allowance that is tried, and what differs between two answers is not luck.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Literal

from quota.agenda import blackouts, co_working, due_in
from quota.calendar import Week, week_after, week_at, week_from, weeks_of
from quota.entitlement import entitlement
from quota.lab import Lab
from quota.lab_gpus import Flavor
from quota.lab_people import Section
from quota.reserving import window_edges
from quota.simulation.behaviour import Behaviour

Fate = Literal["normal", "dies", "never_starts"]

_HOUR = timedelta(hours=1)
# Nobody sits at a notebook longer; a lognormal's tail would.
_LONGEST_MIN = 24 * 60
# Half of the wishes for the cheapest flavor, half of the rest for the next one, and so on.
_CHEAPER_FIRST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One scholar comes and wants a session; times in milliseconds."""

    scholar: str
    at: datetime
    flavor: str
    stays_ms: int
    patience_ms: int
    away_ms: int
    starts_in_ms: int
    fate: Fate
    again_in_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time that is simulated: [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime


def span_of(lab: Lab, *, today: datetime, weeks: int | None = None) -> Span:
    """Return the time of the program over all sections; without one, weeks from today's on."""
    found = [some for some in section_weeks(lab, today=today, weeks=weeks).values() if some]
    if not found:
        raise ValueError("there is no week to simulate")
    return Span(
        starts_at=min(some[0].starts_at for some in found),
        ends_at=max(some[-1].ends_at for some in found),
    )


def section_weeks(
    lab: Lab, *, today: datetime, weeks: int | None = None
) -> dict[str, tuple[Week, ...]]:
    """Return the weeks of every section: the program's, or as many as are asked for."""
    return {
        name: tuple(_weeks(lab, section, today, weeks)) for name, section in lab.sections.items()
    }


def edges(lab: Lab, span: Span) -> list[datetime]:
    """Return the instants at which the rules change by themselves."""
    found: set[datetime] = set()
    for section in lab.sections.values():
        for due in due_in(lab, section):
            found |= {due.hours_from, due.due_at}
        week = week_from(lab.program, section.zone, span.starts_at)
        while week is not None and week.starts_at < span.ends_at:
            found |= {week.starts_at, week.ends_at}
            week = week_after(lab.program, section.zone, week)
    for window in blackouts(lab):
        found |= {window.starts_at, window.ends_at}
    found |= {*window_edges(lab, span.starts_at, span.ends_at)}
    return sorted(at for at in found if span.starts_at <= at < span.ends_at)


def draw_visits(
    lab: Lab, behaviour: Behaviour, *, seed: int, today: datetime, weeks: int | None = None
) -> list[Visit]:
    """Draw the visits of a whole class, in order of time.

    Every scholar draws from a seed of their own, so that another scholar more changes nothing for
    those who were there before.
    """
    flavors = _wanted_flavors(lab, behaviour)
    visits: list[Visit] = []
    for name, some in section_weeks(lab, today=today, weeks=weeks).items():
        section = lab.sections[name]
        profiles = [(week, _profile(lab, section, week, behaviour)) for week in some]
        for scholar in section.scholars:
            rng = Random(f"{seed}:{scholar}")  # noqa: S311
            visits += _visits_of(lab, section, scholar, profiles=profiles, flavors=flavors,
                                 behaviour=behaviour, rng=rng)  # fmt: skip
    return sorted(visits, key=lambda visit: (visit.at, visit.scholar))


def expected_min(median: float, spread: float) -> float:
    """Return the mean of a lognormal by its median and sigma."""
    return median * math.exp(spread * spread / 2)


# -- one scholar --------------------------------------------------------------------------------


def _visits_of(
    lab: Lab, section: Section, scholar: str, *, profiles: Sequence[tuple[Week, "_Profile"]],
    flavors: Sequence[tuple[Flavor, float]], behaviour: Behaviour, rng: Random,
) -> Iterator[Visit]:  # fmt: skip
    """Draw one scholar's visits, so many as use the wanted hours on average."""
    own = _around(rng, behaviour.wanted_spread)
    one_costs = _mean_cost(flavors, behaviour)
    for week, profile in profiles:
        hours = entitlement(lab, section, scholar, week).hours
        for due in due_in(lab, section):
            if week.starts_at < due.due_at <= week.ends_at:
                hours += due.hours
        wanted = hours.mgpu_ms * behaviour.wanted_share * own
        wanted *= _around(rng, behaviour.week_spread)
        for _ in range(_poisson(wanted / one_costs, rng)):
            yield _visit(scholar, profile.draw(rng), flavors, behaviour, rng)
        if behaviour.cpu_share:
            cpu_visits = _poisson(behaviour.cpu_share * wanted / one_costs, rng)
            for _ in range(cpu_visits):
                yield from _cpu_visit(lab, scholar, profile.draw(rng), behaviour, rng)


def _visit(
    scholar: str, at: datetime, flavors: Sequence[tuple[Flavor, float]], behaviour: Behaviour,
    rng: Random,
) -> Visit:  # fmt: skip
    flavor = rng.choices([one for one, _ in flavors], [share for _, share in flavors])[0]
    stays_min = _lognormal(behaviour.session_min, behaviour.session_spread, rng)
    if rng.random() < behaviour.forgets:
        stays_min += _lognormal(behaviour.forgotten_min, 0.5, rng)
    fate: Fate = "normal"
    if rng.random() < behaviour.start_fails:
        fate = "never_starts"
    elif rng.random() < behaviour.dies:
        fate, stays_min = "dies", stays_min * rng.random()
    away = rng.expovariate(1 / behaviour.away_min) if rng.random() < behaviour.away else 0.0
    again = rng.expovariate(1 / behaviour.comes_again_min)
    patience = _lognormal(behaviour.patience_min, behaviour.patience_spread, rng)
    return Visit(
        scholar=scholar,
        at=at,
        flavor=flavor.name,
        stays_ms=_ms(min(stays_min, _LONGEST_MIN)),
        patience_ms=_ms(patience),
        away_ms=_ms(away) if away else 0,
        starts_in_ms=_ms(_lognormal(behaviour.start_s / 60, 0.4, rng)),
        fate=fate,
        again_in_ms=_ms(again) if rng.random() < behaviour.comes_again else None,
    )


def _cpu_visit(
    lab: Lab, scholar: str, at: datetime, behaviour: Behaviour, rng: Random
) -> Iterator[Visit]:
    for flavor in lab.flavors.values():
        if not flavor.is_gpu:
            yield _visit(scholar, at, [(flavor, 1.0)], behaviour, rng)
            return


def _mean_cost(flavors: Sequence[tuple[Flavor, float]], behaviour: Behaviour) -> float:
    """Return what one visit costs on average, in mgpu_ms."""
    minutes = expected_min(behaviour.session_min, behaviour.session_spread)
    minutes += behaviour.forgets * expected_min(behaviour.forgotten_min, 0.5)
    total = sum(share for _, share in flavors)
    weight = sum(flavor.weight_mgpu * share for flavor, share in flavors) / total
    return minutes * 60_000 * weight


def _wanted_flavors(lab: Lab, behaviour: Behaviour) -> list[tuple[Flavor, float]]:
    gpu_flavors = [flavor for flavor in lab.flavors.values() if flavor.is_gpu]
    for name in behaviour.flavor_shares:
        if name not in {flavor.name for flavor in gpu_flavors}:
            raise ValueError(f"flavor_shares: the lab has no GPU flavor called {name}")
    if behaviour.flavor_shares:
        found = [(one, behaviour.flavor_shares.get(one.name, 0.0)) for one in gpu_flavors]
    else:
        ordered = sorted(gpu_flavors, key=lambda one: (one.weight_mgpu, one.name))
        found = [(one, _CHEAPER_FIRST**place) for place, one in enumerate(ordered)]
    if not sum(share for _, share in found):
        raise ValueError("nobody wants any GPU flavor: nothing to simulate")
    return found


# -- when in a week ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Profile:
    """How likely each hour of a week is."""

    starts_at: datetime
    ends_at: datetime
    up_to: tuple[float, ...]

    def draw(self, rng: Random) -> datetime:
        """Draw an instant in whole milliseconds."""
        hour = rng.choices(range(len(self.up_to)), cum_weights=self.up_to)[0]
        at = self.starts_at + hour * _HOUR + timedelta(milliseconds=rng.randrange(3_600_000))
        return min(at, self.ends_at - timedelta(milliseconds=1))


def _profile(lab: Lab, section: Section, week: Week, behaviour: Behaviour) -> _Profile:
    rush = timedelta(hours=behaviour.due_hours)
    dues = [due.due_at for due in due_in(lab, section)]
    together = co_working(section, week.starts_at, week.ends_at)
    weights = []
    at = week.starts_at
    while at < week.ends_at:
        local = at.astimezone(section.zone)
        weight = behaviour.by_hour[local.hour] * behaviour.by_weekday[local.weekday()]
        if any(at < due_at <= at + rush for due_at in dues):
            weight *= behaviour.due_factor
        if any(window.starts_at < at + _HOUR and at < window.ends_at for window in together):
            weight *= behaviour.co_working_factor
        weights.append(weight)
        at += _HOUR
    return _Profile(week.starts_at, week.ends_at, tuple(accumulate(weights)))


def _weeks(lab: Lab, section: Section, today: datetime, most: int | None) -> Iterator[Week]:
    if lab.program is not None:
        yield from weeks_of(lab.program, section.zone)[:most]
        return
    week = week_at(None, section.zone, today)
    for _ in range(most or 1):
        assert week is not None, "without a program weeks never end"
        yield week
        week = week_after(None, section.zone, week)


# -- chance --------------------------------------------------------------------------------------


def _around(rng: Random, spread: float) -> float:
    """Draw a factor with mean 1."""
    return rng.lognormvariate(-spread * spread / 2, spread)


def _lognormal(median: float, spread: float, rng: Random) -> float:
    return rng.lognormvariate(math.log(median), spread)


def _poisson(mean: float, rng: Random) -> int:
    """Draw a number of events: as many as fit into the mean at exponential distances."""
    count, left = 0, mean - rng.expovariate(1)
    while left >= 0:
        count, left = count + 1, left - rng.expovariate(1)
    return count


def _ms(minutes: float) -> int:
    return max(1, round(minutes * 60_000))
