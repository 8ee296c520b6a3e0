"""Traces of GPU sessions in the columns of Alibaba's `openb_pod_list`: reader, and a sample.

Only what fits a lab is taken: sessions on one GPU or a part of one. How many others there are is
told. The columns are those of https://github.com/alibaba/clusterdata (cluster-trace-gpu-v2023);
the sample that ships is generated, see `make_sample`.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

SAMPLE = Path(__file__).parent / "data" / "openb_pod_list_sample.csv"
COLUMNS = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos", "pod_phase",
    "creation_time", "deletion_time", "scheduled_time",
)  # fmt: skip
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of a trace: when it came, how long it would run, what it occupies."""

    name: str
    at_s: int
    lasts_s: int
    share_mgpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Sessions in order of arrival, and how many rows were left out, by why."""

    sessions: tuple[Session, ...]
    left_out: dict[str, int]

    @property
    def gpu_seconds(self) -> float:
        """What all sessions would use."""
        return sum(one.share_mgpu * one.lasts_s for one in self.sessions) / 1000


def read_trace(path: Path) -> Trace:
    """Read a trace; what is no session on a GPU or a part of one is left out and counted."""
    found, left_out = [], {"no GPU": 0, "several GPUs": 0, "never ran": 0}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            gpus, share = int(row["num_gpu"]), int(row["gpu_milli"] or 0)
            at, until = float(row["creation_time"]), float(row["deletion_time"] or 0)
            # Where it is known when a session was started, it ran from then on.
            ran_from = float(row["scheduled_time"] or at)
            if gpus == 0 or share == 0:
                left_out["no GPU"] += 1
            elif gpus > 1:
                left_out["several GPUs"] += 1
            elif until <= ran_from:
                left_out["never ran"] += 1
            else:
                found.append(Session(name=row["name"], at_s=int(at), share_mgpu=min(share, 1000),
                                     lasts_s=max(1, int(until - ran_from))))  # fmt: skip
    sessions = tuple(sorted(found, key=lambda one: (one.at_s, one.name)))
    return Trace(sessions=sessions, left_out=left_out)


def make_sample(
    count: int = 2_000, *, seed: int = 1, days: int = 14
) -> Iterator[dict[str, object]]:
    """Generate rows in the shape of such traces: many small, some whole, a few long.

    The numbers are invented: a third asks for a whole GPU, the others for a part in steps of a
    hundredth, most of them a half or less; lengths are lognormal with a median of 40 minutes, and
    nights are quiet.
    """
    rng = Random(seed)
    by_hour = [1 + 3 * (8 <= hour < 23) for hour in range(24)]
    times = sorted(
        rng.randrange(days) * _DAY_S + rng.choices(range(24), by_hour)[0] * 3_600
        + rng.randrange(3_600) for _ in range(count)
    )  # fmt: skip
    for number, at in enumerate(times):
        gpus = rng.choices((0, 1, 2, 8), (10, 86, 3, 1))[0]
        part = min(950, max(50, round(rng.lognormvariate(5.7, 0.5) / 10) * 10))
        share = 1000 if gpus > 1 or rng.random() < 1 / 3 else part
        lasts = max(60, min(3 * _DAY_S, round(rng.lognormvariate(7.8, 1.2))))
        yield dict(zip(COLUMNS, (
            f"openb-like-{number:04d}", 4_000, 16_384, gpus, share if gpus else 0, "",
            rng.choice(("LS", "BE", "Burstable")), "Succeeded", at, at + lasts, at,
        ), strict=True))  # fmt: skip


def write_sample(path: Path = SAMPLE) -> None:
    """Write the sample that ships."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(make_sample())
