"""Reading and writing which labs scholars have passed."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from quota.labs import PassedLab
from quota.store.tables import accounts, labs_passed


def passed_labs_of(tx: Connection, account_id: int) -> list[PassedLab]:
    """Read what a scholar has passed, the earliest first."""
    mine = labs_passed.c.account_id == account_id
    query = select(labs_passed).where(mine).order_by(labs_passed.c.passed_at, labs_passed.c.lab)
    return [
        PassedLab(name=row["lab"], passed_at=row["passed_at"])
        for row in tx.execute(query).mappings()
    ]


def passed_labs(tx: Connection, hub_id: str, names: Sequence[str]) -> list[tuple[str, PassedLab]]:
    """Read what some scholars have passed, by name, the earliest first."""
    query = (
        select(labs_passed, accounts.c.name)
        .join(accounts, accounts.c.id == labs_passed.c.account_id)
        .where(accounts.c.hub_id == hub_id, accounts.c.name.in_(names))
        .order_by(accounts.c.name, labs_passed.c.passed_at, labs_passed.c.lab)
    )
    return [
        (row["name"], PassedLab(name=row["lab"], passed_at=row["passed_at"]))
        for row in tx.execute(query).mappings()
    ]


def insert_passed_lab(tx: Connection, account_id: int, passed: PassedLab) -> None:
    """Write that a scholar has passed a lab."""
    tx.execute(
        insert(labs_passed),
        {"account_id": account_id, "lab": passed.name, "passed_at": passed.passed_at},
    )
