"""What sessions and GPUs do, as the worker sees it at each look; what is missing is said."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from api.gpus.devices import GpuLook
from api.gpus.figures import FIGURES
from quota.session_states import STATE_NAMES

OUTCOMES = ("done", "failed", "broken")
_MIB = 1024 * 1024
_TEXTS = {
    "utilization_ratio": "Part of the time in which a GPU had a kernel running, from the driver.",
    "memory_used_bytes": "Memory of a GPU that is in use, from the driver.",
    "memory_bytes": "Memory of a GPU, from the driver.",
    "temperature_celsius": "Temperature of a GPU, from the driver.",
    "power_watts": "Power that a GPU draws, from the driver.",
    "uncorrected_errors": "Errors of a GPU's memory that it could not correct, since it was made.",
}


class GpuMetrics:
    """The worker's looks at sessions and GPUs, apart from its own work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.looks = Counter(
            "gpulab_worker_looks", "Looks at what sessions do, by outcome.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.states = Gauge(
            "gpulab_worker_gpu_sessions", "Running sessions on GPUs, by what they do.", ["state"],
            registry=registry,
        )  # fmt: skip
        self._busy = Gauge(
            "gpulab_worker_gpu_busy_ratio",
            "Time with a kernel running on a GPU, summed over its processes.", ["gpu"],
            registry=registry,
        )  # fmt: skip
        self._held = Gauge(
            "gpulab_worker_gpu_held_bytes", "Memory that processes hold on a GPU.", ["gpu"],
            registry=registry,
        )  # fmt: skip
        self._figures = {
            name: Gauge(f"gpulab_gpu_{name}", _TEXTS[name], ["gpu"], registry=registry)
            for name in FIGURES
        }
        self._missing = Gauge(
            "gpulab_gpu_figures_missing", "GPUs whose driver does not tell a figure, by figure.",
            ["figure"], registry=registry,
        )  # fmt: skip
        self._answered = Gauge(
            "gpulab_gpu_driver_up",
            "1 when the last look could ask for GPUs; declared ones need no driver.",
            registry=registry,
        )  # fmt: skip
        for outcome in OUTCOMES:
            self.looks.labels(outcome)
        for state in STATE_NAMES:
            self.states.labels(state)
        for name in FIGURES:
            self._missing.labels(name)

    def note(self, look: GpuLook) -> None:
        """Note what was told of each GPU; nothing stale stays."""
        for gauge in (self._busy, self._held, *self._figures.values()):
            gauge.clear()
        for uuid in look.told:
            some = look.on(uuid)
            self._busy.labels(uuid).set(sum(one.sm_percent or 0 for one in some) / 100)
            self._held.labels(uuid).set(sum(one.memory_mib or 0 for one in some) * _MIB)
        for uuid, figures in look.figures.items():
            for name, value in figures.items():
                self._figures[name].labels(uuid).set(value)
        for name in FIGURES:
            missing = sum(name not in some for some in look.figures.values())
            self._missing.labels(name).set(missing)
        self._answered.set(look.is_answered)
