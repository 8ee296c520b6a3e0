"""What all benchmarks share: the last line, and figures of samples."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One result. `ratio` is value against limit; `target` is what the ratio has to reach."""

    bench: str
    value: float
    unit: str
    limit: float
    ratio: float
    target: float
    ok: bool


def report(figure: Figure) -> int:
    """Print the last line, and return the exit status."""
    print(json.dumps({name: _rounded(value) for name, value in asdict(figure).items()}))
    return 0 if figure.ok else 1


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least this share does not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)]


def median(samples: Sequence[float]) -> float:
    return percentile(samples, 0.5)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
