"""What open sessions do with their GPUs, for whoever looks at an account."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from quota.gpu_use import fresh_for
from quota.lab import Lab
from quota.session_states import release_at
from quota.store.session_states import is_gpu_wanted, states_of
from quota.views import SessionView


def with_states(
    tx: Connection, lab: Lab, hub_id: str, views: Sequence[SessionView], *, now: datetime
) -> tuple[SessionView, ...]:
    """Add to each session on a GPU what it does there, and when it will have to give it back."""
    states = states_of(tx, [one.lease.id for one in views if one.lease.occupies])
    is_wanted = any(one.is_idle for one in states.values()) and is_gpu_wanted(tx, hub_id)
    found = []
    for one in views:
        state = states.get(one.lease.id)
        if state is None:
            found.append(one)
            continue
        at = release_at(state, lab.idle, is_wanted=is_wanted)
        state = state.as_of(now, fresh_for=fresh_for(lab.policy.tick_s))
        found.append(replace(one, state=state, release_at=at))
    return tuple(found)
