"""The use cases of the books: the only opener of transactions.

Used by service, worker and command line.

One transaction each, the account's lock first, no network inside.
"""

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from quota import answers, requests
from quota.amending import read_amendments
from quota.calm import CalmAccounts
from quota.clock import Clock, to_ms
from quota.desk import open_desk, open_desk_of_lease
from quota.errors import NoSuchLease, Refusal
from quota.explanation import Explanation
from quota.invariants import Violation, check_books
from quota.kept_places import keep
from quota.lab import Lab
from quota.leases import LeaseRequest
from quota.ledger_walk import OnAccount
from quota.line_answers import Forecasts
from quota.load import details_view, load_view
from quota.observed import Observed
from quota.placement import GpuUse
from quota.readiness import Readiness
from quota.rulebook import Amendment, Rules, rules_of
from quota.store import reads, slots, writes
from quota.store.engine import reading, transaction
from quota.store.patience import be_patient
from quota.store.places import kept_places
from quota.store.statements import OvertakenError
from quota.tick import TickInput, TickResult, tick
from quota.views import AccountView, DetailsView, LeaseView, LoadView, SpawnView


class Books:
    """The books of one hub.

    `lab` may be replaced at any time (`books.lab = new`): the next use case follows the new
    policy.
    """

    def __init__(self, engine: Engine, lab: Lab, clock: Clock, *, hub_id: str = "main") -> None:
        self.engine = engine
        self.clock = clock
        self.hub_id = hub_id
        self.lab_file = lab
        self.rules = Rules(lab=lab)
        self._amendments: list[Amendment] = []
        self._reloading = threading.Lock()
        self._readiness = Readiness(engine, clock, hub_id)
        self._calm = CalmAccounts()
        self.forecasts = Forecasts()

    # -- the rules in force --------------------------------------------------------------------

    @property
    def lab(self) -> Lab:
        """The rules in force: lab.yaml and what was amended since."""
        return self.rules.lab

    @lab.setter
    def lab(self, lab: Lab) -> None:
        """Follow a new lab.yaml; amendments stay above it."""
        with self._reloading:
            self.lab_file = lab
            self.rules = rules_of(lab, self._amendments)

    def reload_rules(self) -> None:
        """Take over amendments that another process wrote.

        Raises:
            BooksUnavailable: when the database does not answer.

        """
        # One at a time, so that what was read earlier never replaces what was read later.
        with self._reloading:
            with reading(self.engine) as tx:
                found = read_amendments(tx, self.hub_id)
            # Putting a large lab together takes a while; nearly always nothing has changed.
            if found != self._amendments:
                self._amendments = found
                self.rules = rules_of(self.lab_file, found)

    # -- leases ----------------------------------------------------------------------------

    def request_lease(
        self, lease_id: UUID, wanted: LeaseRequest, *, present: bool = True
    ) -> LeaseView:
        """Ask for a session, or what became of it; safe to repeat.

        Raises:
            Refusal: with a code, a sentence and, where known, when it will work.
            BooksUnavailable: when the database does not answer.

        """
        try:
            asked, view = self._request(lease_id, wanted, present=present, takes_late=True)
        except OvertakenError:
            # Once more, with a firm grip before anything else is written.
            asked, view = self._request(lease_id, wanted, present=present, takes_late=False)
        # Outside, so that what was brought up to date on the way stays written.
        if asked.refusal is not None:
            raise asked.refusal
        return view

    def _request(
        self, lease_id: UUID, wanted: LeaseRequest, *, present: bool, takes_late: bool
    ) -> tuple[requests.Asked, LeaseView]:
        now = self.clock.now()
        with transaction(self.engine, step="request_lease") as tx:
            desk = open_desk(tx, self.lab, wanted.hub_id, wanted.account, now=now,
                             lease_id=lease_id, with_room=True)  # fmt: skip
            # SQLite has one writer, whom nobody overtakes.
            desk.takes_late = takes_late and tx.dialect.name == "postgresql"
            asked = requests.request(desk, lease_id, wanted, present=present)
            return asked, answers.lease_view(tx, self.lab, desk.account, asked, now=now,
                                      forecasts=self.forecasts)  # fmt: skip

    def stop_lease(self, lease_id: UUID, reason: str) -> LeaseView:
        """Ask for the end of a lease; safe to repeat.

        Raises:
            NoSuchLease: nobody has it.

        """
        now = self.clock.now()
        with transaction(self.engine, step="stop_lease") as tx:
            desk = open_desk_of_lease(tx, self.lab, lease_id, now=now)
            lease = requests.stop(desk, lease_id, reason)
            asked = requests.Asked(lease=lease, slot=desk.gpu)
            return answers.lease_view(tx, self.lab, desk.account, asked, now=now,
                                      forecasts=self.forecasts)  # fmt: skip

    def keep_place(self, lease_id: UUID) -> LeaseView:
        """Keep a place in the line while its holder starts on a CPU; safe to repeat.

        Raises:
            NoSuchLease: nobody waits under this id.

        """
        now = self.clock.now()
        with transaction(self.engine, step="keep_place") as tx:
            desk = open_desk_of_lease(tx, self.lab, lease_id, now=now)
            asked = requests.Asked(lease=keep(desk, desk.lease(lease_id)), slot=desk.gpu)
            return answers.lease_view(tx, self.lab, desk.account, asked, now=now,
                                      forecasts=self.forecasts)  # fmt: skip

    def ask_for_kept_places(self) -> None:
        """Ask once for each place in the line that is kept, as its holder's page would."""
        with reading(self.engine) as tx:
            places = kept_places(tx, self.hub_id)
        for lease_id, wanted in places.items():
            # What is refused has been told to its holder.
            with suppress(Refusal):
                self.request_lease(lease_id, wanted, present=False)

    def lease(self, lease_id: UUID) -> LeaseView:
        """Tell the state of a lease.

        Raises:
            NoSuchLease: nobody has it.

        """
        with reading(self.engine) as tx:
            lease = reads.lease_by_id(tx, lease_id)
            if lease is None:
                raise NoSuchLease("There is no such lease.")
            row = reads.account_rows(tx, [lease.account_id])[0]
            account = reads.account_of(row, [])
            asked = requests.Asked(lease=lease)
            return answers.lease_view(tx, self.lab, account, asked, now=self.clock.now(),
                                      forecasts=self.forecasts)  # fmt: skip

    # -- what people look at -----------------------------------------------------------------

    def account(self, name: str) -> AccountView:
        """Tell a person's balance, sessions, charges and notices; nothing is written.

        Raises:
            NoSuchAccount: neither the lab nor the books know the person.

        """
        now = self.clock.now()
        with reading(self.engine) as tx:
            return answers.account_view(tx, self.lab, self.hub_id, name, now=now)

    def spawn_options(self, name: str) -> SpawnView:
        """Tell what a person could start now, and why not what they cannot."""
        now = self.clock.now()
        with reading(self.engine) as tx:
            return answers.spawn_view(tx, self.lab, self.hub_id, name, now=now)

    def load(self) -> LoadView:
        """Tell what the metrics show."""
        now = self.clock.now()
        with reading(self.engine) as tx:
            return load_view(tx, self.lab, self.hub_id, now=now)

    def details(self) -> DetailsView:
        """Tell what the metrics show of each GPU, session and section."""
        with reading(self.engine) as tx:
            return details_view(tx, self.lab, self.hub_id)

    def knows(self, name: str) -> bool:
        """Tell whether the rules name a person, or the books have an account of theirs."""
        if self.lab.knows(name):
            return True
        with reading(self.engine) as tx:
            return reads.account_row(tx, self.hub_id, name) is not None

    def explanation(self, name: str) -> Explanation:
        """Tell why a person has this many hours: lines that sum to the balance.

        Raises:
            NoSuchAccount: neither the lab nor the books know the person.

        """
        now = self.clock.now()
        with reading(self.engine) as tx:
            return answers.explanation_view(tx, self.lab, self.hub_id, name, now=now)

    # -- the worker ---------------------------------------------------------------------------

    def set_inventory(self, devices: Iterable[GpuUse]) -> None:
        """Note which GPUs there are; what is on them is not touched."""
        with transaction(self.engine, step="inventory") as tx:
            slots.save_inventory(tx, self.hub_id, devices, now=self.clock.now())

    def tick(self, observed: Iterable[Observed], *, seen_at: datetime) -> TickResult:
        """Bring the books up to an observation of the runtime, begun at `seen_at`."""
        self.reload_rules()
        given = TickInput(observed=tuple(observed), seen_at=seen_at, now=self.clock.now())
        return tick(self.engine, self.lab, self.hub_id, given, calm=self._calm)

    def checkpoint(self) -> tuple[int, str]:
        """Hash all account heads into one; the number and hash go to metric and log."""
        with transaction(self.engine, step="checkpoint") as tx:
            return writes.write_checkpoint(tx, self.clock.now())

    def check(
        self, *, anchor: tuple[int, str] | None = None, on_account: OnAccount | None = None
    ) -> list[Violation]:
        """Check the laws of the books, also against a checkpoint from the log; [] is right."""
        with reading(self.engine, as_of_now=True) as tx:
            be_patient(tx)
            return check_books(tx, anchor=anchor, on_account=on_account)

    def note_check(self, faults: Mapping[str, int]) -> None:
        """Leave when the books were checked, and how many faults each part had."""
        with transaction(self.engine, step="note_check") as tx:
            writes.set_counter(tx, "check_at_ms", "", to_ms(self.clock.now()))
            for part, count in sorted(faults.items()):
                writes.set_counter(tx, "check_faults", part, count)

    def ping(self) -> None:
        """Ask whether the database answers, and takes what is written.

        Raises:
            BooksUnavailable: when it does not.

        """
        self._readiness.ask()
