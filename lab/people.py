"""Who is in the lab, as the launcher prints it."""

from collections.abc import Iterator
from dataclasses import dataclass

from quota.lab import Lab


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    name: str
    role: str


def people_of(lab: Lab) -> tuple[Person, ...]:
    """List everybody whom lab.yaml names, once each: organizers, TAs, scholars."""
    seen: dict[str, Person] = {}
    for person in _named(lab):
        seen.setdefault(person.name, person)
    return tuple(seen.values())


def _named(lab: Lab) -> Iterator[Person]:
    for name in lab.organizers:
        yield Person(name, "organizer")
    tas: dict[str, list[str]] = {}
    for section in lab.sections.values():
        for name in section.tas:
            tas.setdefault(name, []).append(section.title or section.name)
    for name, sections in tas.items():
        yield Person(name, f"TA of {', '.join(sections)}")
    for section in lab.sections.values():
        for name in section.scholars:
            yield Person(name, f"scholar, {section.title or section.name}")
