"""What the watchdog looks like to Prometheus; a registry of its own, as the worker's."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

ALARMS = (
    "session_outlived_deadline", "overdue_not_stopped", "look_broken", "foreign_container",
    "foreign_not_stopped", "metrics_not_served", "session_record_unreadable", "clock_jumped",
)  # fmt: skip
OUTCOMES = ("done", "broken")


class WatchdogMetrics:
    """The watchdog's counts; every label value is there from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._looks = Counter(
            "gpulab_watchdog_looks", "Looks of the watchdog, by outcome.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._alarms = Counter(
            "gpulab_watchdog_alarms", "Events that want a person, by event.", ["event"],
            registry=self.registry,
        )  # fmt: skip
        self._foreign = Gauge(
            "gpulab_watchdog_foreign_containers", "Containers with a GPU that are not the lab's.",
            registry=self.registry,
        )  # fmt: skip
        self._note = Gauge(
            "gpulab_watchdog_note_timestamp_seconds",
            "When the worker wrote the deadlines that are in force; 0: never.",
            registry=self.registry,
        )  # fmt: skip
        for outcome in OUTCOMES:
            self._looks.labels(outcome)
        for event in ALARMS:
            self._alarms.labels(event)

    def count_look(self, outcome: str) -> None:
        """Count one look."""
        self._looks.labels(outcome).inc()

    def count_alarm(self, event: str) -> None:
        """Count one alarm."""
        self._alarms.labels(event).inc()

    def note_foreign(self, count: int) -> None:
        """Note how many containers hold a GPU and are not the lab's."""
        self._foreign.set(count)

    def note_written(self, at: datetime) -> None:
        """Note when the worker wrote the deadlines."""
        self._note.set(at.timestamp())
