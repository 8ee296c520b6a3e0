"""A whole lab and a real browser: Debian's chromium, which loads from this machine alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from lab.trial.running import RunningLab
from tests.browser.people import LAB_TEXT, Person

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        assert os.environ.get("CI") != "true", "chromium is missing"
        pytest.skip("chromium is missing")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with RunningLab(tmp_path_factory.mktemp("browser"), text=LAB_TEXT) as running:
        yield running


@pytest.fixture
def people(lab: RunningLab, chromium: Browser) -> Iterator["People"]:
    found = People(lab, chromium)
    yield found
    found.close()


class People:
    """Opens a browser of their own for each person, and looks after them at the end."""

    def __init__(self, lab: RunningLab, chromium: Browser) -> None:
        self._lab = lab
        self._chromium = chromium
        self._open: dict[str, Person] = {}

    def __getitem__(self, name: str) -> Person:
        if name not in self._open:
            self._open[name] = Person.enter(self._chromium, self._lab, name)
        return self._open[name]

    def close(self) -> None:
        for person in self._open.values():
            person.leave()
