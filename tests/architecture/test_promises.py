"""Every promise has its tests, or stands on the page as one that has none, with the reason."""

from tests.architecture.promises import PAGE, PROMISES, WITHOUT, proofs, text


def test_every_promise_has_tests_or_says_why_not() -> None:
    found = proofs()
    assert set(found) <= set(PROMISES), "a test is named for a promise that nobody gave"
    assert set(PROMISES) - set(found) == set(WITHOUT)


def test_the_page_of_promises_is_up_to_date() -> None:
    assert PAGE.read_text() == text(), "run: python -m tests.architecture.promises"


def test_what_is_long_and_what_is_a_control_is_told_apart() -> None:
    known = {one.name: one for some in proofs().values() for one in some}
    control = known["test_p01_catches_a_read_without_a_lock"]
    assert (control.is_control, control.is_long, control.command) == (True, False, "make test")
    long = known["test_p21_a_hub_that_restarts_spares_servers_that_do_not_answer"]
    assert (long.is_control, long.is_long, long.command) == (False, True, "make faults")
    # Its long size is one of two.
    assert not known["test_p10_totals_are_exact_under_contention"].is_long
