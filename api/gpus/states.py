"""What a session does, from looks at its processes and its GPU. Pure.

- active: somebody is there, or it computes;
- training: nobody is there, and the GPU has been used for some time;
- holding: nothing computes, and GPU memory is held;
- empty: nothing computes, and nothing of it is on the GPU;
- unknown: something was not told that it takes to tell the others apart; nothing follows.

Only what was seen without a gap counts as idle: a look that failed begins it anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from quota.lab_idle import IdleRules
from quota.session_states import SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at one session; None stands for what was not told.

    `cpu_cores` is how many cores it kept busy since the look before, `held_mib` the GPU memory of
    its processes.
    """

    at: datetime
    has_gpu_process: bool | None
    sm_percent: float | None
    cpu_cores: float | None
    held_mib: int | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is missing that matters."""
        if self.has_gpu_process is None or self.cpu_cores is None:
            return False
        return self.sm_percent is not None or not self.has_gpu_process


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the looks so far say, as far back as they have no gap."""

    last: Look
    known_from: datetime | None = None
    computed_at: datetime | None = None
    on_gpu_at: datetime | None = None
    used: tuple[tuple[datetime, float], ...] = ()


def with_look(
    history: History | None, look: Look, rules: IdleRules, *, longest_gap: timedelta
) -> History:
    """Add a look."""
    if not look.is_whole:
        return History(last=look)
    assert look.cpu_cores is not None
    percent = look.sm_percent or 0.0
    if history is None or history.known_from is None or look.at - history.last.at > longest_gap:
        # Of the time before this look nothing is known: it may have computed up to now.
        return History(last=look, known_from=look.at, computed_at=look.at, on_gpu_at=look.at)
    since = look.at - timedelta(minutes=rules.training_min) - longest_gap
    computes = percent >= rules.busy_gpu_percent or look.cpu_cores * 100 >= rules.busy_cpu_percent
    return replace(
        history,
        last=look,
        computed_at=look.at if computes else history.computed_at,
        on_gpu_at=look.at if look.has_gpu_process else history.on_gpu_at,
        used=(*(one for one in history.used if one[0] > since), (look.at, percent)),
    )


def state_of(history: History, person_at: datetime | None, rules: IdleRules) -> SessionState:
    """Tell what a session does, and since when.

    `person_at` is the last sign of somebody; None: that was not told.
    """
    now, known_from, computed_at = history.last.at, history.known_from, history.computed_at
    if person_at is None or known_from is None or computed_at is None:
        return SessionState(state="unknown", since=now)
    active_for = timedelta(minutes=rules.active_min)
    if now - person_at < active_for:
        return SessionState(state="active", since=person_at)
    training_from = _training_from(history, rules)
    if training_from is not None:
        return SessionState(state="training", since=training_from)
    if now - computed_at < active_for:
        return SessionState(state="active", since=computed_at)
    quiet_from = max(person_at, computed_at, known_from)
    if history.last.has_gpu_process:
        return SessionState(state="holding", since=quiet_from)
    assert history.on_gpu_at is not None, "set with known_from"
    return SessionState(state="empty", since=max(quiet_from, history.on_gpu_at))


def computes(history: History, rules: IdleRules) -> bool:
    """Tell whether a session has computed lately, whoever is there."""
    known_from, at = history.known_from, history.computed_at
    if known_from is None or at is None or at == known_from:
        return False
    return history.last.at - at < timedelta(minutes=rules.active_min)


def _training_from(history: History, rules: IdleRules) -> datetime | None:
    """Return the beginning of the time over which the GPU was used; None when it was not."""
    assert history.known_from is not None
    begins = history.last.at - timedelta(minutes=rules.training_min)
    if history.known_from > begins:
        return None
    percents = [percent for at, percent in history.used if at > begins]
    return begins if _mean(percents) >= rules.busy_gpu_percent else None


def _mean(percents: Sequence[float]) -> float:
    return sum(percents) / len(percents) if percents else 0.0
