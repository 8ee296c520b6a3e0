"""What others see of a person, from notes that come from outside."""

import asyncio
from typing import Any

import pytest

from hub.identity import user_info, with_user_info

PICTURE = "https://avatars.example.org/1.png"


@pytest.mark.parametrize(
    ("auth_state", "shown", "picture"),
    [
        (None, "ada", None),
        ({"github_user": {"name": "Ada L", "avatar_url": PICTURE}}, "Ada L", PICTURE),
        ({"oauth_user": {"name": "Ada L", "picture": PICTURE}, "scope": []}, "Ada L", PICTURE),
        ({"name": "Ada L", "email": "ada@example.org"}, "Ada L", None),
        ({"oauth_user": {"name": None, "picture": 7}}, "ada", None),
        ({"oauth_user": {"name": "\u202e\n\x00", "picture": "javascript:alert(1)"}}, "ada", None),
        ({"oauth_user": {"name": "x" * 9999, "picture": PICTURE + "x" * 999}}, "x" * 80, None),
        ({"oauth_user": {"picture": "http://a.example/1.png"}}, "ada", None),
        ({"oauth_user": {"picture": "https://[broken"}}, "ada", None),
        ("notes", "ada", None),
    ],
)  # fmt: skip
def test_what_others_see(auth_state: object, shown: str, picture: str | None) -> None:
    found = user_info("ada", auth_state)
    assert (found["name"], found["display_name"]) == ("ada", shown)
    assert found.get("avatar_url") == picture


def test_what_an_authenticator_says_itself_stays() -> None:
    said: dict[str, Any] = {"name": "ada", "auth_state": None, "user_info": {"name": "A"}}
    assert asyncio.run(with_user_info(None, None, said))["user_info"] == {"name": "A"}
    said["user_info"] = None
    assert asyncio.run(with_user_info(None, None, said))["user_info"]["display_name"] == "ada"
