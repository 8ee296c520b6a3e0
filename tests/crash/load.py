"""People who start and stop sessions all the time, while programs of the lab are killed."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2

from lab.trial.running import RunningLab
from lab.trial.visitor import Visitor

T = TypeVar("T")

_FLAVORS = ("quarter-gpu", "quarter-gpu", "cpu")
# Promise P04: who wants to start can, at most so long after whatever crashed.
START_WITHIN_S = 60.0


@dataclass(slots=True)
class Stay:
    """One session as its scholar saw it; times of the wall clock, in seconds."""

    account: str
    asked_at: float
    ready_at: float
    stop_asked_at: float = 0.0


@dataclass(slots=True)
class Storm:
    """The killing while it goes on."""

    ending: threading.Event = field(default_factory=threading.Event)
    last_kill_at: float = 0.0


@dataclass(slots=True)
class Scholar:
    """Starts, stays a while, stops, and again, until told to end."""

    visitor: Visitor
    seed: int
    storm: Storm
    stays: list[Stay] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def live(self) -> None:
        """Go on until the end, then stop what runs."""
        dice = random.Random(self.seed)
        while not self.storm.ending.is_set():
            stay = self._start(dice.choice(_FLAVORS))
            if stay is not None:
                self.storm.ending.wait(dice.uniform(1, 8))
                stay.stop_asked_at = time.time()
            self._stop()

    def _start(self, flavor: str) -> Stay | None:
        asked_at = time.time()
        while self._may_still_start(asked_at):
            if self._try(lambda: self.visitor.spawn(flavor).status_code) in (201, 202, 400):
                while self._may_still_start(asked_at):
                    if self._try(self.visitor.is_running):
                        stay = Stay(self.visitor.name, asked_at, time.time())
                        self.stays.append(stay)
                        return stay
                    if self._try(lambda: self.visitor.server() is None):
                        break
                    time.sleep(0.3)
            time.sleep(0.5)
        self.troubles.append(
            f"{self.visitor.name} could not start {flavor} within {time.time() - asked_at:.0f} s"
        )
        return None

    def _may_still_start(self, asked_at: float) -> bool:
        return time.time() - max(asked_at, self.storm.last_kill_at) < START_WITHIN_S

    def _stop(self) -> None:
        asked_at = time.time()
        path = f"/users/{self.visitor.name}/server"
        while self._may_still_start(asked_at):
            status = self._try(lambda: self.visitor.api("DELETE", path).status_code)
            if status in (204, 202, 404) and self._try(lambda: self.visitor.server() is None):
                return
            time.sleep(0.3)
        self.troubles.append(f"{self.visitor.name} could not stop within {START_WITHIN_S:g} s")

    def _try(self, ask: Callable[[], T]) -> T | None:
        """Ask; whatever goes wrong while hub or proxy are killed counts as no answer."""
        try:
            return ask()
        except (httpx2.HTTPError, ValueError, KeyError, AttributeError):
            return None


def scholars_of(lab: RunningLab, names: tuple[str, ...], seed: int) -> tuple[
    list[Scholar], Storm
]:  # fmt: skip
    """Log people in and give each a token, before anything is killed."""
    storm = Storm()
    found = []
    for number, name in enumerate(names):
        visitor = lab.logged_in(name)
        assert visitor.token
        found.append(Scholar(visitor, seed + number, storm))
    return found, storm
