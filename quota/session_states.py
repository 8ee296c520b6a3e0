"""What sessions do with their GPUs, and when an idle one gives its GPU back. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from quota.gpu_use import SessionUse
from quota.lab_idle import IdleRules

StateName = Literal["active", "training", "holding", "empty", "unknown"]
STATE_NAMES: tuple[StateName, ...] = get_args(StateName)
Decision = Literal["nothing", "warn", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """What a session does, and since when it has done nothing else."""

    state: StateName
    since: datetime

    @property
    def is_idle(self) -> bool:
        """Tell whether it only keeps a GPU from others."""
        return self.state in ("holding", "empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState(SessionState):
    """A session's state as the books keep it, and what was said about it."""

    lease_id: UUID
    warned_at: datetime | None = None
    kept_until: datetime | None = None
    # Written by itself, and much more often: no part of what makes two states the same.
    use: SessionUse | None = field(default=None, compare=False)

    def as_of(self, now: datetime, *, fresh_for: timedelta) -> "StoredState":
        """Return it with what is known now of how busy the GPU is kept."""
        use = None if self.use is None else self.use.as_of(now, fresh_for=fresh_for)
        return replace(self, use=use)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSession:
    """A session that the books have as running: whose, where, on what."""

    lease_id: UUID
    ref: str
    account: str
    server_name: str
    flavor: str
    gpu_uuid: str | None
    memory_mib: int


def with_state(stored: StoredState | None, lease_id: UUID, seen: SessionState) -> StoredState:
    """Take over what was seen."""
    if stored is None:
        return StoredState(lease_id=lease_id, state=seen.state, since=seen.since)
    is_same = stored.state == seen.state
    if is_same and (not seen.is_idle or stored.since == seen.since):
        return stored
    return replace(stored, state=seen.state, since=seen.since)


def release_at(stored: StoredState, rules: IdleRules, *, is_wanted: bool) -> datetime | None:
    """Return when a session gives its GPU back if nothing changes; None while that is not so.

    An answer to keep it counts unless somebody waits for a GPU.
    """
    idle_min = {"holding": rules.holding_min, "empty": rules.empty_min}.get(stored.state, 0)
    if not idle_min:
        return None
    at = stored.since + timedelta(minutes=idle_min)
    if stored.kept_until is not None and not is_wanted:
        at = max(at, stored.kept_until)
    if stored.warned_at is not None:
        # Whoever was warned late, because somebody came to wait, has as much time as others.
        at = max(at, stored.warned_at + timedelta(minutes=rules.warn_min))
    return at


def decide(stored: StoredState, rules: IdleRules, *, now: datetime, is_wanted: bool) -> Decision:
    """Tell what to do about a session now."""
    at = release_at(stored, rules, is_wanted=is_wanted)
    warn_from = None if at is None else at - timedelta(minutes=rules.warn_min)
    if at is None or warn_from is None or now < warn_from:
        return "nothing"
    # A warning of an earlier idle time, or of one that has gone on longer since, is none.
    if stored.warned_at is None or stored.warned_at < warn_from:
        return "warn"
    return "release" if now >= at else "nothing"


def idle_warning(stored: StoredState, rules: IdleRules, left_min: int, *, is_wanted: bool) -> str:
    """Say that a GPU will be given back, why, and how to keep it."""
    what = "does nothing on its GPU" if stored.state == "holding" else "does not use its GPU"
    keep = (
        f'To keep it for {rules.keep_min} minutes, press "Keep the GPU" on the lab\'s home page.'
    )
    if is_wanted:
        keep = "Somebody waits for a GPU, so it cannot be kept without using it."
    return (
        f"Your session {what}. It will be stopped in {left_min} minutes and the GPU given to "
        f"others. Save your work: files are kept, but what is only in memory is lost. {keep}"
    )


def released_text(flavor: str, stored: StoredState, now: datetime) -> str:
    """Say that a session was stopped, what is kept, and what can be done next."""
    minutes = int((now - stored.since).total_seconds()) // 60
    return (
        f"Your session on {flavor} was stopped because it had not used its GPU for {minutes} "
        "minutes. Your files are kept. You can go on at once on a CPU, or start again on a GPU."
    )
