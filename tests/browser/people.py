"""People at a lab's pages in a real browser: what they see, and that nothing else is loaded."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from lab.trial.running import RunningLab
from lab.trial.text import lab_text

# With a way to tell scholars things, which nothing is sent on: its address is not there.
_CHANNELS = """
channels:
  mail: {title: Mail, url_file: mail, chosen_by: [scholars], to_person: true}
"""
LAB_TEXT = lab_text() + _CHANNELS + "reservations: {most_open: 1}\n"
_RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    # Else it loads style sheets once more, imports of the hub's by addresses that are not there.
    "preload": False,
}
_SIZES = {"desk": (1200, 800), "phone": (375, 740)}


@dataclass
class Person:
    """One person who is logged in, with everything that their browser complained about."""

    name: str
    lab: RunningLab
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def enter(cls, chromium: Browser, lab: RunningLab, name: str) -> Self:
        """Open a browser and log in at the hub."""
        context = chromium.new_context(
            viewport={"width": 1200, "height": 800}, locale="en-GB", reduced_motion="reduce"
        )
        person = cls(name, lab, context, context.new_page())
        person.page.on("console", person._heard)
        person.page.on("pageerror", lambda error: person.complaints.append(f"script: {error}"))
        person.page.on("request", person._asked)
        person.page.goto(f"{lab.address}/hub/login")
        person.page.fill("input[name=username]", name)
        person.page.fill("input[name=password]", lab.passwords()[name])
        person.page.press("input[name=password]", "Enter")
        person.page.wait_for_url("**/hub/home")
        return person

    def open(self, path: str) -> Page:
        """Go to one of the service's pages."""
        self.page.goto(self.address(path))
        return self.page

    def address(self, path: str) -> str:
        """Return the address of one of the service's pages."""
        return f"http://gpulab--service.lab.localhost:{self.lab.port}/services/gpulab/{path}"

    def look_around(self) -> None:
        """Check the page in both themes and two sizes: readable by everybody, and whole."""
        for theme in ("light", "dark"):
            self.page.evaluate("theme => document.documentElement.dataset.bsTheme = theme", theme)
            self._check_readable(theme)
        for size, (width, height) in _SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{self.page.url} is {wide} wide on a {size}"
        self.page.set_viewport_size({"width": 1200, "height": 800})

    def leave(self) -> None:
        """Close the browser; whatever it complained about fails the test."""
        self.context.close()
        assert not self.complaints, self.complaints

    def _check_readable(self, theme: str) -> None:
        found = Axe().run(self.page, options=_RULES)
        faults = [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found.response["violations"]
        ]
        assert faults == [], f"{self.page.url} ({theme}): {faults}"

    def _heard(self, message: ConsoleMessage) -> None:
        # That a form was answered with 422, or that there is no such page, is the page's to say,
        # and it does.
        at = message.location.get("url", "")
        is_told = "status of 422" in message.text or at == self.page.url
        if message.type == "error" and not is_told:
            self.complaints.append(f"console at {self.page.url}: {message.text} ({at})")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        if parts.scheme in ("http", "https", "ws") and not host.endswith("lab.localhost"):
            self.complaints.append(f"foreign request: {request.url}")
