"""The part of a session that keeps its visitors: its rules, what it believes, and for how long."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.web import HTTPError

from hub.process_spawner import SESSION_PART, _session_part
from tests.architecture import code
from tests.images.session_part import on_the_path, part


@pytest.fixture(scope="module", autouse=True)
def _on_the_path() -> Iterator[None]:
    with on_the_path():
        yield


OBSERVES = ("tomas", "observe")
EDITS = ("tomas", "co_edit")


def refusal(visit: tuple[str, str] | None, method: str, path: str, why: str = "") -> str:
    rules = part("rules")
    given = None if visit is None else rules.Visit(*visit)
    return str(rules.refusal(given, method, path, no_observing=why))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("GET", "lab"), ("GET", "lab/tree/a.ipynb"), ("GET", "lab/api/settings/x"),
        ("GET", "api/contents/a%20b.ipynb"), ("HEAD", "files/a.png"), ("GET", "api/kernels"),
        ("GET", "api/kernels/1-2"), ("GET", "api/sessions"), ("GET", "api/me"),
        ("GET", "api/events/subscribe"), ("GET", "api/collaboration/room/text:file:1"),
        ("GET", "gpulab/facts"),
        ("PUT", "api/collaboration/session/a.ipynb"), ("GET", "oauth_callback"),
    ],
)  # fmt: skip
def test_p34_observers_read(method: str, path: str) -> None:
    assert refusal(OBSERVES, method, path) == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/kernels/1/channels"), ("GET", "terminals/websocket/1"),
        ("POST", "api/kernels"), ("POST", "api/kernels/1/restart"), ("DELETE", "api/kernels/1"),
        ("PUT", "api/contents/a"), ("PATCH", "api/contents/a"), ("POST", "api/contents"),
        ("DELETE", "api/contents/a"), ("POST", "api/contents/a/checkpoints"),
        ("PUT", "lab/api/workspaces/x"), ("POST", "lab/api/build"), ("GET", "lab/api/build"),
        ("GET", "git-pull/api"), ("GET", "nbconvert/html/a"), ("POST", "api/shutdown"),
        ("PUT", "api/collaboration/fork/1"), ("PUT", "api/collaboration/undo_redo/1"),
        ("GET", "api/collaboration/timeline/a"), ("GET", "api/%6Bernels/1/channels"),
        ("GET", "lab\n/x"), ("GET", "a-route-of-tomorrow"), ("OPTIONS", "api/contents"),
        ("PUT", "gpulab/done"), ("PUT", "gpulab/facts"), ("GET", "gpulab/other"),
    ],
)  # fmt: skip
def test_p34_observers_change_and_run_nothing(method: str, path: str) -> None:
    assert "observe" in refusal(OBSERVES, method, path)
    assert refusal(EDITS, method, path) == ""
    assert "not attached" in refusal(None, method, path)


def test_an_observer_of_an_untested_version_is_told_why() -> None:
    rules = part("rules")
    why = rules.why_not_observed("9.9", is_known_shape=True)
    assert "9.9" in why
    assert refusal(OBSERVES, "GET", "api/contents", why) == why
    assert refusal(EDITS, "GET", "api/contents", why) == ""
    assert rules.why_not_observed(rules.TESTED_YDOC, is_known_shape=False)
    assert rules.why_not_observed(rules.TESTED_YDOC, is_known_shape=True) == ""
    assert rules.why_not_observed(None, is_known_shape=True) == "", "nothing to write by"


def test_the_tested_version_is_the_one_in_the_images() -> None:
    lock = (code.ROOT / "images/base/requirements.txt").read_text()
    (locked,) = re.findall(r"^jupyter-server-ydoc==(\S+)", lock, re.MULTILINE)
    assert locked == part("rules").TESTED_YDOC


@pytest.mark.parametrize(
    ("message", "reads"),
    [(b"\0\0\1", True), (b"\1\5", True), (b"\0\1\1", False), (b"\0\2\1", False),
     (b"\2\4save\1", False), (b"\x80\0\0", False), (b"\x81\0\0", False), (b"\0\x80\0", False),
     (b"", False), (b"\0", False), ("\0\0", False), (b"\3\0", False)],
)  # fmt: skip
def test_p34_messages_that_change_a_document_are_known(message: object, reads: bool) -> None:
    assert part("rules").only_reads(message) is reads


class Lab:
    """A lab that says who visits, and time by hand."""

    def __init__(self) -> None:
        self.visits: Any = [{"ta": "tomas", "mode": "observe", "until": ""}]
        self.asked = 0
        self.now_s = 100.0

    async def ask(self, _no_observing: str) -> Any:
        self.asked += 1
        if isinstance(self.visits, Exception):
            raise self.visits
        return {"visits": self.visits}

    async def pause(self, for_s: float) -> None:
        self.now_s += for_s

    def believed(self) -> Any:
        return part("visits").Visits("", self.ask, monotonic=lambda: self.now_s, pause=self.pause)


def test_an_answer_is_believed_for_seconds_and_silence_for_few_more() -> None:
    async def play() -> None:
        lab = Lab()
        visits = lab.believed()
        assert (await visits.of("tomas")).mode == "observe"
        lab.visits = []
        lab.now_s += 3
        assert await visits.of("tomas") is not None
        lab.now_s += 1.5
        assert await visits.of("tomas") is None
        lab.visits = [{"ta": "tomas", "mode": "co_edit", "until": ""}]
        assert (await visits.of("tomas")).may_write, "who was just attached need not wait"
        lab.visits = OSError("no hub")
        lab.now_s += 5
        assert await visits.of("tomas") is not None, "a hub that restarts sends nobody out"
        lab.now_s += 5
        assert await visits.of("tomas") is None

    asyncio.run(play())


@pytest.mark.parametrize("nonsense", [None, 5, [{"ta": "tomas"}], ["tomas"], [[]]])
def test_nonsense_lets_nobody_in(nonsense: object) -> None:
    lab = Lab()
    lab.visits = nonsense
    assert asyncio.run(lab.believed().of("tomas")) is None


class Provider:
    """Says who asks, as JupyterHub's does."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    async def get_user(self, _handler: object) -> Any:
        return None if self.name is None else SimpleNamespace(username=self.name)


def ask_as(name: str | None, method: str, path: str, lab: Lab) -> Any:
    async def play() -> Any:
        guard = part("guard").Guard("ada", "/user/ada/", lab.believed())
        provider = Provider(name)
        guard.watch(provider)
        handler = SimpleNamespace(request=SimpleNamespace(method=method, path=path))
        return await provider.get_user(handler)

    return asyncio.run(play())


def test_the_owner_is_asked_for_nothing_and_strangers_stay_strangers() -> None:
    lab = Lab()
    assert ask_as("ada", "DELETE", "/user/ada/api/contents/a", lab).username == "ada"
    assert ask_as(None, "GET", "/user/ada/lab", lab) is None
    assert lab.asked == 0


def test_visitors_pass_as_far_as_their_visit_goes() -> None:
    assert ask_as("tomas", "GET", "/user/ada/lab", Lab()).username == "tomas"
    for who, method, path in (("tomas", "POST", "/user/ada/api/kernels"),
                              ("tomas", "GET", "/elsewhere/lab"),
                              ("tilda", "GET", "/user/ada/lab")):  # fmt: skip
        with pytest.raises(HTTPError) as error:
            ask_as(who, method, path, Lab())
        assert error.value.status_code == 403


def test_whose_a_token_is_is_remembered_for_seconds_unless_it_is_the_owners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = part("guard")
    known = guard.Identities("ada", 300)
    known["a"], known["t"], known["gone"] = {"name": "ada"}, {"name": "tomas"}, None
    assert ("a" in known, "t" in known, "gone" in known) == (True, True, True)
    for key in known.timestamps:
        known.timestamps[key] -= 5
    assert ("a" in known, "t" in known, "gone" in known) == (True, False, False)
    assert known.get("t") is None


def test_sessions_as_processes_load_the_part() -> None:
    folder = SESSION_PART / "jupyter-config" / "jupyter_server_config.d"
    assert "gpulab_session.extension" in (folder / "gpulab_session.json").read_text()
    assert Path(str(part("extension").__file__)).is_relative_to(SESSION_PART)


def test_sessions_as_processes_are_told_where_the_labs_are() -> None:
    labs = Path(_session_part("")["GPULAB_LABS"])
    assert (labs / "week-1.ipynb").is_file()
