"""What the sender of notifications looks like to Prometheus, in the worker or by itself."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

LETTER_ALARMS = ("notify_broken", "notification_given_up", "channel_unusable")
RESULTS = ("sent", "failed", "unusable", "given_up", "stale", "no_channel", "no_address")


class LetterMetrics:
    """The sender's counts; every label value is there from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._letters = Counter(
            "gpulab_notifications", "Letters to channels: tries, and what became of them.",
            ["channel", "result"], registry=registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "gpulab_notifications_waiting_seconds",
            "How long the oldest letter has waited that could have been sent.",
            registry=registry,
        )

    def know_channels(self, names: Iterable[str]) -> None:
        """Show all results of each channel."""
        for name in names:
            for result in RESULTS:
                self._letters.labels(name, result)

    def count(self, channel: str, result: str, count: int = 1) -> None:
        """Count letters that were tried, or that are not sent any more."""
        self._letters.labels(channel, result).inc(count)

    def note_waiting(self, waited_s: float) -> None:
        """Note how long the oldest letter has waited."""
        self._waiting.set(waited_s)


class NotifierMetrics:
    """The counts of a notifier that runs as a program of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.letters = LetterMetrics(self.registry)
        self._alarms = Counter(
            "gpulab_notifier_alarms", "Events that want a person, by event.", ["event"],
            registry=self.registry,
        )  # fmt: skip
        for event in (*LETTER_ALARMS, "clock_jumped"):
            self._alarms.labels(event)

    def count_alarm(self, event: str) -> None:
        """Count one alarm."""
        self._alarms.labels(event).inc()
