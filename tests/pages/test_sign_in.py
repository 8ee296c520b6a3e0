"""Signing in: by the hub's login, back to where one wanted to go, and never by a trick."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from api.pages.addresses import PREFIX, Addresses
from api.pages.sealed import Seal
from api.pages.sign_in import local_path
from tests.api.desk import SERVICE_SECRET, ApiDesk
from tests.pages.browser import HOST, ORIGIN, Browser, browser_of


def test_who_is_not_signed_in_is_led_to_the_hub_and_back_to_the_page(desk: ApiDesk) -> None:
    browser = browser_of(desk)
    begun = browser.get("sign-in?next=/services/gpulab/hours%3Fa=1")
    asked = urlsplit(begun.headers["location"])
    query = {name: values[0] for name, values in parse_qs(asked.query).items()}
    assert f"{asked.scheme}://{asked.netloc}{asked.path}" == f"{HOST}/hub/api/oauth2/authorize"
    assert query["redirect_uri"] == f"{ORIGIN}{PREFIX}/oauth_callback"
    desk.hub.codes["code"] = "token-ada"
    back = browser.get(f"oauth_callback?code=code&state={query['state']}")
    assert back.headers["location"] == f"{PREFIX}/hours?a=1"
    # PKCE: only who began can end it.
    digest = hashlib.sha256(desk.hub.asked["code_verifier"].encode()).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert desk.hub.asked["client_secret"] == SERVICE_SECRET


def test_a_page_asks_for_a_sign_in_and_remembers_itself(desk: ApiDesk) -> None:
    asked = browser_of(desk).get("?x=1")
    assert asked.headers["location"] == f"{PREFIX}/sign-in?next=%2Fservices%2Fgpulab%2F%3Fx%3D1"


@pytest.mark.parametrize("query", ["", "?code=c", "?code=c&state=zz", "?state=", "?error=denied"])
def test_an_answer_that_nobody_asked_for_begins_anew(desk: ApiDesk, query: str) -> None:
    desk.hub.codes["c"] = "token-ada"
    browser = browser_of(desk)
    for _ in range(2):
        reply = browser.get(f"oauth_callback{query}")
        assert "/hub/api/oauth2/authorize?" in reply.headers["location"]
    assert browser.get("").headers["location"].startswith(f"{PREFIX}/sign-in")


@pytest.mark.parametrize("code", ["used", ""])
def test_a_code_that_the_hub_does_not_take_lets_nobody_in(desk: ApiDesk, code: str) -> None:
    browser = browser_of(desk)
    state = parse_qs(urlsplit(browser.get("sign-in").headers["location"]).query)["state"][0]
    reply = browser.get(f"oauth_callback?code={code}&state={state}")
    assert reply.status_code in (303, 403)
    assert browser.get("").status_code == 303


@pytest.mark.parametrize("broken", ["refused", "500", "garbage"])
def test_a_hub_in_trouble_is_said(desk: ApiDesk, broken: str) -> None:
    browser = browser_of(desk)
    state = parse_qs(urlsplit(browser.get("sign-in").headers["location"]).query)["state"][0]
    desk.hub.codes["c"], desk.hub.broken = "token-ada", broken
    reply = browser.get(f"oauth_callback?code=c&state={state}")
    assert reply.status_code in (403, 503)
    assert "<h1>" in reply.text


@pytest.mark.parametrize("path", [
    "https://evil.example/", "//evil.example/", "/hub/logout", f"{PREFIX}", "javascript:alert(1)",
    f"{PREFIX}/\\evil", f"{PREFIX}/\r\nSet-Cookie: a=b", f"{PREFIX}/" + "x" * 600, f"{PREFIX}/ä",
])  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(path: str) -> None:
    assert local_path(path) == f"{PREFIX}/"


def test_a_cookie_of_somebody_else_or_changed_is_none(desk: ApiDesk, ada: Browser) -> None:
    kept = ada.client.cookies.get("gpulab")
    assert kept
    for forged in (kept[:-4] + "AAAA", "x", "", Seal("other").close({"name": "olga"}, now_s=0)):
        browser = browser_of(desk)
        browser.client.cookies.set("gpulab", forged, domain="gpulab--service.lab.localhost")
        assert browser.get("").headers["location"].startswith(f"{PREFIX}/sign-in")


def test_signing_out_forgets_and_leads_to_the_hub(ada: Browser) -> None:
    done = ada.send("hours", "sign-out")
    assert done.headers["location"] == f"{HOST}/hub/logout"
    assert ada.get("").headers["location"].startswith(f"{PREFIX}/sign-in")


def test_a_token_that_the_hub_forgot_is_signed_out(desk: ApiDesk, ada: Browser) -> None:
    del desk.hub.tokens["token-ada"]
    assert ada.get("").headers["location"].startswith(f"{PREFIX}/sign-in")


def test_cookies_are_closed_to_scripts_and_over_https_to_other_hosts() -> None:
    assert Addresses("https://lab.example.org").is_https
    assert Addresses("https://lab.example.org").own_origin == (
        "https://gpulab--service.lab.example.org"
    )
    assert Addresses("").callback == f"{PREFIX}/oauth_callback"
