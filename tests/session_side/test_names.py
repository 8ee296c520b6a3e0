"""P41: whose token it is cannot be mistaken, whatever people and servers are called."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.auth import Caller
from tests.session_side.side import session_scopes

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=NAMES, server=NAMES, other=NAMES)
def test_p41_a_name_never_stands_for_another(name: str, server: str, other: str) -> None:
    server = server.replace("/", "-")
    own = Caller(name=name, scopes=frozenset(session_scopes(name, server)))
    assert (own.is_session, own.server) == (True, server)
    theirs = Caller(name=other, scopes=own.scopes)
    if other != name and not f"{name}/".startswith(f"{other}/"):
        assert (theirs.is_session, theirs.server) == (False, None)
