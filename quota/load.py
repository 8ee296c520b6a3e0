"""The load of the lab for the metrics, without the names of people; nothing is written.

What is read grows with the sessions that run and the GPUs, never with the number of accounts.
"""

from collections import Counter
from datetime import datetime

from sqlalchemy import Connection

from quota.clock import from_ms
from quota.lab import Lab
from quota.placement import without
from quota.reconcile import STOP_WITHIN
from quota.store import counting, reads
from quota.store.emergencies import count_starts, newest_emergencies
from quota.store.help import count_by_state
from quota.store.office import attachments_by_account
from quota.views import DetailsView, LoadView, SessionOnGpu


def load_view(tx: Connection, lab: Lab, hub_id: str, *, now: datetime) -> LoadView:
    """Show the load of the lab."""
    found = counting.open_leases(tx, hub_id)
    counters = reads.all_counters(tx)
    tick_ms = counters.get(("tick_at_ms", ""))
    return LoadView(
        sessions={(one.flavor, one.state): one.count for one in found},
        gpus=without(reads.gpu_uses(tx, hub_id), lab.drained_gpus),
        counters=counters,
        unposted=counting.unposted(tx, hub_id, now),
        oldest_tick_at=None if tick_ms is None else from_ms(tick_ms),
        flavors=tuple(lab.flavors),
        help_requests=count_by_state(tx, hub_id),
        waiting_since={one.flavor: one.asked_at for one in found
                       if one.state == "waiting" and one.asked_at is not None},
        overdue=counting.overdue(tx, hub_id, now - STOP_WITHIN),
        attachments=Counter(one.mode for one in attachments_by_account(tx, hub_id).values()
                            if one.until > now),
        emergency_is_open=any(row.one.is_open(now)
                              for row in newest_emergencies(tx, hub_id, most=1)),
        emergency_starts=count_starts(tx, hub_id),
    )  # fmt: skip


def details_view(tx: Connection, lab: Lab, hub_id: str) -> DetailsView:
    """Show each GPU, each session on one, and what was counted of each section."""
    sessions = []
    for lease_id, flavor, gpu_uuid, account, state in counting.sessions_on_gpus(tx, hub_id):
        section = lab.section_of(account)
        sessions.append(SessionOnGpu(
            lease_id=lease_id, flavor=flavor, gpu_uuid=gpu_uuid,
            section="" if section is None else section.name, does=state or "unknown",
        ))  # fmt: skip
    return DetailsView(
        gpus=without(reads.gpu_uses(tx, hub_id), lab.drained_gpus), sessions=tuple(sessions),
        counters=reads.all_counters(tx),
    )  # fmt: skip
