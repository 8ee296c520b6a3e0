"""A scholar passes a lab: written the first time, and never again.

Like `quota.service`, one transaction each, the account's lock first, no network inside. There is
no line on the audit trail: nobody gets a right or an hour by it.
"""

from sqlalchemy import Connection, RowMapping

from quota.errors import NoSuchAccount
from quota.labs import PassedLab, check_lab
from quota.service import Books
from quota.store import labs as rows
from quota.store import reads
from quota.store.engine import reading, transaction


def pass_lab(books: Books, name: str, lab_name: str) -> PassedLab:
    """Note that a scholar has passed a lab; the first time counts.

    Raises:
        NoSuchThing: the program has no such lab.
        NoSuchAccount: the scholar has never had a session.

    """
    check_lab(lab_name, books.lab.program)
    with reading(books.engine) as tx:
        # Whoever runs a notebook again and again takes no lock.
        if (before := _passed(tx, _row(books, tx, name), lab_name)) is not None:
            return before
    with transaction(books.engine, step="lab_passed") as tx:
        row = _row(books, tx, name, lock=True)
        if (before := _passed(tx, row, lab_name)) is not None:
            return before
        passed = PassedLab(name=lab_name, passed_at=books.clock.now())
        rows.insert_passed_lab(tx, row["id"], passed)
        return passed


def passed_by(books: Books, name: str) -> tuple[PassedLab, ...]:
    """Tell what a scholar has passed, the earliest first."""
    with reading(books.engine) as tx:
        row = reads.account_row(tx, books.hub_id, name)
        return () if row is None else tuple(rows.passed_labs_of(tx, row["id"]))


def _row(books: Books, tx: Connection, name: str, *, lock: bool = False) -> RowMapping:
    row = reads.account_row(tx, books.hub_id, name, lock=lock)
    if row is None:
        raise NoSuchAccount("The books know nobody of this name.")
    return row


def _passed(tx: Connection, row: RowMapping, lab_name: str) -> PassedLab | None:
    found = rows.passed_labs_of(tx, row["id"])
    return next((one for one in found if one.name == lab_name), None)
