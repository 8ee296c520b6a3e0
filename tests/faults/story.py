"""A small lab's afternoon, step by step, that can be taken up again after any crash.

What survives a crash lies in files: the database, the runtime (what really ran, and when), and
how far the people got. Each step may be done again as a whole: every id in it is fixed, as a hub
or browser that got no answer repeats what it asked.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from api.deadlines import read_deadlines, write_deadlines
from api.enforce import Enforcer
from api.gpus.devices import GpuDevice
from api.worker import Worker
from api.worker_metrics import WorkerMetrics
from quota.audit import By
from quota.bulk import GrantRow, plan_grants
from quota.census import take_census
from quota.daily import note_refused
from quota.emergency import Emergency, EmergencyStart
from quota.emergency_books import Emergencies
from quota.errors import LeaseConflict, NoSuchLease
from quota.feeds import make_feed, revoke_feed
from quota.helping import Helping
from quota.idling import Idling
from quota.invariants import describe
from quota.notice_choices import choices_of, choose
from quota.observed import Observed
from quota.passing import pass_lab
from quota.refunding import Incident
from quota.reserving_ahead import Reserving
from quota.roster import RosterRow, plan_import
from quota.rulebook import entry_tag
from quota.sending import Outbox
from quota.session_states import SessionState
from quota.store.engine import open_engine
from quota.views import LeaseView
from tests.faults.machine import Machine
from tests.quota.books import NOON, Desk, hours, lab_with

STEP = timedelta(minutes=6)
OLGA, TOMAS = By(actor="olga"), By(actor="tomas")
CHANNELS = """
channels:
  mail: {url_file: mail, chosen_by: [scholars], to_person: true, default: true}
"""
RESERVATIONS = """
reservations: {most_open: 1, ahead_least_min: 0, no_show_min: 5, notice_min: 60}
"""
LAB = lab_with(CHANNELS + RESERVATIONS, section="help_hours_per_week: 5",
               ta_hours_per_week=hours("5"), sessions_per_scholar=5)  # fmt: skip
WEIGHTS = {name: flavor.weight_mgpu for name, flavor in LAB.flavors.items()}
_IDS = UUID(int=4)


def id_of(name: str) -> UUID:
    return uuid5(_IDS, name)


def at(step: int) -> datetime:
    return NOON + step * STEP


class Gpus:
    """Three virtual GPUs, as the worker finds them."""

    def devices(self) -> tuple[GpuDevice, ...]:
        return tuple(GpuDevice(uuid=f"GPU-{number}", name="Virtual GPU", memory_mib=16384,
                               kind="virtual") for number in range(3))  # fmt: skip


class Policy:
    """A file of rules that nobody changes."""

    lab = LAB

    def refresh(self) -> bool:
        return False


@dataclass
class Story:
    """One process of the lab; `folder` is what outlives it."""

    url: str
    folder: Path
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        self.desk = Desk(self.engine, LAB)
        self.desk.books.reload_rules()
        self.machine = Machine(self.folder, self.desk.clock)
        self.note = self.folder / "deadlines.json"
        # The hub says yes to every stop and never stops anything: the machine has to be asked.
        self.enforcer = Enforcer(self.machine, lambda *_: True, hub_budget_s=0, grace_s=20,
                                 on_gone=lambda: None)  # fmt: skip
        self.worker = Worker(
            self.desk.books, self.machine, self.enforcer, Gpus(), policy=Policy(),
            save_deadlines=lambda some: write_deadlines(self.note, some), metrics=WorkerMetrics(),
        )  # fmt: skip

    # -- going on --------------------------------------------------------------------------

    def live(self, first: int = 0, last: int | None = None) -> None:
        """Do all steps from one on, or up to one."""
        for number in range(first, len(STEPS) if last is None else last):
            (self.folder / "step").write_text(str(number))
            self.desk.clock.set(max(self.desk.clock.now(), at(number)))
            STEPS[number](self)

    def settle(self, since: datetime) -> None:
        """Two ticks after a crash: the laws hold, no hold is lost, and a scholar can start."""
        # The watchdog reads it whatever became of the worker: whole or not there, never in part.
        read_deadlines(self.note)
        for tick in (1, 2):
            self.desk.clock.set(since + tick * timedelta(seconds=15))
            self.tick()
        self.check()
        probe = self.desk.ask("dina", "quarter", lease_id=id_of("probe"))
        for _ in range(3):
            if probe.lease.state == "held":
                break
            self.desk.clock.advance(timedelta(seconds=2))
            probe = self.desk.ask("dina", "quarter", lease_id=id_of("probe"))
        assert probe.lease.state == "held", probe
        self.desk.books.stop_lease(probe.lease.id, "person")
        assert self.desk.clock.now() - since <= timedelta(seconds=60)

    def check(self) -> None:
        found = self.desk.books.check()
        assert not found, describe(found)
        assert self.desk.office.check_trail() == []

    # -- the runtime -----------------------------------------------------------------------

    def start(self, ref: str, who: str, flavor: str, lease_id: UUID | None) -> None:
        self.machine.start(Observed(
            ref=ref, lease_id=lease_id, hub_id="main", account=who, server_name=ref,
            flavor=flavor, started_at=self.desk.clock.now(), finished_at=None, exit_code=None,
        ))  # fmt: skip

    def tick(self) -> None:
        """One pass of the worker, with all that it began."""
        self.worker.take_inventory()
        running = {one.ref for one in self.machine.observe() if one.is_running}
        result = self.worker.tick()
        for begun in list(self.enforcer._busy.values()):
            begun.result(timeout=20)
        note = read_deadlines(self.note)
        assert note is not None
        assert {one.ref for one in note.sessions} <= running
        assert {one.ref for one in result.stops} <= running

    # -- what people ask -------------------------------------------------------------------

    def ask(self, who: str, flavor: str, name: str) -> LeaseView:
        return self.desk.ask(who, flavor, lease_id=id_of(name), server=name)

    def reserve(self, who: str, flavor: str, since: datetime, *, name: str = "") -> None:
        Reserving(self.desk.books).reserve(
            id_of(name or f"{who} reserves"), who, flavor=flavor, starts_at=since, minutes=30,
            by=By(actor=who),
        )  # fmt: skip


# -- the steps --------------------------------------------------------------------------------


def _open(story: Story) -> None:
    story.desk.books.ping()
    story.worker.take_inventory()
    _ada_says_what_she_wants_to_hear(story)


def _ada_starts(story: Story) -> None:
    assert story.ask("ada", "whole", "ada").lease.state in ("held", "active")
    story.start("ada", "ada", "whole", id_of("ada"))
    story.tick()


def _ada_says_what_she_wants_to_hear(story: Story) -> None:
    kinds = ("grant_given", "request_decided", "attached", "detached")
    books = story.desk.books
    choose(books, "ada", {kind: ["mail"] for kind in kinds}, tag=choices_of(books, "ada").tag)


def _letters_go_out(story: Story) -> None:
    """What was sent is in a file, whatever the books know of it."""
    sender = Outbox(story.desk.books)
    letters = sender.claim().letters
    with (story.folder / "mail").open("a") as mail:
        mail.writelines(f"{one.occasion}\n" for one in letters)
    sender.settle(sent=letters)


def _blaise_changes_his_mind(story: Story) -> None:
    story.ask("blaise", "quarter", "blaise")
    story.desk.books.stop_lease(id_of("blaise"), "person")
    note_refused(story.desk.books, {"too_many_sessions": 1})
    story.tick()


def _time_passes(story: Story) -> None:
    for _ in range(3):
        story.desk.clock.advance(timedelta(seconds=100))
        story.tick()


def _hours_are_given(story: Story) -> None:
    until = at(100)
    story.desk.office.grant(id_of("plain"), "blaise", hours("2"), by=OLGA, reason="talk",
                            until=until)  # fmt: skip
    story.desk.office.grant(id_of("olga's"), "ada", hours("1"), by=OLGA, reason="talk",
                            until=until)  # fmt: skip
    story.desk.office.grant(id_of("tomas'"), "ada", hours("0.5"), by=TOMAS, reason="exercise",
                            until=until, source="ta_grant")  # fmt: skip
    rows = [GrantRow(line=line, account=who, hours="1", reason="outing", until=until)
            for line, who in enumerate(("chen", "blaise"), start=1)]  # fmt: skip
    plan = plan_grants(id_of("many"), rows, LAB, NOON)
    story.desk.office.grant_many(plan, by=OLGA)
    story.reserve("chen", "quarter", at(6), name="nobody comes")


def _hours_are_asked_for(story: Story) -> None:
    office = story.desk.office
    for who in ("ada", "blaise", "chen"):
        office.ask(id_of(f"{who} asks"), who, hours("2"), "for the project")
    office.answer(id_of("ada asks"), hours("1"), by=OLGA, text="half of it")
    office.answer(id_of("blaise asks"), None, by=OLGA, text="not now")
    office.withdraw(id_of("chen asks"), by=By(actor="chen"))
    pass_lab(story.desk.books, "ada", "week-1")
    _letters_go_out(story)


def _an_outage_is_refunded(story: Story) -> None:
    incident = Incident(id="outage", starts_at=at(2), ends_at=at(3), reason="the power failed")
    story.desk.office.refund(incident, by=OLGA)


def _tomas_helps(story: Story) -> None:
    helping, ada = Helping(story.desk.books), By(actor="ada")
    helping.choose("ada", "asking", by=ada)
    helping.raise_hand(id_of("hand"), "ada", message="stuck", path="", server_name="ada", by=ada)
    helping.claim(id_of("hand"), by=TOMAS)
    helping.open_session(id_of("ada"), "")
    story.desk.office.attach(id_of("help"), "ada", server_name="ada", mode="observe", minutes=30,
                             by=TOMAS, reason="asked in the chat", has_own_host=True,
                             help_request_id=id_of("hand"))  # fmt: skip
    _time_passes(story)


def _help_is_over(story: Story) -> None:
    story.desk.office.detach(id_of("help"), "detached", by=TOMAS)
    helping = Helping(story.desk.books)
    helping.note_unshared([id_of("help")])
    helping.resolve(id_of("hand"), "a smaller learning rate", by=TOMAS)
    _all_gpus_are_reserved(story)
    _time_passes(story)


def _all_gpus_are_reserved(story: Story) -> None:
    """Also ada's, who is told to make room an hour before it begins."""
    for who in ("chen", "dina", "emeka"):
        story.reserve(who, "whole", at(21) + timedelta(minutes=4))


def _they_are_given_back(story: Story) -> None:
    """Then she need not."""
    for who in ("chen", "dina", "emeka"):
        Reserving(story.desk.books).withdraw(id_of(f"{who} reserves"), by=By(actor=who))
    story.tick()


def _rules_change(story: Story) -> None:
    office, file = story.desk.office, story.desk.books.lab_file
    body, _ = office.rule("sections", "berlin")
    tag = entry_tag(file, "sections", "berlin")
    office.change_rule("sections", "berlin", body | {"hours_per_week": 2}, tag=tag, by=OLGA,
                       reason="more to do")  # fmt: skip
    rows = [RosterRow(line=2, name="fay", section="berlin")]
    plan = plan_import(story.desk.books.lab, rows, remove_others=False)
    if not plan.is_empty:
        office.import_roster(plan, by=OLGA, reason="late arrival")
    make_feed(story.desk.books, id_of("feed"), "ada", "utc", by=By(actor="ada"))
    revoke_feed(story.desk.books, id_of("feed"), by=By(actor="ada"))


def _something_strange_runs(story: Story) -> None:
    story.start("stray", "chen", "cpu", None)
    _an_emergency_is_told(story)
    story.tick()
    story.desk.books.checkpoint()
    story.desk.books.note_check({"books": 0, "trail": 0})
    take_census(story.desk.books)


def _an_emergency_is_told(story: Story) -> None:
    """The books were away, and emeka wanted a GPU, but what he started never came to be."""
    since = at(STEPS.index(_something_strange_runs))
    told = Emergencies(story.desk.books)
    told.note(Emergency(id=id_of("emergency"), opened_by="olga", reason="the database is away",
                        opened_at=since, until=since + timedelta(hours=1)), by=OLGA)  # fmt: skip
    told.note_start(EmergencyStart(
        lease_id=id_of("in it"), emergency_id=id_of("emergency"), account="emeka",
        server_name="in it", flavor="quarter", gpu_uuid="GPU-1", started_at=since,
        ends_at=since + timedelta(hours=1),
    ), by=OLGA)  # fmt: skip
    with suppress(NoSuchLease):  # there was no room for it
        story.desk.books.stop_lease(id_of("in it"), "spawn_failed")


def _blaise_works_on_a_cpu_meanwhile(story: Story) -> None:
    """His place is kept until he leaves the line."""
    _they_are_given_back(story)
    place = id_of("place")
    with suppress(LeaseConflict):  # it is kept already
        story.desk.ask("blaise", "quarter", lease_id=place, server="place", present=False)
    with suppress(NoSuchLease):  # it is over already
        story.desk.books.keep_place(place)
    story.desk.books.stop_lease(place, "left_line")


def _a_gpu_is_not_used(story: Story) -> None:
    """She is warned, and says that she comes back."""
    idling, since = Idling(story.desk.books), story.desk.clock.now() - timedelta(minutes=25)
    idling.note({id_of("ada"): SessionState(state="empty", since=since)})
    idling.keep(id_of("ada"))
    # The hub comes back from an old backup meanwhile.
    idling.tell_forgotten(id_of("ada"))


def _all_go_home(story: Story) -> None:
    """An organizer ends one session, through hub and worker; the other's server just ends."""
    story.desk.office.stop(id_of("ada"), by=OLGA, reason="the lab closes for today")
    story.machine.finish("stray")
    for _ in range(3):
        story.desk.clock.advance(timedelta(seconds=15))
        story.tick()
    _letters_go_out(story)


STEPS: tuple[Callable[[Story], None], ...] = (
    _open, _ada_starts, _blaise_changes_his_mind, _time_passes, _hours_are_given,
    _hours_are_asked_for, _an_outage_is_refunded, _time_passes, _tomas_helps, _help_is_over,
    _rules_change, _something_strange_runs, _time_passes, _blaise_works_on_a_cpu_meanwhile,
    _a_gpu_is_not_used, _all_go_home,
)  # fmt: skip
