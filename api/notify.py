"""The sender: takes letters out of the outbox and sends them, beside the worker's tick.

A thread of the worker's, or a program of its own (`api.notifier`) where the worker has no way to
the outside: either way it shares nothing with the tick but the database. A channel that is slow
or dead costs the others a bounded time: after two failures, or ten seconds, the rest of its
letters waits for the next pass. See docs/decisions/0017-notifications.md.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from api.channels import AppriseNotifier, Delivery, Message, Notifier
from api.letter_metrics import LetterMetrics
from api.messages import compose
from api.settings import WorkerSettings
from quota.errors import BooksUnavailable
from quota.sending import Outbox
from quota.service import Books
from quota.telling import Letter

log = structlog.get_logger()

_LOOK_EVERY_S = 5.0
_CHANNEL_BUDGET_S = 10.0
_FAILURES_MOST = 2
# A message on its way out is sent again after the restart if it is not noted by then.
_ENDS_WITHIN_S = 3.0


class Sender:
    """Sends what is due, pass by pass."""

    def __init__(
        self, outbox: Outbox, notifier: Notifier, metrics: LetterMetrics, *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._outbox = outbox
        self._notifier = notifier
        self._metrics = metrics
        self._monotonic = monotonic
        self._unusable: set[str] = set()
        self.stopped = threading.Event()

    def run(self, *, before: Callable[[], None] = lambda: None) -> None:
        """Send until told to stop; nothing that fails ends the loop. `before` is each pass's."""
        while not self.stopped.wait(_LOOK_EVERY_S):
            self.try_pass(before=before)

    def try_pass(self, *, before: Callable[[], None] = lambda: None) -> None:
        """Send what is due; what could not be noted comes up again by itself."""
        try:
            before()
            self.send_due()
        except BooksUnavailable as error:
            log.warning("notify_failed", error=type(error).__name__)
        except Exception:
            log.exception("notify_broken", alarm=True)

    def send_due(self) -> None:
        """Do one pass."""
        channels = self._outbox.books.lab.channels
        self._metrics.know_channels(channels)
        claim = self._outbox.claim()
        self._metrics.note_waiting(self._outbox.waited_s)
        for letter, why in claim.ended:
            self._metrics.count(letter.channel, why)
        for name in channels:
            mine = [one for one in claim.letters if one.channel == name]
            if mine:
                self._send_to(name, mine)

    def _send_to(self, name: str, letters: Sequence[Letter]) -> None:
        """Send letters to one channel, each reader's as one message."""
        began, failures = self._monotonic(), 0
        untried: list[Letter] = []
        for group in by_reader(letters):
            is_late = self._monotonic() - began > _CHANNEL_BUDGET_S
            if self.stopped.is_set() or failures >= _FAILURES_MOST or is_late:
                untried += group
            elif self._send(name, group).result in ("failed", "unusable"):
                failures += 1
        if untried:
            self._outbox.settle(untried=untried)

    def _send(self, name: str, group: list[Letter]) -> Delivery:
        lab = self._outbox.books.lab
        channel = lab.channels.get(name)
        if channel is None:  # lab.yaml was changed a moment ago
            delivery = Delivery("unusable")
        else:
            title, body = compose(group, lab)
            delivery = self._notifier.send(Message(channel=channel, person=group[0].person,
                                                   title=title, body=body))  # fmt: skip
        self._metrics.count(name, delivery.result, len(group))
        self._note_usable(name, delivery)
        if delivery.result == "sent":
            self._outbox.settle(sent=group)
        elif delivery.result == "no_address":
            self._outbox.settle(unreachable=group)
        else:
            given_up = self._outbox.settle(failed=group)
            self._metrics.count(name, "given_up", len(given_up))
            if given_up:
                log.error("notification_given_up", channel=name, count=len(given_up),
                          kinds=sorted({one.kind for one in given_up}), alarm=True)  # fmt: skip
        return delivery

    def _note_usable(self, name: str, delivery: Delivery) -> None:
        """Raise the alarm once, not at each of the tries that follow."""
        if delivery.result != "unusable":
            self._unusable.discard(name)
        elif name not in self._unusable:
            self._unusable.add(name)
            log.error("channel_unusable", channel=name, why=delivery.why, alarm=True)


def by_reader(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Put letters together that one reader gets, in the order of the first of each."""
    groups: dict[str, list[Letter]] = {}
    for letter in letters:
        groups.setdefault(letter.person, []).append(letter)
    yield from groups.values()


@contextmanager
def sending(settings: WorkerSettings, books: Books, metrics: LetterMetrics) -> Iterator[None]:
    """Send in a thread while the block runs, unless a program of its own does."""
    if not settings.worker_sends:
        yield
        return
    sender = open_sender(settings.secrets_dir, books, metrics)
    thread = threading.Thread(target=sender.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        sender.stopped.set()
        thread.join(timeout=_ENDS_WITHIN_S)


def open_sender(secrets_dir: Path, books: Books, metrics: LetterMetrics) -> Sender:
    """Put a sender together."""
    return Sender(Outbox(books), AppriseNotifier(secrets_dir), metrics)
