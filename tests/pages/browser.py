"""Somebody at the pages, as a browser without scripts: cookies, links, forms."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.pages.addresses import PREFIX
from tests.api.desk import ApiDesk, open_service

HOST = "http://lab.localhost:8000"
ORIGIN = "http://gpulab--service.lab.localhost:8000"


@dataclass
class Form:
    """A form of a page, with what it holds when nothing was typed yet."""

    action: str
    label: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **typed: str | list[str]) -> list[tuple[str, str]]:
        unknown = set(typed) - {name for name, _ in self.fields}
        assert not unknown, f"the form has no {unknown}: {self.fields}"
        kept = [(name, value) for name, value in self.fields if name not in typed]
        for name, value in typed.items():
            kept += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        return kept


class _Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._area: tuple[str, str] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("aria-label", ""))
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input" and name:
            is_off = given.get("type") in ("checkbox", "radio") and "checked" not in given
            self._form.fields.append((name, "" if is_off else given.get("value", "")))
        elif tag == "textarea":
            self._area = (name, "")
        elif tag == "select":
            self._select = name
            self._form.fields.append((name, ""))
        elif tag == "option" and self._select and "selected" in given:
            self._form.fields[-1] = (self._select, given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area = (self._area[0], self._area[1] + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._area is not None and self._form is not None:
            self._form.fields.append(self._area)
            self._area = None


def forms_of(page: httpx2.Response) -> list[Form]:
    found = _Forms()
    found.feed(page.text)
    return found.forms


@dataclass
class Browser:
    """One person's browser."""

    desk: ApiDesk
    client: TestClient

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.client.get(f"{PREFIX}/{path}", headers=headers)

    def form(self, path: str, action: str) -> Form:
        """Return the form of a page that goes to an action."""
        found = [one for one in forms_of(self.get(path)) if one.action.endswith(action)]
        assert found, f"{path} has no form to {action}"
        return found[0]

    def send(self, path: str, action: str, /, **typed: str | list[str]) -> httpx2.Response:
        """Fill in the form of a page and send it, without following where it leads."""
        form = self.form(path, action)
        return self.post(form.action, form.filled(**typed))

    def post(self, action: str, pairs: list[tuple[str, str]], **headers: str) -> httpx2.Response:
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin",
                "Content-Type": "application/x-www-form-urlencoded"} | headers  # fmt: skip
        return self.client.post(
            action,
            content=urlencode(pairs),
            headers={name: value for name, value in sent.items() if value},
        )

    def sign_in(self, token: str, path: str = "") -> httpx2.Response:
        """Sign in at the fake hub, and return the answer that leads back to the page."""
        begun = self.get(path)
        assert begun.status_code == 303, begun.text
        if "oauth2/authorize" not in begun.headers["location"]:
            begun = self.client.get(begun.headers["location"])
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        self.desk.hub.codes["code-1"] = token
        query = urlencode({"code": "code-1", "state": asked["state"][0]})
        return self.get(f"oauth_callback?{query}")


def browser_of(desk: ApiDesk, token: str = "") -> Browser:
    client = TestClient(desk.client.app, base_url=ORIGIN, follow_redirects=False)
    browser = Browser(desk=desk, client=client)
    if token:
        assert browser.sign_in(token).status_code == 303
    return browser


@contextmanager
def open_pages(engine: Engine, folder: Path) -> Iterator[ApiDesk]:
    with open_service(engine, folder, public_host=HOST, identity_cache_s=0) as desk:
        yield desk
