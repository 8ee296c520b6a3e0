"""Asking the lab: an answer or a sentence within seconds, whatever the lab does."""

import io
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from hub.process_spawner import SESSION_PART
from tests.session.listener import Listener
from tests.session.parts import part


def client() -> Any:
    return part("client").Client.here()


def test_a_reading_is_repeated_until_the_lab_is_back(lab: Listener) -> None:
    lab.instead = [503, 500, b"nonsense"]
    began = time.monotonic()
    assert client().facts()["scholar"] == "ada"
    assert len(lab.asked) == 4
    assert time.monotonic() - began >= 1, "Retry-After is heeded"


@pytest.mark.parametrize(
    "instead", [500, b"", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n[1]", "huge",
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
                b"HTTP/1.1 404 Not Found\r\n\r\nno JSON", "trickle", "silent"],
)  # fmt: skip
def test_whatever_is_no_answer_is_said_to_be_none(
    lab: Listener, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = part("client")
    monkeypatch.setattr(parts, "_ONE_S", 0.4)
    lab.always = instead
    began = time.monotonic()
    with pytest.raises(parts.Away):
        client().facts(patience_s=0)
    assert time.monotonic() - began < 3
    assert len(lab.asked) == 1


def test_nobody_there_is_found_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = part("client")
    for address in ("http://127.0.0.1:1/session/v1", "http://127.0.0.1:99999", "http://"):
        with pytest.raises(parts.Away):
            parts.Client(address, "key").facts(patience_s=0)
    for address, key in (("", "key"), ("http://127.0.0.1:1", ""), ("file:///etc/passwd", "key")):
        monkeypatch.setenv("GPULAB_SESSION_API", address)
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", key)
        with pytest.raises(parts.NoSession):
            client()


def test_a_refusal_is_final_and_a_sentence(lab: Listener) -> None:
    parts = part("client")
    lab.may_keep = False
    with pytest.raises(parts.Refused, match="Somebody waits") as error:
        client().keep()
    assert error.value.code == "may_not_keep"
    assert len(lab.asked) == 1
    with pytest.raises(parts.Refused, match="not known"):
        parts.Client(os.environ["GPULAB_SESSION_API"], "another").facts()


def test_p46_the_key_goes_to_the_lab_alone(lab: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment gets it, and no redirect leads it away."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    elsewhere = Listener()
    assert client().facts()["scholar"] == "ada"
    lab.always = b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
    with pytest.raises(part("client").Away):
        client().facts(patience_s=0)
    assert elsewhere.asked == []


@pytest.mark.parametrize("told", ["\x1b]0;evil\x07", "two\nlines", "x" * 10_000])
def test_what_the_lab_says_steers_no_terminal(lab: Listener, told: str) -> None:
    judged, parts = part("client").judged, part("client")
    with pytest.raises(parts.Refused) as error:
        judged(409, json.dumps({"code": "c", "detail": told}).encode())
    assert error.value.message.isprintable()
    assert len(error.value.message) <= 400


def test_a_line_is_said_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    few = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", few)
    part("words").say("Jürgen has taken it")
    assert few.buffer.getvalue() == b"J\\xfcrgen has taken it\n"
    few.close()
    part("words").say("nobody hears this")


def test_the_package_alone_loads_next_to_nothing() -> None:
    """Whatever imports it at the start of a session pays for no more than it uses."""
    words = "import sys, gpulab_session; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-S", "-c", words], check=True, capture_output=True,
                         text=True, env={"PYTHONPATH": str(SESSION_PART)})  # fmt: skip
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & {"argparse", "http", "urllib", "json", "signal", "threading", "torch"}
    whole = part()
    assert {"budget", "passed", "torch_loop", "dataset"} <= set(dir(whole))
    assert whole.budget is part("budgets").budget
    assert not hasattr(whole, "nothing")
