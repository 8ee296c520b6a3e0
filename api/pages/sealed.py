"""Values that a browser keeps for the pages, unread and unchanged: sealed cookies and tokens."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

# Different uses of one secret never open each other's seals.
_PURPOSE = b"gpulab pages: "


class Seal:
    """Seals small values under a key that is made from a secret of the service."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE + b"seal", "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(self._key))

    def close(self, value: dict[str, Any], *, now_s: int) -> str:
        """Seal a value."""
        text = json.dumps(value, separators=(",", ":")).encode()
        return self._fernet.encrypt_at_time(text, now_s).decode()

    def open(self, sealed: str | None, *, now_s: int, most_s: int) -> dict[str, Any] | None:
        """Return a value that was sealed here at most `most_s` ago; None for anything else."""
        if not sealed:
            return None
        try:
            value = json.loads(self._fernet.decrypt_at_time(sealed.encode(), most_s, now_s))
        except (InvalidToken, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def stamp(self, text: str) -> str:
        """Return a proof that only this service could have made for a text."""
        return hmac.new(self._key, _PURPOSE + b"stamp" + text.encode(), hashlib.sha256).hexdigest()
