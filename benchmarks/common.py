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


def p99_figure(bench: str, what: str, took: Sequence[float], *, limit_s: float) -> Figure:
    """Print how long answers took, in seconds, and return the slowest of a hundred."""
    p99 = percentile(took, 0.99)
    print(f"{what}: {len(took)} times, p50 {median(took) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
          f"worst {max(took) * 1000:.0f} ms")  # fmt: skip
    return Figure(bench=bench, value=p99 * 1000, unit=f"ms p99 of {what}", limit=limit_s * 1000,
                  ratio=p99 / limit_s, target=1, ok=p99 <= limit_s)  # fmt: skip


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
