"""Reading ahead: the same things in the same order, faults passed on, nothing left behind."""

import threading
from collections.abc import Iterator

import pytest

from quota.store.streams import ahead


def _readers() -> int:
    return sum(one.is_alive() for one in threading.enumerate())


def test_everything_comes_once_and_in_order() -> None:
    before = _readers()
    assert list(ahead(iter(range(1000)))) == list(range(1000))
    assert list(ahead(iter(()))) == []
    assert _readers() == before


def test_what_goes_wrong_while_reading_is_raised_after_what_was_read() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ConnectionError("gone")

    reading = ahead(broken())
    assert next(reading) == 1
    with pytest.raises(ConnectionError, match="gone"):
        next(reading)


def test_who_stops_early_leaves_nobody_reading() -> None:
    before = _readers()
    taken: list[int] = []

    def counted() -> Iterator[int]:
        for number in range(1_000_000):
            taken.append(number)
            yield number

    reading = ahead(counted())
    assert [next(reading), next(reading)] == [0, 1]
    reading.close()
    assert _readers() == before
    assert len(taken) < 100, "more was read than is kept"
