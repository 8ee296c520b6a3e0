"""An organizer ends somebody's session: asked of the worker, told to the scholar, on the trail."""

from uuid import UUID

from quota import requests
from quota.audit import By
from quota.desk import Desk
from quota.errors import NoSuchLease
from quota.leases import Lease
from quota.reconcile import Notice
from quota.store import writes
from quota.store.trail import write_audit


def stop_as_organizer(desk: Desk, lease_id: UUID, *, by: By, reason: str) -> Lease:
    """Note that a session has to end; one that is ending or over is left as it is.

    Raises:
        NoSuchLease: the account has no such lease.

    """
    before = desk.lease(lease_id)
    if before is None or before.account_id != desk.account.id:
        raise NoSuchLease("There is no such session.")
    if before.state in ("stopping", "ended"):
        return before
    after = requests.stop(desk, lease_id, "organizer")
    text = f"An organizer stopped your session: {reason}"
    writes.save_notices(desk.tx, [Notice(account_id=desk.account.id, lease_id=lease_id,
                                         kind="stopped", text=text, at=desk.now)])  # fmt: skip
    write_audit(
        desk.tx, by, "session.stop", desk.account.name, hub_id=desk.account.hub_id, at=desk.now,
        reason=reason, before={"state": before.state},
        after={"state": after.state, "lease": lease_id, "server": before.server_name},
    )  # fmt: skip
    return after
