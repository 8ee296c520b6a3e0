"""How busy sessions keep their GPUs, from one look to the next. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from api.gpus.states import Look
from quota.gpu_use import SessionUse, minutes_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """A session's use up to now, and what the looks of this minute have measured."""

    use: SessionUse
    percents: tuple[float, ...] = ()


def with_measured(before: Measuring | None, look: Look, *, longest_gap: timedelta) -> Measuring:
    """Add a look.

    The driver tells of the time since the look before. So it speaks for the minutes between, too,
    unless there was too long a gap.
    """
    known = () if look.sm_percent is None else (look.sm_percent,)
    if before is None or look.at < before.use.seen_at:
        return Measuring(use=_use_at(None, look, known), percents=known)
    if minutes_between(before.use.seen_at, look.at) == 0:
        known = (*before.percents, *known)
    is_close = look.at - before.use.seen_at <= longest_gap
    return Measuring(use=_use_at(before.use, look, known, speaks=is_close), percents=known)


def _use_at(
    before: SessionUse | None, look: Look, known: tuple[float, ...], *, speaks: bool = False
) -> SessionUse:
    busy = None if look.sm_percent is None else round(look.sm_percent)
    mean = round(sum(known) / len(known)) if known else None
    if before is None:
        return SessionUse(seen_at=look.at, busy_percent=busy, held_mib=look.held_mib,
                          minutes=(mean,))  # fmt: skip
    return before.at(look.at, busy_percent=busy, held_mib=look.held_mib, mean=mean,
                     between=busy if speaks else None)  # fmt: skip
