"""The load of the lab as families of Prometheus; pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from quota.attachments import AttachMode
from quota.help_queue import OPEN_STATES
from quota.leases import END_TEXTS
from quota.placement import FULL_MGPU, GpuUse
from quota.tallies import LAG_EDGES_S, START_EDGES_S, WAIT_EDGES_S
from quota.views import LoadView

STATES = ("waiting", "held", "active", "stopping")
GPU_STATES = ("free", "partly", "full", "out")
CHECKED = ("books", "trail")
# What people do with power over others, so that each is there before the first one is done.
DEEDS = ("grant", "refund", "attach", "detach", "session.stop", "incident")
MGPU_MS_PER_GPU_SECOND = 1_000_000


def families_of(load: LoadView) -> Iterator[Metric]:
    """Show the load."""
    yield _sessions(load)
    yield _waiting(load)
    yield from _gpus(load)
    yield from _charged(load)
    yield from _instants(load)
    yield _histogram(
        load, "gpulab_enforcement_lag_seconds", "enforcement_lag", LAG_EDGES_S,
        "Time from the last paid instant of a session to its end at the runtime.",
    )  # fmt: skip
    yield _histogram(load, "gpulab_session_wait_seconds", "session_wait", WAIT_EDGES_S,
                     "Time from a request to its turn, of sessions that started.")  # fmt: skip
    yield _histogram(load, "gpulab_session_start_seconds", "session_start", START_EDGES_S,
                     "Time from the turn to a container that runs.")  # fmt: skip
    yield from _enforced(load)
    yield _help(load)
    yield from _attached(load)
    yield _checked(load)
    yield from _emergencies(load)


def gauge(name: str, text: str, value: float) -> Metric:
    """Make a family of one value."""
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family


def _sessions(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_sessions", "Open leases by flavor and state.", labels=["flavor", "state"]
    )
    for flavor in load.flavors:
        for state in STATES:
            family.add_metric([flavor, state], load.sessions.get((flavor, state), 0))
    return family


def _waiting(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_waiting_oldest_timestamp_seconds",
        "When the one asked who has waited longest, by flavor; none when nobody waits.",
        labels=["flavor"],
    )
    for flavor, since in sorted(load.waiting_since.items()):
        family.add_metric([flavor], since.timestamp())
    return family


def _gpus(load: LoadView) -> Iterator[Metric]:
    serving = [gpu for gpu in load.gpus if gpu.in_service]
    yield gauge("gpulab_gpus", "GPUs in service.", len(serving))
    states = GaugeMetricFamily(
        "gpulab_gpus_by_state",
        "GPUs on which nobody, somebody or no further session has a share, or out of service.",
        labels=["state"],
    )
    found = [_state_of(gpu) for gpu in load.gpus]
    for state in GPU_STATES:
        states.add_metric([state], found.count(state))
    yield states
    taken = sum(gpu.used_mgpu for gpu in serving)
    yield gauge("gpulab_gpus_occupied", "GPUs that leases occupy, in whole GPUs.",
                taken / FULL_MGPU)  # fmt: skip


def _state_of(gpu: GpuUse) -> str:
    if not gpu.in_service:
        return "out"
    if not gpu.sharers:
        return "free"
    return "full" if gpu.used_mgpu >= FULL_MGPU else "partly"


def _charged(load: LoadView) -> Iterator[Metric]:
    charged = CounterMetricFamily(
        "gpulab_charged_gpu_seconds", "GPU-seconds posted as charges, over all accounts."
    )
    posted = load.counters.get(("charged_mgpu_ms", ""), 0)
    charged.add_metric([], posted / MGPU_MS_PER_GPU_SECOND)
    yield charged
    yield gauge("gpulab_unposted_gpu_seconds",
                "GPU-seconds used by running sessions and not posted yet.",
                load.unposted.mgpu_ms / MGPU_MS_PER_GPU_SECOND)  # fmt: skip


def _instants(load: LoadView) -> Iterator[Metric]:
    tick = GaugeMetricFamily(
        "gpulab_tick_timestamp_seconds", "When the worker last brought the books up to date."
    )
    if load.oldest_tick_at is not None:
        tick.add_metric([], load.oldest_tick_at.timestamp())
    yield tick
    for name, key, text in (
        ("gpulab_census_timestamp_seconds", "census_at_ms", "When the sections were counted."),
        ("gpulab_check_timestamp_seconds", "check_at_ms",
         "When `gpulab check` last went through books and audit trail."),
    ):  # fmt: skip
        family = GaugeMetricFamily(name, text)
        if (key, "") in load.counters:
            family.add_metric([], load.counters[key, ""] / 1000)
        yield family


def _histogram(load: LoadView, name: str, key: str, edges_s: Sequence[int], text: str) -> Metric:
    family = HistogramMetricFamily(name, text)
    buckets, seen = [], 0
    for edge in (*edges_s, "+Inf"):
        seen += load.counters.get((f"{key}_bucket", str(edge)), 0)
        buckets.append((str(edge), float(seen)))
    family.add_metric([], buckets, load.counters.get((f"{key}_ms", "sum"), 0) / 1000)
    return family


def _enforced(load: LoadView) -> Iterator[Metric]:
    yield _counted(load, "gpulab_sessions_ended", "sessions_ended",
                   "Leases ended by the worker, by reason.",
                   label="reason", known=END_TEXTS)  # fmt: skip
    yield gauge("gpulab_sessions_overdue",
                "Sessions that run although they should have been stopped by now.",
                load.overdue)  # fmt: skip
    overrun = CounterMetricFamily(
        "gpulab_overrun_gpu_seconds",
        "GPU-seconds that sessions ran after their last paid instant.",
    )
    overrun.add_metric([], load.counters.get(("overrun_mgpu_ms", ""), 0) / MGPU_MS_PER_GPU_SECOND)
    yield overrun


def _counted(
    load: LoadView, name: str, key: str, text: str, *, label: str, known: Iterable[str]
) -> Metric:
    """Show one of the worker's totals by label; those that are known are there from the start."""
    family = CounterMetricFamily(name, text, labels=[label])
    found = {one: value for (counter, one), value in load.counters.items() if counter == key}
    for one in sorted({*known, *found}):
        family.add_metric([one], found.get(one, 0))
    return family


def _help(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_help_requests", "Open requests for help, by state.", labels=["state"]
    )
    for state in OPEN_STATES:
        family.add_metric([state], load.help_requests.get(state, 0))
    return family


def _attached(load: LoadView) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "gpulab_attachments", "TAs who are attached to sessions, by what they may do.",
        labels=["mode"],
    )  # fmt: skip
    for mode in get_args(AttachMode):
        family.add_metric([mode], load.attachments.get(mode, 0))
    yield family
    yield _counted(load, "gpulab_deeds", "deeds",
                   "What people did that the audit trail has: grants, refunds, attachments.",
                   label="action", known=DEEDS)  # fmt: skip


def _checked(load: LoadView) -> Metric:
    family = GaugeMetricFamily(
        "gpulab_check_faults", "Faults that the last check found, by part.", labels=["part"]
    )
    for part in CHECKED:
        if ("check_faults", part) in load.counters:
            family.add_metric([part], load.counters["check_faults", part])
    return family


def _emergencies(load: LoadView) -> Iterator[Metric]:
    yield gauge("gpulab_emergency_open", "1 while an emergency is open that the hub has told of.",
                int(load.emergency_is_open))  # fmt: skip
    starts = CounterMetricFamily(
        "gpulab_emergency_starts", "GPU sessions that were started without the books."
    )
    starts.add_metric([], load.emergency_starts)
    yield starts
