"""Instants, spans and costs as people read them."""

from datetime import UTC, datetime

import pytest

from quota.shown import cost_text, moment_text, span_text


def test_moments_are_in_the_readers_zone() -> None:
    at = datetime(2026, 11, 30, 5, tzinfo=UTC)
    text = moment_text(at, "America/New_York")
    assert text == "Monday, 30 November at 00:00 (America/New_York)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute"), (59, "less than a minute"), (60, "1 min"), (3599, "59 min"),
        (3600, "1 h"), (3660, "1 h 1 min"), (359_999, "99 h 59 min"), (360_000, "100 h"),
    ],
)  # fmt: skip
def test_a_span_never_promises_too_much(seconds: int, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("weight_mgpu", "text"),
    [
        (0, "free"),
        (250, "0.25 GPU-hours per hour"),
        (1000, "1 GPU-hour per hour"),
        (2000, "2 GPU-hours per hour"),
    ],
)
def test_prices(weight_mgpu: int, text: str) -> None:
    assert cost_text(weight_mgpu) == text
