"""A small list of users with passwords, for trying the lab out; real sites use OAuthenticator."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Unicode

from lab.passwords import check_password, hash_password

# After this many wrong passwords for a name from one address that pair has to wait.
_FREE_FAILURES = 5
_LOCKED_FOR_S = 30.0
_REMEMBERED_MOST = 10_000
# scrypt takes 16 MiB and 50 ms of a core each; more at once would starve the hub.
_CHECKS_AT_ONCE = 2
# Checked for names that do not exist, so that they take as long as those that do.
_NOBODY = hash_password("nobody has this password")


class Throttle:
    """Counts wrong passwords by name and address; some are free, then each costs a wait."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, who: tuple[str, str]) -> float:
        """Tell how long a pair of name and address has to wait; 0 for not at all."""
        count, last_at = self._failures.get(who, (0, 0.0))
        if count < _FREE_FAILURES:
            return 0.0
        return max(0.0, last_at + _LOCKED_FOR_S - self._monotonic())

    def failed(self, who: tuple[str, str]) -> None:
        """Note a wrong password."""
        count, _ = self._failures.pop(who, (0, 0.0))
        self._failures[who] = (count + 1, self._monotonic())
        while len(self._failures) > _REMEMBERED_MOST:
            self._failures.popitem(last=False)

    def succeeded(self, who: tuple[str, str]) -> None:
        """Forget the wrong ones."""
        self._failures.pop(who, None)


class DemoAuthenticator(Authenticator):
    """Checks names and passwords against a file of scrypt hashes, read at each login."""

    passwords_file = Unicode("", config=True, help="JSON file {name: hash}.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._throttle = Throttle()
        self._turns = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def authenticate(self, handler: Any, data: Mapping[str, str] | None) -> str | None:
        """Return the name if the password is theirs."""
        data = data or {}
        name: str = self.normalize_username(data.get("username", "").strip())[:255]
        who = (name, str(handler.request.remote_ip))
        if (wait_s := self._throttle.wait_s(who)) > 0:
            raise web.HTTPError(
                429, f"Too many wrong passwords. Try again in {int(wait_s) + 1} seconds."
            )
        async with self._turns:
            is_right = await asyncio.to_thread(self._check, name, data.get("password", ""))
        if not is_right:
            self._throttle.failed(who)
            return None
        self._throttle.succeeded(who)
        return name

    def _check(self, name: str, password: str) -> bool:
        known = self._read_hashes()
        is_right = check_password(password, known.get(name, _NOBODY))
        return is_right and name in known

    def _read_hashes(self) -> dict[str, str]:
        try:
            read = json.loads(Path(self.passwords_file).read_text())
        except (OSError, ValueError) as error:
            self.log.error("the passwords cannot be read: %s", type(error).__name__)
            return {}
        if not isinstance(read, dict):
            return {}
        return {str(name): hashed for name, hashed in read.items() if isinstance(hashed, str)}
