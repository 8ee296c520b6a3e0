"""The circuit breaker."""

from hub.breaker import Breaker


def test_open_for_a_while_after_a_failure_then_one_tries() -> None:
    now = [0.0]
    breaker = Breaker(open_for_s=5, monotonic=lambda: now[0])
    assert breaker.lets_through()
    breaker.failed()
    assert not breaker.lets_through()
    now[0] = 4.9
    assert not breaker.lets_through()
    now[0] = 5.0
    assert breaker.lets_through()
    assert not breaker.lets_through(), "only one finds out"
    breaker.answered()
    assert breaker.lets_through()
    assert breaker.lets_through()


def test_a_try_that_never_comes_back_does_not_keep_it_open_for_ever() -> None:
    now = [0.0]
    breaker = Breaker(open_for_s=5, monotonic=lambda: now[0])
    breaker.failed()
    now[0] = 5.0
    assert breaker.lets_through()
    now[0] = 10.0
    assert breaker.lets_through()
