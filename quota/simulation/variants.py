"""The same lab, otherwise: with more GPUs, another number of scholars, another allowance."""

from collections.abc import Mapping
from typing import Any

from quota.amount import GpuTime
from quota.lab import Lab
from quota.placement import GpuUse


def gpus_of(lab: Lab, count: int) -> tuple[GpuUse, ...]:
    """Return so many empty GPUs, as the lab declares them, else large enough for its flavors."""
    declared = [(gpu.name, gpu.memory_mib) for gpu in lab.gpus.declared for _ in range(gpu.count)]
    most_mib = max(flavor.memory_mib for flavor in lab.flavors.values())
    kinds = declared or [("GPU", 1)]
    found = []
    for number in range(count):
        name, memory_mib = kinds[min(number, len(kinds) - 1)]
        found.append(GpuUse(
            uuid=f"GPU-{number:03d}", name=name, kind="virtual",
            memory_mib=memory_mib if declared else max(most_mib, 1) * lab.gpus.max_sharers,
            in_service=True, used_mgpu=0, used_mib=0, sharers=0,
        ))  # fmt: skip
    return tuple(found)


def with_scholars(lab: Lab, count: int) -> Lab:
    """Return the lab with so many scholars, spread over the sections as they are now.

    Raises:
        ValueError: fewer than one for each section.

    """
    if count < len(lab.sections):
        raise ValueError(f"at least {len(lab.sections)} scholars: one for each section")
    sizes = _spread({name: len(one.scholars) for name, one in lab.sections.items()}, count)
    sections = {}
    for name, section in lab.sections.items():
        listed = section.scholars[: sizes[name]]
        added = (f"{name}-scholar-{n:04d}" for n in range(len(listed) + 1, sizes[name] + 1))
        sections[name] = {**_body(section), "scholars": [*listed, *added]}
    kept = {who for one in sections.values() for who in one["scholars"]}
    own = {who: one for who, one in lab.scholars.items() if who in kept}
    return _with(lab, sections=sections, scholars=own)


def with_allowance(lab: Lab, percent: int) -> Lab:
    """Return the lab with all hours of weeks and due dates scaled."""

    def scaled(hours: GpuTime) -> GpuTime:
        return GpuTime(hours.mgpu_ms * percent // 100)

    sections = {
        name: {
            **_body(one),
            "hours_per_week": scaled(one.hours_per_week),
            "hours_in_weeks": {number: scaled(h) for number, h in one.hours_in_weeks.items()},
        }
        for name, one in lab.sections.items()
    }
    dues = {name: {**_body(one), "hours": scaled(one.hours)}
            for name, one in lab.due_dates.items()}  # fmt: skip
    own = {
        name: {**_body(one), "hours_per_week": one.hours_per_week and scaled(one.hours_per_week)}
        for name, one in lab.scholars.items()
    }
    program = lab.program
    if program is not None:
        weeks = tuple(w.model_copy(update={"hours": w.hours and scaled(w.hours)})
                      for w in program.weeks)  # fmt: skip
        program = program.model_copy(update={"weeks": weeks})
    return _with(lab, sections=sections, due_dates=dues, scholars=own, program=program)


def with_weight(lab: Lab, flavor: str, weight_mgpu: int) -> Lab:
    """Return the lab with another billing weight of a flavor; what it occupies stays."""
    changed = {**_body(lab.flavors[flavor]), "weight_mgpu": weight_mgpu}
    flavors = {name: changed if name == flavor else _body(one)
               for name, one in lab.flavors.items()}  # fmt: skip
    return _with(lab, flavors=flavors)


def for_planning(lab: Lab) -> Lab:
    """Return the lab with numbers that cost simulated work and change no wait and no charge.

    A hold that reaches further has to be rolled less often; with several sessions at once it
    could keep another one from starting, and a section's pool is drawn from by holds, so there it
    stays as it is. Warnings are left out. A
    place in the line is kept for an hour of silence; the simulation ends it in time by itself.
    """
    policy: dict[str, Any] = {"warn_before_min": (), "waiter_timeout_s": 3600}
    several = [one.sessions or 1 for one in lab.scholars.values()]
    has_pool = any(one.pool is not None for one in lab.sections.values())
    if not has_pool and max([lab.policy.sessions_per_scholar, *several]) == 1:
        policy["hold_step_s"] = 86_400
    return _with(lab, policy=lab.policy.model_copy(update=policy))


def _with(lab: Lab, **changes: Any) -> Lab:
    # Validated again, not copied: what the lab has worked out and kept must be worked out anew.
    parts = {name: getattr(lab, name) for name in Lab.model_fields}
    return Lab.model_validate({**parts, **changes})


def _body(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in type(part).model_fields if name != "name"}


def _spread(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Share a number in proportion, at least one for each, the largest rests first."""
    weights = {name: size or 1 for name, size in sizes.items()}
    total, free = sum(weights.values()), count - len(weights)
    shares = {name: 1 + free * weight // total for name, weight in weights.items()}
    by_rest = sorted(weights, key=lambda name: (-(free * weights[name] % total), name))
    for name in by_rest[: count - sum(shares.values())]:
        shares[name] += 1
    return shares
