"""GPU time: the only quantity of the books, an integer with its unit inside."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Self

MGPU_MS_PER_HOUR = 3_600_000_000
"""One GPU for one hour: 1000 thousandths x 3,600,000 ms."""

_MGPU_MS_PER_UNIT = {"h": MGPU_MS_PER_HOUR, "min": MGPU_MS_PER_HOUR // 60, "s": 1_000_000}

# Far above what any lab hands out (114 GPUs for a year), and far below 2**63 in mgpu_ms, so that
# sums of sane amounts always fit a 64-bit column.
_MOST_HOURS = 1_000_000

# Enough for the largest amount at the finest step; longer ones are typing errors or attacks.
_MOST_DIGITS = 30
_MOST_PLACES = 6
_MOST_SHOWN = 40

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_SPAN = re.compile(rf"({_NUMBER.pattern})\s*(h|min|s)?")


@dataclass(frozen=True, slots=True, order=True)
class GpuTime:
    """An amount of GPU time in thousandths of a GPU x milliseconds; negative is a debt.

    It adds to and compares with its own kind only, so that hours, seconds and bare numbers
    cannot slip into the books.
    """

    mgpu_ms: int

    ZERO: ClassVar["GpuTime"]

    def __post_init__(self) -> None:
        if type(self.mgpu_ms) is not int:
            message = f"GPU time is a whole number of mgpu_ms, not {type(self.mgpu_ms).__name__}"
            raise TypeError(message)

    @classmethod
    def of(cls, weight_mgpu: int, for_ms: int) -> Self:
        """Return what a weight costs for a time; exact and additive.

        Raises:
            ValueError: if either is negative.

        """
        if weight_mgpu < 0 or for_ms < 0:
            raise ValueError(f"no negative weight or time: {weight_mgpu} mgpu for {for_ms} ms")
        return cls(weight_mgpu * for_ms)

    @classmethod
    def hours(cls, text: str | int | Decimal) -> Self:
        """Return whole-GPU hours, exactly: `hours("2.5")`.

        Raises:
            ValueError: if it is no number, finer than the books count, or beyond reason.

        """
        return cls(_exact(text, "h"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return GPU time as people write it: `10`, `7.5`, `10 h`, `2 min`, `90 s`.

        Raises:
            ValueError: as for `hours`.

        """
        match = _SPAN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{_shown(text)} is no GPU time; write hours, or '2 min', or '90 s'")
        return cls(_exact(match[1], match[2] or "h"))

    @staticmethod
    def total(amounts: Iterable["GpuTime"]) -> "GpuTime":
        """Add up any number of amounts."""
        return GpuTime(sum(amount.mgpu_ms for amount in amounts))

    def __add__(self, other: "GpuTime") -> "GpuTime":
        if not isinstance(other, GpuTime):
            return NotImplemented
        return GpuTime(self.mgpu_ms + other.mgpu_ms)

    def __sub__(self, other: "GpuTime") -> "GpuTime":
        if not isinstance(other, GpuTime):
            return NotImplemented
        return GpuTime(self.mgpu_ms - other.mgpu_ms)

    def __neg__(self) -> "GpuTime":
        return GpuTime(-self.mgpu_ms)

    def __bool__(self) -> bool:
        return self.mgpu_ms != 0

    def lasts_ms(self, weight_mgpu: int) -> int:
        """Return how many whole milliseconds this pays for at a weight, rounded down.

        A debt lasts a negative time: how long ago it was all used up.

        Raises:
            ValueError: if the weight is not positive; what costs nothing lasts for ever.

        """
        if weight_mgpu <= 0:
            raise ValueError(f"GPU time lasts for ever at a weight of {weight_mgpu}")
        return self.mgpu_ms // weight_mgpu

    def hours_text(self) -> str:
        """Return hours for people, '7.25': the one place that rounds (half away from zero)."""
        hundredth = MGPU_MS_PER_HOUR // 100
        hundredths = (abs(self.mgpu_ms) + hundredth // 2) // hundredth
        sign = "-" if self.mgpu_ms < 0 and hundredths else ""
        return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"

    def text(self) -> str:
        """Return the exact amount as people write it, `parse(amount.text()) == amount`."""
        for unit in ("h", "min", "s"):
            scaled = Fraction(self.mgpu_ms, _MGPU_MS_PER_UNIT[unit])
            if 10**_MOST_PLACES % scaled.denominator == 0:
                break
        number = f"{Decimal(scaled.numerator) / Decimal(scaled.denominator):f}"
        return number if unit == "h" else f"{number} {unit}"


GpuTime.ZERO = GpuTime(0)


def _exact(number: str | int | Decimal, unit: str) -> int:
    """Turn a number of units into mgpu_ms without rounding."""
    decimal = _decimal(number)
    per_unit = _MGPU_MS_PER_UNIT[unit]
    # Compared as it is: arithmetic on an unchecked Decimal could round or overflow.
    if decimal.copy_abs() > _MOST_HOURS * MGPU_MS_PER_HOUR // per_unit:
        raise ValueError(f"{_shown(number)} is too much; at most {_MOST_HOURS:,} hours")
    _, digits, exponent = decimal.as_tuple()
    if len(digits) > _MOST_DIGITS or abs(int(exponent)) > _MOST_DIGITS:
        raise ValueError(f"{_shown(number)} has too many digits; at most 8 after the point")
    amount = Fraction(decimal) * per_unit
    if amount.denominator != 1:
        raise ValueError(f"{_shown(number)} has too many digits; at most 8 after the point")
    return amount.numerator


def _decimal(number: str | int | Decimal) -> Decimal:
    if isinstance(number, bool | float):
        raise TypeError(f"GPU time is written as text or a whole number, not {number!r}")
    if isinstance(number, str):
        number = number.strip()
        if _NUMBER.fullmatch(number) is None:
            raise ValueError(f"{_shown(number)} is not a number; write it like 10 or 2.5")
    decimal = Decimal(number)
    if not decimal.is_finite():
        raise ValueError(f"{_shown(number)} is not a number; write it like 10 or 2.5")
    return decimal


def _shown(value: object) -> str:
    """Quote what was written, cut to a length that fits a sentence."""
    text = str(Decimal(value)) if isinstance(value, int | Decimal) else repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."
