"""P45: a form needs same-site intent; nothing that another page can make a browser send counts."""

import pytest

from tests.pages.browser import ORIGIN, Browser

OTHERS = [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Origin": "https://evil.example"}, {"Origin": "null"},
    {"Origin": "http://ada.lab.localhost:8000", "Sec-Fetch-Site": "same-site"},
    {"Origin": ORIGIN + ".evil.example"}, {"Origin": "", "Sec-Fetch-Site": ""},
]  # fmt: skip


@pytest.mark.parametrize("headers", OTHERS)
def test_p45_a_form_from_elsewhere_does_nothing(ada: Browser, headers: dict[str, str]) -> None:
    form = ada.form("hours", "sign-out")
    assert ada.post(form.action, form.filled(), **headers).status_code == 403
    assert ada.get("").status_code == 303
    assert "sign-in" not in ada.get("").headers["location"]


@pytest.mark.parametrize("proof", ["", "x", "0" * 64])
def test_p45_a_form_without_its_own_proof_does_nothing(ada: Browser, proof: str) -> None:
    form = ada.form("hours", "sign-out")
    assert ada.post(form.action, form.filled(proof=proof)).status_code == 403


def test_p45_a_proof_of_somebody_else_does_nothing(ada: Browser, tomas: Browser) -> None:
    form = tomas.form("hours", "sign-out")
    assert ada.post(form.action, form.filled()).status_code == 403


def test_p45_looking_never_changes_anything(ada: Browser) -> None:
    assert ada.get("sign-out").status_code == 405


def test_p45_what_is_no_form_is_not_read(ada: Browser) -> None:
    form = ada.form("hours", "sign-out")
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        reply = ada.post(form.action, form.filled(), **{"Content-Type": kind})
        assert reply.status_code == 415


def test_pages_are_framed_by_nobody_and_run_only_their_own_scripts(ada: Browser) -> None:
    reply = ada.get("nowhere")
    assert reply.status_code == 404
    policy = reply.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "script-src 'self';" in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert "style=" not in reply.text
    assert "<script>" not in reply.text
