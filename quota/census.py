"""What the metrics tell of sections: counted now and then by the worker, read ready-made.

A scrape that asked for everybody's balance would take longer the more people there are. So the
worker counts once a minute at most, and leaves figures among its totals (`counters`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from quota.amount import GpuTime
from quota.clock import ms_between, to_ms
from quota.outlook import SectionOutlook, section_outlooks
from quota.service import Books
from quota.standings import LabStanding, Standing, lab_standing
from quota.store.counting import add_deeds, replace_figures
from quota.store.engine import transaction

BANDS = ("none", "lt_10pct", "lt_50pct", "ok")
AMOUNTS = ("given", "used", "left", "promised", "possible")
# A lab of more sections than this has the figures of the others in one line.
MOST_SECTIONS = 100
OTHERS = "(others)"
PREFIX = "census_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionFigures:
    """One section, as counted last; amounts in mgpu_ms, by `AMOUNTS`, scholars by `BANDS`."""

    amounts: Mapping[str, int]
    scholars: Mapping[str, int]
    running: int = 0
    elapsed_ms: int | None = None
    length_ms: int | None = None


def take_census(books: Books) -> None:
    """Count, and leave what was found for the metrics.

    Raises:
        BooksUnavailable: when the database does not answer.

    """
    standing = lab_standing(books)
    figures = figures_of(standing, section_outlooks(books.lab, standing))
    rows = {(f"{PREFIX}at_ms", ""): to_ms(standing.at)}
    for section, one in figures.items():
        rows |= {(f"{PREFIX}{name}", section): value for name, value in _flat(one)}
    with transaction(books.engine, step="census") as tx:
        replace_figures(tx, PREFIX, rows)
        add_deeds(tx, books.hub_id)


def figures_of(
    standing: LabStanding, outlooks: Sequence[SectionOutlook]
) -> dict[str, SectionFigures]:
    """Put together what is told of each section. Pure."""
    bands: dict[str, Counter[str]] = {one.name: Counter() for one in outlooks}
    for person in standing.people:
        if person.section is not None:
            bands[person.section][band_of(person)] += 1
    shown, others = outlooks[:MOST_SECTIONS], outlooks[MOST_SECTIONS:]
    found = {one.name: _section(one, bands[one.name], standing.at) for one in shown}
    if others:
        found[OTHERS] = _others(others, bands)
    return found


def band_of(person: Standing) -> str:
    """Tell how much somebody has left of what they were given."""
    if person.balance <= GpuTime.ZERO:
        return "none"
    part = person.balance.mgpu_ms / max(person.granted.mgpu_ms, 1)
    return "lt_10pct" if part < 0.1 else "lt_50pct" if part < 0.5 else "ok"


def sections_in(counters: Mapping[tuple[str, str], int]) -> dict[str, SectionFigures]:
    """Read the figures back from the worker's totals. Pure."""
    by_section: dict[str, dict[str, int]] = {}
    for (name, label), value in counters.items():
        if name.startswith(PREFIX) and label:
            by_section.setdefault(label, {})[name.removeprefix(PREFIX)] = value
    return {
        section: SectionFigures(
            amounts={name: some[name] for name in AMOUNTS if name in some},
            scholars={band: some.get(f"scholars:{band}", 0) for band in BANDS},
            running=some.get("running", 0), elapsed_ms=some.get("elapsed_ms"),
            length_ms=some.get("length_ms"),
        )
        for section, some in sorted(by_section.items())
    }  # fmt: skip


def _section(one: SectionOutlook, bands: Mapping[str, int], at: datetime) -> SectionFigures:
    amounts = {name: getattr(one, name).mgpu_ms for name in AMOUNTS}
    elapsed_ms = length_ms = None
    if one.week is not None:
        elapsed_ms = ms_between(one.week.starts_at, at)
        length_ms = ms_between(one.week.starts_at, one.week.ends_at)
    return SectionFigures(amounts=amounts, scholars=bands, running=one.running,
                          elapsed_ms=elapsed_ms, length_ms=length_ms)  # fmt: skip


def _others(
    outlooks: Iterable[SectionOutlook], bands: Mapping[str, Counter[str]]
) -> SectionFigures:
    amounts, scholars, running = Counter[str](), Counter[str](), 0
    for one in outlooks:
        # What is promised until a week's end cannot be added up over several weeks.
        amounts.update({name: getattr(one, name).mgpu_ms for name in ("given", "used", "left")})
        scholars.update(bands[one.name])
        running += one.running
    return SectionFigures(amounts=amounts, scholars=scholars, running=running)


def _flat(one: SectionFigures) -> Iterator[tuple[str, int]]:
    yield from one.amounts.items()
    yield from ((f"scholars:{band}", count) for band, count in one.scholars.items())
    yield "running", one.running
    if one.elapsed_ms is not None and one.length_ms is not None:
        yield "elapsed_ms", one.elapsed_ms
        yield "length_ms", one.length_ms
