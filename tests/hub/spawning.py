"""Real spawners of real hub objects, without a hub around them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets.config import Config

from hub.leased import Leased


@contextmanager
def hub_of(spawner_class: type) -> Iterator["Spawning"]:
    """Open a hub's database in memory, for spawners of one class."""
    database = orm.new_session_factory("sqlite:///:memory:")()
    try:
        yield Spawning(spawner_class, database)
    finally:
        database.close()
        database.get_bind().dispose()


class Spawning:
    """Makes spawners as a hub does it: for a user of its database, one object per hub life."""

    def __init__(self, spawner_class: type, database: Any) -> None:
        self._class = spawner_class
        self._database = database

    def spawner(self, account: str = "ada", **traits: Any) -> Any:
        """Make a spawner with a new lease for an account."""
        owner = orm.User.find(self._database, account) or orm.User(name=account)
        self._database.add(owner)
        kept = owner.orm_spawners.get("") or orm.Spawner(name="", user=owner)
        self._database.add(kept)
        self._database.commit()
        settings = {"spawner_class": self._class, "config": Config(), "base_url": "/"}
        user = User(owner, settings, db=self._database)
        given = {"oauth_client_id": "test", "api_token": "the-session-s-own", **traits}
        if issubclass(self._class, Leased):
            given = {"lease_id": str(uuid4()), "flavor_name": "cpu", **given}
        return self._class(user=user, orm_spawner=kept, hub=Hub(ip="127.0.0.1", port=8081),
                           config=Config(), **given)  # fmt: skip

    def restarted(self, spawner: Any, state: dict[str, Any], **traits: Any) -> Any:
        """Make the spawner that a restarted hub has for the same server."""
        again = self.spawner(spawner.user.name, lease_id="", **traits)
        again.load_state(state)
        return again

    def serve_at(self, spawner: Any, ip: str, port: int) -> None:
        """Write a server's address into the database, as the hub does."""
        server = orm.Server(ip=ip, port=port, base_url="/user/ada/")
        self._database.add(server)
        spawner.orm_spawner.server = server
        self._database.commit()
