"""What others see of a person: a display name and a picture, from whoever vouched for them.

JupyterHub passes it on to the sessions, where it stands at cursors and in the list of who is
there. It comes from outside, so it is bounded; a name that it lacks stays the name at the hub.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_NAME_MOST_CHARS = 80
_URL_MOST_CHARS = 512
# OpenID Connect's own words, then GitHub's.
_NAMES = ("name", "display_name")
_PICTURES = ("picture", "avatar_url")


async def with_user_info(
    _authenticator: Any, _handler: Any, authentication: dict[str, Any]
) -> dict[str, Any]:
    """Add what is known of a person (a hook of JupyterHub's after each login)."""
    if not authentication.get("user_info"):
        found = user_info(authentication["name"], authentication.get("auth_state"))
        authentication["user_info"] = found
    return authentication


def user_info(name: str, auth_state: object) -> dict[str, str]:
    """Return what others see, from what an authenticator noted.

    OAuthenticator's notes have what the provider said under `oauth_user`; LTI's are what the
    learning platform said.
    """
    said = _said(auth_state)
    shown = _first(said, _NAMES)[:_NAME_MOST_CHARS] or name
    found = {"name": name, "display_name": shown}
    picture = _first(said, _PICTURES)
    if _is_picture(picture):
        found["avatar_url"] = picture
    return found


def _said(auth_state: object) -> Mapping[str, Any]:
    if not isinstance(auth_state, Mapping):
        return {}
    for key, value in auth_state.items():
        if str(key).endswith("_user") and isinstance(value, Mapping):
            return value
    return auth_state


def _first(said: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = said.get(key)
        if isinstance(value, str):
            plain = "".join(char for char in value if char.isprintable()).strip()
            if plain:
                return plain[: _URL_MOST_CHARS + 1]
    return ""


def _is_picture(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.netloc) and len(url) <= _URL_MOST_CHARS
