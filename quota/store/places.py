"""Reading the places in the line that are kept for people who work on a CPU meanwhile."""

from uuid import UUID

from sqlalchemy import Connection, exists, select

from quota.leases import KEPT_PLACE, LeaseRequest
from quota.store.tables import accounts, leases

_others = leases.alias("others")


def kept_places(tx: Connection, hub_id: str) -> dict[UUID, LeaseRequest]:
    """Read the kept places of those who have a session, as requests to be repeated."""
    has_session = exists().where(
        _others.c.account_id == leases.c.account_id,
        _others.c.state.in_(("held", "active", "stopping")),
    )
    query = (
        select(leases, accounts.c.name.label("account"))
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.state == "waiting")
        .where(leases.c.server_name == KEPT_PLACE, has_session)
        .order_by(leases.c.requested_at, leases.c.id)
    )
    return {
        row["id"]: LeaseRequest(
            hub_id=hub_id, account=row["account"], server_name=KEPT_PLACE, flavor=row["flavor"],
            image=row["image"],
        )
        for row in tx.execute(query).mappings()
    }  # fmt: skip
