"""What a session hears of its visitors: by its own token, about itself, through the hub."""

import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from tornado.web import HTTPError

from hub.client import ServiceUnavailable
from hub.replies import Visit, Visits
from hub.visits import SessionVisits, VisitsHandler
from tests.hub.doubles import ScriptedService, Stopwatch, refusal, run
from tests.quota.books import NOON

LEASE = UUID(int=7)
TOMAS = Visits(visits=[Visit(ta="tomas", mode="observe", until=NOON)])


class Handler(VisitsHandler):
    """A request of a session's, without a hub around it."""

    def __init__(self, body: object, *, user: Any, scopes: tuple[str, ...]) -> None:
        self._body, self._scopes, self._jupyterhub_user = body, scopes, user
        self.answer: Any = None

    def get_json_body(self) -> object:
        return self._body

    def has_scope(self, scope: str) -> bool:
        return scope in self._scopes

    def finish(self, answer: Any = None) -> None:
        self.answer = answer


def ada(lease_id: str = str(LEASE)) -> Any:
    return SimpleNamespace(name="ada", orm_spawners={"": object()},
                           spawners={"": SimpleNamespace(lease_id=lease_id)})  # fmt: skip


def asked(
    service: ScriptedService, body: object = None, *, user: Any = None,
    scopes: tuple[str, ...] = ("access:servers!server=ada/",),
) -> Any:  # fmt: skip
    given = {"server_name": "", "no_observing": ""} if body is None else body
    handler = Handler(given, user=ada() if user is None else user, scopes=scopes)
    handler.initialize(SessionVisits(service).of)
    run(handler.put())
    return handler.answer


def test_a_session_hears_of_its_own_visitors_and_says_what_it_can() -> None:
    service = ScriptedService(visits_reply=TOMAS)
    answer = asked(service, {"server_name": "", "no_observing": "too new"})
    assert answer["visits"][0]["ta"] == "tomas"
    json.dumps(answer)
    assert service.visited == [(LEASE, "too new")]


@pytest.mark.parametrize(
    ("user", "scopes", "body", "status"),
    [
        (ada(), ("users:activity!user",), None, 403),
        (ada(), ("access:servers!server=blaise/",), None, 403),
        (SimpleNamespace(name="a service"), ("access:servers!server=ada/",), None, 403),
        (ada(), ("access:servers!server=ada/x",), {"server_name": "x"}, 404),
        (ada(""), ("access:servers!server=ada/",), None, 404),
        (ada(), ("access:servers!server=ada/",), {"server_name": 5}, 400),
        (ada(), ("access:servers!server=ada/",), {"no_observing": "x" * 501}, 400),
    ],
)
def test_others_and_nonsense_are_refused(
    user: Any, scopes: tuple[str, ...], body: object, status: int
) -> None:
    service = ScriptedService(visits_reply=TOMAS)
    with pytest.raises(HTTPError) as error:
        asked(service, body, user=user, scopes=scopes)
    assert error.value.status_code == status
    assert service.visited == []


@pytest.mark.parametrize(
    ("trouble", "status"), [(ServiceUnavailable("x"), 503), (refusal("no_such_lease"), 404)]
)
def test_without_the_books_nobody_is_named(trouble: Exception, status: int) -> None:
    with pytest.raises(HTTPError) as error:
        asked(ScriptedService(visits_reply=trouble))
    assert error.value.status_code == status


def test_the_service_is_asked_once_a_second_for_each_session() -> None:
    service, watch = ScriptedService(visits_reply=TOMAS), Stopwatch()
    visits = SessionVisits(service, monotonic=lambda: watch.now_s)

    async def ask() -> None:
        for lease_id, at_s in ((LEASE, 0.0), (LEASE, 0.9), (uuid4(), 0.9), (LEASE, 1.1)):
            watch.now_s = at_s
            await visits.of(lease_id, "")

    run(ask())
    assert [lease_id == LEASE for lease_id, _ in service.visited] == [True, False, True]
