"""P04: a crash at any step is safe: no double or lost charge, no lost hold, nobody locked out."""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from api import worker
from quota import failpoints
from quota.amount import GpuTime
from quota.clock import ms_between
from quota.failpoints import EXIT_STATUS, NAMES, arm
from quota.ledger import Account
from quota.store import writes
from quota.store.engine import reading
from quota.store.tables import audit, entries, gpus, leases, lots, outbox
from tests.faults.crashes import in_a_process, postgres_copies, sqlite_copies
from tests.faults.story import STEPS, WEIGHTS, Story, at
from tests.quota.books import hours

MakeBooks = Callable[[], str]
# On PostgreSQL a few in every run: one of each kind of writer, before and after the commit.
_FEW = ("request_lease.written", "request_lease.committed", "tick_advances.written",
        "tick_advances.committed", "tick_seen.written", "hours_moved", "entries_saved",
        "refund_given.committed", "attach.committed", "roster_imported.written", "observed",
        "session_ended", "session_removed")  # fmt: skip


@pytest.fixture(scope="module")
def sqlite_books() -> Iterator[MakeBooks]:
    # What is killed here are processes, not machines: a memory disk keeps all that they wrote.
    fast = Path("/dev/shm")
    with (
        TemporaryDirectory(prefix="gpulab-p04-", dir=fast if fast.is_dir() else None) as folder,
        sqlite_copies(Path(folder)) as make,
    ):
        yield make


@pytest.fixture(scope="module")
def postgres_books(postgres_url: str) -> Iterator[MakeBooks]:
    with postgres_copies(postgres_url, "crash") as make:
        yield make


@pytest.mark.parametrize("name", sorted(NAMES))
def test_p04_on_sqlite(name: str, sqlite_books: MakeBooks, tmp_path: Path) -> None:
    assert crash_and_go_on(name, 0, sqlite_books(), tmp_path), "the story never came by"


@pytest.mark.postgres
@pytest.mark.parametrize(
    "name",
    [one if one in _FEW else pytest.param(one, marks=pytest.mark.long) for one in sorted(NAMES)],
)
def test_p04_on_postgres(name: str, postgres_books: MakeBooks, tmp_path: Path) -> None:
    assert crash_and_go_on(name, 0, postgres_books(), tmp_path), "the story never came by"


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_p04_whenever_the_story_comes_by(
    name: str, sqlite_books: MakeBooks, tmp_path: Path
) -> None:
    """Each failpoint each time that it is reached."""
    passes = 0
    while True:
        if not crash_and_go_on(name, passes, sqlite_books(), _folder(tmp_path)):
            break
        passes += 1
    assert passes > 0


@pytest.mark.parametrize(
    "name", ["observed", "tick_advances.written", "tick_seen.written", "session_removed"]
)
def test_p04_while_the_last_end(name: str, sqlite_books: MakeBooks, tmp_path: Path) -> None:
    """When sessions have ended and their records are still to be posted."""
    last = len(STEPS) - 1
    assert crash_and_go_on(name, 1, sqlite_books(), tmp_path, armed_at=last), "never came by"


def crash_and_go_on(name: str, passes: int, url: str, folder: Path, *, armed_at: int = 0) -> bool:
    """Die at a failpoint, restart, settle, go on to the end; False if it was never reached."""
    log = folder / "error"
    (folder / "step").write_text("0")

    def die() -> None:
        story = Story(url, folder)
        story.live(0, armed_at)
        arm(name, passes=passes)
        story.live(armed_at)

    status = in_a_process(die, log)
    if status == 0:
        return False
    assert status == EXIT_STATUS, log.read_text()

    def go_on() -> None:
        story = Story(url, folder)
        step = int((folder / "step").read_text())
        # The last step's clock may have gone on by almost a step before the crash.
        story.settle(at(step) + timedelta(minutes=5))
        story.live(step)
        check_the_end(story)

    status = in_a_process(go_on, log)
    assert status == 0, log.read_text()
    return True


def check_the_end(story: Story) -> None:
    """The books say of the afternoon what the runtime says, and each deed is there once."""
    story.check()
    assert story.machine.sessions == {}
    with reading(story.engine) as tx:
        charged: dict[UUID, GpuTime] = {}
        for row in tx.execute(select(entries).where(entries.c.kind == "charge")).mappings():
            before = charged.get(row["lease_id"], GpuTime.ZERO)
            charged[row["lease_id"]] = before - row["posted"]
        given = Counter[str]()
        for row in tx.execute(select(lots)).mappings():
            given[row["source"]] += row["amount"].mgpu_ms
        assert set(tx.execute(select(leases.c.state)).scalars()) == {"ended"}
        assert set(tx.execute(select(gpus.c.sharers)).scalars()) == {0}
        actions = Counter(tx.execute(select(audit.c.action)).scalars())
    ran = story.machine.removed["ada"]
    assert ran.lease_id is not None
    assert ran.started_at is not None
    assert ran.finished_at is not None
    used = GpuTime.of(WEIGHTS["whole"], ms_between(ran.started_at, ran.finished_at))
    assert charged == {ran.lease_id: used}
    expected = {"grant": "5", "ta_grant": "0.5", "request": "1", "refund": "6 min"}
    for source, amount in expected.items():
        assert given[source] == hours(amount).mgpu_ms, source
    assert dict(actions) == EXPECTED_TRAIL, actions
    _check_letters(story)


def _check_letters(story: Story) -> None:
    """Each was written once, and sent once at least."""
    with reading(story.engine) as tx:
        letters = tx.execute(select(outbox.c.kind, outbox.c.state, outbox.c.occasion)).all()
    assert Counter((kind, state) for kind, state, _ in letters) == EXPECTED_LETTERS
    assert {what for _, _, what in letters} == set((story.folder / "mail").read_text().split())


EXPECTED_TRAIL = {
    "grant": 6, "incident": 1, "refund": 1, "attach": 1, "detach": 1, "request.answer": 2,
    "request.withdraw": 1, "attach_consent": 1, "help.raise": 1, "help.claim": 1,
    "help.resolve": 1, "sections.change": 2, "feed.make": 1, "feed.revoke": 1, "session.stop": 1,
    "emergency.open": 1, "emergency.start": 1, "reservation.make": 4,
    "reservation.withdraw": 3, "reservation.no_show": 1,
}  # fmt: skip
EXPECTED_LETTERS = {
    ("grant_given", "sent"): 2, ("request_decided", "sent"): 1, ("attached", "sent"): 1,
    ("detached", "sent"): 1, ("stopped", "sent"): 1,
}  # fmt: skip


def test_p04_a_use_case_in_two_transactions_would_be_found(
    sqlite_books: MakeBooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a crash between the two would give a hold back twice."""
    whole = writes.save_accounts

    def in_halves(tx: Connection, some: Iterable[Account]) -> None:
        some = list(some)
        has_more = any(account.new_entries for account in some)
        whole(tx, some)
        if has_more:
            tx.exec_driver_sql("COMMIT")
            tx.exec_driver_sql("BEGIN IMMEDIATE")

    monkeypatch.setattr(writes, "save_accounts", in_halves)
    # The second time that the worker advances an account it gives a hold back; what the lease
    # still says of it would be given back once more.
    with pytest.raises(AssertionError, match=r"holds never go below nothing"):
        crash_and_go_on("tick_advances.written", 1, sqlite_books(), tmp_path)


def _folder(parent: Path) -> Path:
    folder = parent / str(len(list(parent.iterdir())))
    folder.mkdir()
    return folder


# -- the list is complete ---------------------------------------------------------------------


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node


# The owner's, not use cases: a migration is killed from outside in tests/quota/test_migrations.py,
# and rights are given whole or not at all.
_OWNERS = ("migrate.py", "roles.py")


def test_p04_every_writing_use_case_has_its_failpoints_and_each_name_is_used_once() -> None:
    root = Path(failpoints.__file__).parent
    steps, single = Counter[str](), Counter[str]()
    for path in [*root.rglob("*.py"), *(root.parent / "api").rglob("*.py")]:
        if path.name == "failpoints.py":
            continue
        for call in _calls(path):
            assert isinstance(call.func, ast.Name)
            if call.func.id == "transaction":
                named = [one.value for one in call.keywords if one.arg == "step"]
                if path.name in _OWNERS:
                    continue
                assert named, f"{path.name}:{call.lineno}: a transaction without a step"
                assert isinstance(named[0], ast.Constant)
                steps[str(named[0].value)] += 1
            elif name := _point_named_in(call):
                single[name] += 1
    assert steps == Counter(failpoints.STEPS)
    # A slot is taken with the commit, or at once by whoever was overtaken.
    twice = Counter({"slot_taken": 1})
    assert single == Counter(failpoints.BETWEEN | failpoints.OUTSIDE) + twice


def _point_named_in(call: ast.Call) -> str:
    """Return the failpoint that a call passes, where it is written out."""
    of_a_name = {"failpoint": 0, "written_point": 1}
    place = of_a_name.get(call.func.id) if isinstance(call.func, ast.Name) else None
    name = call.args[place] if place is not None else None
    return str(name.value) if isinstance(name, ast.Constant) else ""


# What the worker does to the world outside of the books' transactions.
_EFFECTS = {
    "worker.py": {"_runtime.observe", "_runtime.remove", "_enforcer.carry_out", "_save_deadlines"},
    "enforce.py": {"_stop_server", "step"},
    "deadlines.py": {"json.dump"},
}


@pytest.mark.parametrize("name", sorted(_EFFECTS))
def test_p04_after_all_that_the_worker_does_outside_of_the_books_lies_a_failpoint(
    name: str,
) -> None:
    tree = ast.parse((Path(worker.__file__).parent / name).read_text())
    found = set[str]()
    for block in _blocks(tree):
        for number, statement in enumerate(block):
            effects = _EFFECTS[name] & set(_called(statement))
            if not effects:
                continue
            found |= effects
            after = ast.unparse(block[number + 1]) if number + 1 < len(block) else ""
            assert after.startswith("failpoint("), f"{name}:{statement.lineno}: {effects}"
    assert found == _EFFECTS[name], "an effect has another name now"


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            if isinstance(block, list):
                yield block


def _called(statement: ast.stmt) -> Iterator[str]:
    """Name what a statement calls itself, not in a block of its own."""
    inside = [one for block in _blocks(statement) for one in block]
    inside += [one for handler in getattr(statement, "handlers", []) for one in handler.body]
    hidden = {id(node) for one in inside for node in ast.walk(one)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and id(node) not in hidden:
            yield ast.unparse(node.func).removeprefix("self.")


def test_an_unknown_failpoint_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match="no failpoint"):
        arm("elsewhere")


def test_the_story_by_itself_is_right(sqlite_books: MakeBooks, tmp_path: Path) -> None:
    def live() -> None:
        story = Story(sqlite_books(), tmp_path)
        story.live()
        check_the_end(story)

    assert in_a_process(live, tmp_path / "error") == 0, (tmp_path / "error").read_text()
    assert int((tmp_path / "step").read_text()) == len(STEPS) - 1
