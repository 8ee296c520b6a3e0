"""The load of the lab for the metrics, without the names of people; nothing is written.

What is read grows with the sessions that run and the GPUs, never with the number of accounts.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from quota.amount import GpuTime
from quota.clock import from_ms
from quota.lab import Lab
from quota.leases import Lease
from quota.placement import without
from quota.reconcile import STOP_WITHIN
from quota.store import reads
from quota.store.emergencies import count_starts, newest_emergencies
from quota.store.help import count_by_state
from quota.store.office import attachments_by_account
from quota.store.session_states import running_sessions, states_of_hub
from quota.views import DetailsView, LoadView, SessionOnGpu


def load_view(tx: Connection, lab: Lab, hub_id: str, *, now: datetime) -> LoadView:
    """Show the load of the lab."""
    open_leases = [one for some in reads.all_open_leases(tx, hub_id).values() for one in some]
    sessions: dict[tuple[str, str], int] = {}
    for lease in open_leases:
        key = (lease.flavor, lease.state)
        sessions[key] = sessions.get(key, 0) + 1
    counters = reads.all_counters(tx)
    tick_ms = counters.get(("tick_at_ms", ""))
    return LoadView(
        sessions=sessions,
        gpus=without(reads.gpu_uses(tx, hub_id), lab.drained_gpus),
        counters=counters,
        unposted=GpuTime.total(
            lease.unposted(lease.observed_until or now) for lease in open_leases
        ),
        oldest_tick_at=None if tick_ms is None else from_ms(tick_ms),
        flavors=tuple(lab.flavors),
        help_requests=count_by_state(tx, hub_id),
        waiting_since=_waiting_since(open_leases),
        overdue=sum(_is_overdue(lease, now) for lease in open_leases),
        attachments=Counter(one.mode for one in attachments_by_account(tx, hub_id).values()
                            if one.until > now),
        emergency_is_open=any(row.one.is_open(now)
                              for row in newest_emergencies(tx, hub_id, most=1)),
        emergency_starts=count_starts(tx, hub_id),
    )  # fmt: skip


def details_view(tx: Connection, lab: Lab, hub_id: str) -> DetailsView:
    """Show each GPU, each session on one, and what was counted of each section."""
    states, sessions = states_of_hub(tx, hub_id), []
    for one in running_sessions(tx, hub_id):
        if one.gpu_uuid is None:
            continue
        section, state = lab.section_of(one.account), states.get(one.lease_id)
        sessions.append(SessionOnGpu(
            lease_id=one.lease_id, flavor=one.flavor, gpu_uuid=one.gpu_uuid,
            section="" if section is None else section.name,
            does="unknown" if state is None else state.state,
        ))  # fmt: skip
    return DetailsView(
        gpus=without(reads.gpu_uses(tx, hub_id), lab.drained_gpus), sessions=tuple(sessions),
        counters=reads.all_counters(tx),
    )  # fmt: skip


def _waiting_since(open_leases: Iterable[Lease]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for lease in open_leases:
        if lease.state == "waiting" and not lease.keeps_place:
            since = found.get(lease.flavor, lease.requested_at)
            found[lease.flavor] = min(since, lease.requested_at)
    return found


def _is_overdue(lease: Lease, now: datetime) -> bool:
    if lease.state != "stopping" or lease.paid_until is None:
        return False
    return lease.paid_until + STOP_WITHIN < now
