"""Passwords of the demo accounts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado import web

from hub import demo_users
from hub.demo_users import DemoAuthenticator, Throttle
from lab.passwords import check_password, hash_password
from tests.hub.doubles import run


def log_in(users: DemoAuthenticator, name: str, password: str, ip: str = "1.2.3.4") -> Any:
    handler = SimpleNamespace(request=SimpleNamespace(remote_ip=ip))
    return run(users.authenticate(handler, {"username": name, "password": password}))


@pytest.fixture
def users(tmp_path: Path) -> DemoAuthenticator:
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"ada": hash_password("correct horse"), "broken": "plain"}))
    return DemoAuthenticator(passwords_file=str(path))


def test_the_right_password_lets_in(users: DemoAuthenticator) -> None:
    assert log_in(users, "ada", "correct horse") == "ada"
    assert log_in(users, " Ada ", "correct horse") == "ada", "as the hub writes names"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"), ("ada", ""), ("", ""), ("nobody", "correct horse"),
        ("nobody", "nobody has this password"), ("broken", "plain"), ("ada", "x" * 100_000),
        ("ada", "\ud800"), ("ada\0", "correct horse"), ("x" * 100_000, "y"),
    ],
)  # fmt: skip
def test_anything_else_does_not(users: DemoAuthenticator, name: str, password: str) -> None:
    assert log_in(users, name, password) is None


def test_a_missing_or_broken_file_lets_nobody_in(users: DemoAuthenticator) -> None:
    for text in ("", "[]", "{", '{"ada": 7}'):
        Path(users.passwords_file).write_text(text)
        assert log_in(users, "ada", "correct horse") is None
    Path(users.passwords_file).unlink()
    assert log_in(users, "ada", "correct horse", "5.6.7.8") is None


def test_guessing_is_slowed_down_for_that_name_and_address_only(users: DemoAuthenticator) -> None:
    for _ in range(5):
        assert log_in(users, "ada", "wrong") is None
    with pytest.raises(web.HTTPError, match="Too many wrong passwords"):
        log_in(users, "ada", "correct horse")
    assert log_in(users, "ada", "correct horse", "5.6.7.8") == "ada"


def test_the_wait_ends_and_success_forgets() -> None:
    now = [0.0]
    throttle = Throttle(monotonic=lambda: now[0])
    who = ("ada", "ip")
    for _ in range(5):
        assert throttle.wait_s(who) == 0
        throttle.failed(who)
    assert throttle.wait_s(who) == 30
    now[0] = 31
    assert throttle.wait_s(who) == 0
    throttle.failed(who)
    assert throttle.wait_s(who) == 30, "after that each one costs a wait"
    throttle.succeeded(who)
    assert throttle.wait_s(who) == 0


def test_the_throttle_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_users, "_REMEMBERED_MOST", 10)
    throttle = Throttle()
    for number in range(100):
        throttle.failed((str(number), "ip"))
    assert len(throttle._failures) == 10


def test_an_unknown_name_costs_the_same_work(
    users: DemoAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def check(password: str, hashed: str) -> bool:
        checked.append(hashed)
        return check_password(password, hashed)

    monkeypatch.setattr(demo_users, "check_password", check)
    log_in(users, "nobody", "guess")
    assert [one.rsplit("$", 2)[0] for one in checked] == ["scrypt$16384$8$1"]


def test_two_hashes_of_a_password_differ_and_both_are_right() -> None:
    one, two = hash_password("pw"), hash_password("pw")
    assert one != two
    assert check_password("pw", one)
    assert check_password("pw", two)
    assert "pw" not in one


@pytest.mark.parametrize(
    "hashed",
    ["", "scrypt", "md5$1$1$1$aa$aa", "scrypt$99999999$8$1$YWE=$YWE=", "scrypt$x$8$1$YWE=$YWE=",
     "scrypt$16384$8$1$not base64$YWE=", "$" * 5],
)  # fmt: skip
def test_a_broken_hash_belongs_to_no_password(hashed: str) -> None:
    assert not check_password("pw", hashed)
