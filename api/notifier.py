"""The notifier as a program of its own, for a lab in containers.

There the worker has a way to the engine and none to the outside. Whoever talks to chat and mail
services has it the other way round: it knows their addresses and the books, and nothing else.
"""

import signal
from types import FrameType

import structlog

from api.letter_metrics import NotifierMetrics
from api.logs import configure_logs
from api.notify import open_sender
from api.policy import LabFile
from api.settings import NotifierSettings
from api.starting import plain_exit, require_current
from api.steady import steady_clock
from api.worker_metrics import served
from quota.service import Books
from quota.store.engine import open_engine

log = structlog.get_logger()


def main() -> None:
    """Send until SIGTERM or SIGINT."""
    metrics = NotifierMetrics()
    configure_logs("notifier", on_alarm=metrics.count_alarm)
    with plain_exit():
        settings = NotifierSettings()
        with served(metrics, settings.notifier_metrics_port, host=settings.notifier_metrics_host):
            run_notifier(settings, metrics)


def run_notifier(settings: NotifierSettings, metrics: NotifierMetrics) -> None:
    """Put the notifier together and run it."""
    policy = LabFile(settings.lab_file)
    engine = open_engine(settings.database_url.get_secret_value(), pool_size=1)
    require_current(engine)
    books = Books(engine, policy.lab, steady_clock(), hub_id=settings.hub_id)
    sender = open_sender(settings.secrets_dir, books, metrics.letters)

    def follow_rules() -> None:
        if policy.refresh():
            books.lab = policy.lab
        books.reload_rules()

    def stop(_number: int, _frame: FrameType | None) -> None:
        sender.stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("notifier_started", channels=sorted(policy.lab.channels))
    sender.run(before=follow_rules)
    engine.dispose()
    log.info("notifier_stopped")


if __name__ == "__main__":
    main()
