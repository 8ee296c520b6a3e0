"""GPU time adds up exactly, and mixes with nothing else."""

import operator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.amount import MGPU_MS_PER_HOUR, GpuTime

amounts = st.integers(-(2**62), 2**62).map(GpuTime)


@given(amounts, amounts, amounts)
def test_sums_are_exact_in_any_order(a: GpuTime, b: GpuTime, c: GpuTime) -> None:
    assert a + b + c == c + (b + a) == GpuTime.total([b, c, a]) == sum((a, b, c), GpuTime.ZERO)
    assert a - b == a + -b
    assert a - a == GpuTime.ZERO
    assert (a < b) == (b - a > GpuTime.ZERO)
    assert min(a, b) + max(a, b) == a + b


@pytest.mark.parametrize("other", [0, 1.5, Decimal(1), "1", None])
@pytest.mark.parametrize("act", [operator.add, operator.sub, operator.lt, operator.ge])
def test_it_mixes_with_nothing_else(act: object, other: object) -> None:
    assert callable(act)
    with pytest.raises(TypeError):
        act(GpuTime(1), other)
    with pytest.raises(TypeError):
        act(other, GpuTime(1))
    assert GpuTime(1) != other


@pytest.mark.parametrize("wrong", [1.0, True, "1", Decimal(2), None])
def test_inside_is_an_integer(wrong: object) -> None:
    with pytest.raises(TypeError, match="whole number"):
        GpuTime(wrong)  # type: ignore[arg-type]  # the very mistake under test


def test_only_nothing_is_false() -> None:
    assert not GpuTime.ZERO
    assert GpuTime(1)
    assert GpuTime(-1)


def test_it_does_not_change() -> None:
    with pytest.raises(AttributeError):
        GpuTime(1).mgpu_ms = 2  # type: ignore[misc]  # the very mistake under test
    assert len({GpuTime(1), GpuTime(1), GpuTime(2)}) == 2


@given(st.integers(0, 100_000), st.lists(st.integers(0, 10**9)))
def test_cost_is_additive_over_time(weight_mgpu: int, parts_ms: list[int]) -> None:
    whole = GpuTime.of(weight_mgpu, sum(parts_ms))
    assert whole == GpuTime.total(GpuTime.of(weight_mgpu, part) for part in parts_ms)


@pytest.mark.parametrize(("weight_mgpu", "for_ms"), [(-1, 1), (1, -1)])
def test_time_does_not_run_backwards(weight_mgpu: int, for_ms: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        GpuTime.of(weight_mgpu, for_ms)


@given(amounts, st.integers(1, 100_000))
def test_what_it_pays_for_is_never_more_than_it(amount: GpuTime, weight_mgpu: int) -> None:
    lasts_ms = amount.lasts_ms(weight_mgpu)
    assert lasts_ms * weight_mgpu <= amount.mgpu_ms < (lasts_ms + 1) * weight_mgpu


@pytest.mark.parametrize("weight_mgpu", [0, -250])
def test_what_costs_nothing_has_no_end(weight_mgpu: int) -> None:
    with pytest.raises(ValueError, match="for ever"):
        GpuTime(1).lasts_ms(weight_mgpu)


@pytest.mark.parametrize(
    ("hours", "mgpu_ms"),
    [
        ("2.5", 9_000_000_000),
        ("20", 72_000_000_000),
        (10, 36_000_000_000),
        (" +.25 ", 900_000_000),
        ("-1.", -3_600_000_000),
        (Decimal("1E+1"), 36_000_000_000),
        ("0.00000001", 36),
        ("-0", 0),
        ("1000000", 1_000_000 * MGPU_MS_PER_HOUR),
    ],
)
def test_hours_are_read_exactly(hours: str | int | Decimal, mgpu_ms: int) -> None:
    assert GpuTime.hours(hours) == GpuTime(mgpu_ms)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nan", "is not a number"),
        ("inf", "is not a number"),
        (Decimal("NaN"), "is not a number"),
        (Decimal("sNaN"), "is not a number"),
        (Decimal("-Infinity"), "is not a number"),
        ("", "is not a number"),
        ("2,5", "is not a number"),
        ("1_000", "is not a number"),
        ("٣", "is not a number"),
        ("1e3", "is not a number"),
        ("1000000.01", "at most 1,000,000 hours"),
        pytest.param(10**5000, "at most 1,000,000 hours", id="huge"),
        (-(10**7), "at most 1,000,000 hours"),
        (Decimal("1e999999999"), "at most 1,000,000 hours"),
        pytest.param("9" * 10_000, "at most 1,000,000 hours", id="nines"),
        ("0.000000001", "too many digits"),
        pytest.param("0." + "0" * 10_000, "too many digits", id="zeros"),
        (Decimal("1e-999999999"), "too many digits"),
        (Decimal("0e999999999"), "too many digits"),
    ],
)
def test_odd_hours_are_refused_with_the_reason(text: str | int | Decimal, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        GpuTime.hours(text)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize("wrong", [2.5, True])
def test_hours_are_no_float(wrong: float) -> None:
    with pytest.raises(TypeError):
        GpuTime.hours(wrong)  # type: ignore[arg-type]  # the very mistake under test


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("10", Fraction(10)),
        ("7.5", Fraction(15, 2)),
        ("10 h", Fraction(10)),
        ("2 min", Fraction(1, 30)),
        ("2min", Fraction(1, 30)),
        ("90 s", Fraction(1, 40)),
        ("-0.5 h", Fraction(-1, 2)),
    ],
)
def test_spans_are_read_as_people_write_them(text: str, hours: Fraction) -> None:
    assert GpuTime.parse(text).mgpu_ms == hours * MGPU_MS_PER_HOUR


@pytest.mark.parametrize("text", ["", "h", "2 days", "2 min 3 s", "ten", "1e3 h", "2 m"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no GPU time"):
        GpuTime.parse(text)


@pytest.mark.parametrize(
    ("mgpu_ms", "text"),
    [
        (26_100_000_000, "7.25"),
        (0, "0.00"),
        (17_999_999, "0.00"),
        (18_000_000, "0.01"),
        (-17_999_999, "0.00"),
        (-18_000_000, "-0.01"),
        (-9_000_000_000, "-2.50"),
        (3_599_982_000, "1.00"),
        (36_000_000_000_000, "10000.00"),
    ],
)
def test_people_read_hours_rounded_once(mgpu_ms: int, text: str) -> None:
    assert GpuTime(mgpu_ms).hours_text() == text


@given(st.integers(-(10**8), 10**8))
def test_hours_with_two_decimals_survive_a_round_trip(hundredths: int) -> None:
    amount = GpuTime.hours(Decimal(hundredths) / 100)
    assert GpuTime.hours(amount.hours_text()) == amount


@given(st.integers(-(10**15), 10**15))
def test_the_exact_text_of_an_amount_gives_the_amount_back(mgpu_ms: int) -> None:
    amount = GpuTime(mgpu_ms)
    text = amount.text().removeprefix("-")
    assert GpuTime.parse(text) == GpuTime(abs(mgpu_ms))
    assert amount.text().startswith("-") == (mgpu_ms < 0)
    assert "e" not in text.lower()


@pytest.mark.parametrize(
    ("mgpu_ms", "text"),
    [(0, "0"), (3_600_000_000, "1"), (26_100_000_000, "7.25"), (60_000_000, "1 min"),
     (1, "0.000001 s"), (90_000_000, "0.025"), (36, "0.000036 s")],
)  # fmt: skip
def test_the_exact_text_takes_the_largest_unit_that_fits(mgpu_ms: int, text: str) -> None:
    assert GpuTime(mgpu_ms).text() == text
