"""What goes to PostgreSQL together, what waits for it, and connections that died meanwhile."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, bindparam, event, insert, literal_column, select, text
from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError

from quota.errors import BooksUnavailable
from quota.placement import Ask
from quota.store import slots, streams, wire
from quota.store.engine import reading, transaction
from quota.store.statements import Statement, change, fetch, write
from quota.store.tables import counters
from tests.quota.books import Desk, gpu, make_lab
from tests.quota.memory import empty

_NEW = Statement(
    insert(counters).values({name: bindparam(name) for name in ("name", "label", "value")})
)
_VALUE = Statement(select(counters.c.value).where(counters.c.name == bindparam("which")))


@pytest.fixture
def server(postgres_engine: Engine) -> Iterator[Engine]:
    # What is prepared, and how often is waited, depends on the connection: none of those before.
    postgres_engine.dispose()
    yield postgres_engine
    empty(postgres_engine)


def row(name: str, value: int = 1) -> dict[str, object]:
    return {"name": name, "label": "", "value": value}


def values_of(engine: Engine, name: str) -> list[int]:
    with reading(engine) as tx:
        return [found[0] for found in fetch(tx, (_VALUE, {"which": name}))[0]]


def test_what_was_written_is_seen_by_the_next_question_and_committed(engine: Engine) -> None:
    with transaction(engine) as tx:
        write(tx, _NEW, [row("a"), row("b", 2)])
        assert fetch(tx, (_VALUE, {"which": "a"}), (_VALUE, {"which": "b"})) == [[(1,)], [(2,)]]
        write(tx, _NEW, [row("c", 3)])
        assert tx.execute(text("SELECT count(*) FROM counters")).scalar_one() == 3
        write(tx, _NEW, [row("d", 4)])
    assert values_of(engine, "d") == [4]


def test_what_is_read_in_blocks_may_be_the_first_question(engine: Engine) -> None:
    with transaction(engine) as tx:
        write(tx, _NEW, [row("a"), row("b"), row("c")])
        seen = [name for (name,) in streams.rows(tx, "SELECT name FROM counters ORDER BY name")]
        assert seen == ["a", "b", "c"]
    with reading(engine) as tx:
        assert len(list(streams.rows(tx, "SELECT name FROM counters"))) == 3


def test_what_waits_is_forgotten_with_the_transaction(engine: Engine) -> None:
    def write_and_fail() -> None:
        with transaction(engine) as tx:
            write(tx, _NEW, [row("a")])
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    assert values_of(engine, "a") == []


def test_an_error_of_what_waited_is_raised_at_the_commit_and_nothing_is_written(
    engine: Engine,
) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as tx:
        write(tx, _NEW, [row("a"), row("b"), row("a"), row("c")])
    assert values_of(engine, "a") == values_of(engine, "c") == []
    # The connection is as good as before, and what was prepared on it, too.
    with transaction(engine) as tx:
        assert change(tx, _NEW, row("a")) == 1
    assert values_of(engine, "a") == [1]


def test_more_than_goes_at_once_is_written_in_its_order(engine: Engine) -> None:
    with transaction(engine) as tx:
        write(tx, _NEW, [row(f"n{number}", number) for number in range(3 * wire._AT_ONCE + 1)])
    assert values_of(engine, f"n{3 * wire._AT_ONCE}") == [3 * wire._AT_ONCE]


@pytest.mark.postgres
def test_text_that_postgresql_cannot_hold_is_refused_whole(server: Engine) -> None:
    with pytest.raises(DataError, match="NUL"), transaction(server) as tx:
        fetch(tx, (_VALUE, {"which": "a\0b"}))


@pytest.mark.postgres
def test_nothing_is_written_where_only_reading_was_meant(server: Engine) -> None:
    with pytest.raises(Exception, match="read-only"), reading(server) as tx:
        change(tx, _NEW, row("a"))


@pytest.mark.postgres
def test_a_table_that_changed_its_shape_stops_nobody_for_long(server: Engine) -> None:
    every = Statement(
        select(literal_column("*")).select_from(text("shape")).where(bindparam("yes") == 1)
    )
    _do(server, "CREATE TABLE shape (a int)")
    try:
        assert _all(server, every) == []
        _do(server, "ALTER TABLE shape ADD b int", "INSERT INTO shape VALUES (1, 2)")
        with pytest.raises(NotSupportedError, match="cached plan"):
            _all(server, every)
        assert _all(server, every) == [(1, 2)]
    finally:
        _do(server, "DROP TABLE shape")


def _do(engine: Engine, *statements: str) -> None:
    with transaction(engine) as tx:
        for statement in statements:
            tx.execute(text(statement))


def _all(engine: Engine, statement: Statement) -> list[object]:
    with transaction(engine) as tx:
        return [*fetch(tx, (statement, {"yes": 1}))[0]]


# -- connections that die -----------------------------------------------------------------------


def _end_others(engine: Engine) -> None:
    """End all connections to this database but the one that says so."""
    with transaction(engine) as tx:
        tx.execute(text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ))  # fmt: skip


@pytest.mark.postgres
def test_a_connection_that_was_ended_meanwhile_is_not_handed_out(server: Engine) -> None:
    desk = Desk(server)
    with server.connect() as one, server.connect() as another:
        assert one is not another  # two of the pool, both used
        for tx in (one, another):
            tx.execute(text("SELECT 1"))
            tx.rollback()
    _end_others(server)
    for name in ("ada", "blaise"):
        assert desk.ask(name).lease.state == "held"


@pytest.mark.postgres
def test_a_connection_that_dies_in_a_transaction_says_unavailable(
    server: Engine,
) -> None:
    desk = Desk(server)

    def write_and_be_ended() -> None:
        with transaction(server) as tx:
            write(tx, _NEW, [row("a")])
            assert fetch(tx, (_VALUE, {"which": "a"})) == [[(1,)]]
            _end_others(server)
            fetch(tx, (_VALUE, {"which": "a"}))

    with pytest.raises(BooksUnavailable):
        write_and_be_ended()
    assert values_of(server, "a") == []
    assert desk.ask("ada").lease.state == "held"


@pytest.mark.postgres
def test_no_lock_rests_in_the_pool_when_a_commit_is_given_up(server: Engine) -> None:
    desk = Desk(server)
    desk.ask("ada")

    def give_up(_connection: Connection) -> None:
        raise BooksUnavailable("given up")

    event.listen(server, "commit", give_up)
    try:
        with pytest.raises(BooksUnavailable):
            desk.ask("ada")
    finally:
        event.remove(server, "commit", give_up)
    assert desk.ask("ada").lease.state == "waiting"  # after the one before, whose end it asks for


@pytest.mark.postgres
def test_a_connection_that_rested_long_is_asked_first(
    server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quota.store.patience._ASK_AFTER_S", 0.0)
    desk = Desk(server)
    assert desk.ask("ada").lease.state == "held"


# -- two who reach for one slot -----------------------------------------------------------------


@pytest.mark.postgres
def test_whoever_is_overtaken_at_the_commit_gets_another_slot_or_waits(
    server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(server)
    faster = iter(("blaise", "chen", "dina"))
    take = slots.take_gpu_late

    def overtaken(tx: Connection, uuid: str, ask: Ask, *, max_sharers: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(slots, "take_gpu_late", take)
            desk.ask(next(faster))
        take(tx, uuid, ask, max_sharers=max_sharers)

    monkeypatch.setattr(slots, "take_gpu_late", overtaken)
    ada = desk.ask("ada")
    assert (ada.lease.state, ada.lease.gpu_uuid) == ("held", "GPU-1")
    desk.books.set_inventory([gpu(f"GPU-{number}") for number in range(3)])
    emeka = desk.ask("emeka")
    assert (emeka.lease.state, emeka.lease.gpu_uuid) == ("waiting", None)
    desk.check()


# -- how often the database is waited for ------------------------------------------------------


@pytest.mark.postgres
def test_an_admission_waits_twice_and_so_does_an_end(
    server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(server, lab=make_lab(sessions_per_scholar=2))
    desk.ask("ada", "quarter")  # makes the account and gives the week's hours
    waits = _counted(monkeypatch)
    lease_id = desk.ask("ada", "quarter", server="second").lease.id
    assert len(waits) == 2
    waits.clear()
    desk.books.stop_lease(lease_id, "person")
    assert len(waits) == 2


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    waits: list[object] = []
    wait: Callable[..., object] = wire.BooksConnection.wait

    def counted(self: wire.BooksConnection, *given: object, **named: object) -> object:
        waits.append(given)
        return wait(self, *given, **named)

    monkeypatch.setattr(wire.BooksConnection, "wait", counted)
    return waits
