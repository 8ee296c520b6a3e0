"""Quantiles of what was measured. Pure."""

from collections.abc import Sequence


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return a quantile of ordered numbers, between its two neighbours; 0 of none."""
    if not ordered:
        return 0.0
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
