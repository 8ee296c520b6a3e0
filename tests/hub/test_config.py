"""The hub's configuration: every name that is set exists, and the promised defaults hold."""

import asyncio
import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import scope_definitions
from pydantic import ValidationError
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks
from traitlets.config import Config

from hub.config import configure
from hub.demo_users import DemoAuthenticator
from hub.identity import with_user_info
from hub.lab_spawners import WatchedDockerSpawner, WatchedProcessSpawner
from hub.roles import CUSTOM_SCOPES, SESSION_SCOPES, USER_SCOPES, people, roles
from hub.settings import HubSettings
from tests.quota.books import LAB_YAML, make_lab

SECRETS = {"admission_token": "a" * 64, "service_token": "b" * 64, "culler_token": "d" * 64,
           "proxy_token": "c" * 64,
           "cookie_secret": "0" * 64, "crypt_key": "1" * 64}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, secret in SECRETS.items():
        (secrets / name).write_text(secret + "\n")
    (tmp_path / "lab.yaml").write_text(LAB_YAML)
    return {"state_dir": tmp_path, "lab_file": tmp_path / "lab.yaml", "secrets_dir": secrets,
            "spawner": "process", "public_host": "http://lab.localhost:8000"}  # fmt: skip


@pytest.fixture(autouse=True)
def keep_logging() -> Iterator[None]:
    log = logging.getLogger("hub")
    parent, hooks = log.parent, get_on_retry_hooks()
    yield
    log.parent = parent
    set_on_retry_hooks(hooks)


def configured(place: dict[str, Any], **changed: Any) -> Config:
    c = Config()
    configure(c, HubSettings(**(place | changed)))
    return c


CLASSES = [*JupyterHub().classes, JupyterHub, DemoAuthenticator, WatchedProcessSpawner,
           WatchedDockerSpawner]  # fmt: skip


@pytest.mark.parametrize("spawner", ["process", "docker"])
def test_every_trait_that_is_set_exists(place: dict[str, Any], spawner: str) -> None:
    known: dict[str, set[str]] = {}
    for cls in CLASSES:
        for parent in cls.__mro__:
            if hasattr(cls, "class_traits"):
                known.setdefault(parent.__name__, set()).update(cls.class_traits(config=True))
    for section, traits in configured(place, spawner=spawner).items():
        assert section in known, section
        for trait in traits:
            assert trait in known[section], f"{section}.{trait}"


def test_configuration_survives_being_copied_deeply(place: dict[str, Any]) -> None:
    c = configured(place)
    copied = copy.deepcopy(c)
    assert copied.Spawner.pre_spawn_hook is c.Spawner.pre_spawn_hook


def test_promised_defaults(place: dict[str, Any]) -> None:
    c = configured(place)
    assert c.JupyterHub.cleanup_servers is False
    assert c.JupyterHub.concurrent_spawn_limit == c.JupyterHub.active_server_limit == 0
    assert c.JupyterHub.oauth_require_pkce is True
    assert c.JupyterHub.oauth_token_expires_in == 3600
    assert c.ConfigurableHTTPProxy.should_start is False
    assert (c.Spawner.start_timeout, c.Spawner.http_timeout, c.Spawner.poll_interval) == (
        300, 120, 30)  # fmt: skip
    assert c.JupyterHub.last_activity_interval <= 15, "routes are back soon after a proxy restart"


def test_p35_a_sessions_token_can_do_three_things(place: dict[str, Any]) -> None:
    c = configured(place)
    assert set(c.Spawner.server_token_scopes) == {
        "users:activity!user", "access:servers!server", "access:services!service=gpulab"
    }  # fmt: skip
    assert "oauth_client_allowed_scopes" not in c.Spawner


def test_p41_no_raw_names_in_anything_that_is_set(place: dict[str, Any]) -> None:
    for spawner in ("process", "docker"):
        assert "{raw_" not in repr(configured(place, spawner=spawner))


def test_p46_secrets_stay_out_of_the_sessions(place: dict[str, Any]) -> None:
    c = configured(place)
    told = repr(c.Spawner.environment) + repr(c.ProcessSpawner)
    assert not any(secret in told for secret in SECRETS.values())


def test_nobody_administers_jupyterhub_and_only_the_roster_gets_in(place: dict[str, Any]) -> None:
    c = configured(place)
    assert c.Authenticator.admin_users == set()
    assert c.Authenticator.allow_all is False
    assert c.Authenticator.allow_existing_users is False
    assert c.Authenticator.allowed_users == {
        "ada", "blaise", "chen", "dina", "emeka", "olga", "tomas"}  # fmt: skip


def test_a_default_section_lets_everybody_in(place: dict[str, Any]) -> None:
    place["lab_file"].write_text(LAB_YAML + "default_section: utc\n")
    assert configured(place).Authenticator.allow_all is True


def test_https_and_subdomains_harden_the_cookies(place: dict[str, Any]) -> None:
    plain = configured(place)
    assert plain.JupyterHub.cookie_host_prefix_enabled is False
    assert plain.Spawner.disable_user_config is False
    secure = configured(place, public_host="https://lab.example.org")
    assert secure.JupyterHub.cookie_host_prefix_enabled is True
    assert secure.JupyterHub.tornado_settings["xsrf_cookie_kwargs"]["secure"] is True
    alone = configured(place, public_host="")
    assert alone.JupyterHub.cookie_host_prefix_enabled is False
    assert alone.Spawner.disable_user_config is True


def test_another_authenticator_is_taken_by_name(place: dict[str, Any]) -> None:
    assert configured(place, authenticator="pam").JupyterHub.authenticator_class == "pam"


def test_several_sessions_each_make_named_servers(place: dict[str, Any]) -> None:
    assert configured(place).JupyterHub.allow_named_servers is False
    place["lab_file"].write_text(LAB_YAML + "policy: {sessions_per_scholar: 3}\n")
    c = configured(place)
    assert c.JupyterHub.allow_named_servers is True
    assert c.JupyterHub.named_server_limit_per_user == 2


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_or_empty_secret_stops_the_hub(place: dict[str, Any], name: str) -> None:
    (place["secrets_dir"] / name).write_text("\n")
    with pytest.raises(ValueError, match=name):
        configured(place)
    (place["secrets_dir"] / name).unlink()
    with pytest.raises(FileNotFoundError):
        configured(place)


def test_settings_come_from_the_environment_and_are_frozen(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.items():
        monkeypatch.setenv(f"GPULAB_{name.upper()}", str(value))
    monkeypatch.setenv("GPULAB_UNKNOWN_TO_THE_HUB", "x")
    settings = HubSettings()
    assert settings.public_host == "http://lab.localhost:8000"
    with pytest.raises(ValidationError):
        settings.hub_id = "other"  # type: ignore[misc]


EXAMPLES = Path(__file__).parents[2] / "examples" / "sign-in"
SIGN_INS = {
    "demo": ("demo", "hub.demo_users.DemoAuthenticator"),
    "github": ("github", "oauthenticator.github.GitHubOAuthenticator"),
    "google": ("google", "oauthenticator.google.GoogleOAuthenticator"),
    "generic": ("generic-oauth", "oauthenticator.generic.GenericOAuthenticator"),
    "lti": ("ltiauthenticator.lti13.auth.LTI13Authenticator",
            "ltiauthenticator.lti13.auth.LTI13Authenticator"),
    "native": ("native", "nativeauthenticator.nativeauthenticator.NativeAuthenticator"),
}  # fmt: skip


def test_every_example_of_signing_in_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} | {"demo"} == set(SIGN_INS)


@pytest.mark.parametrize("example", sorted(SIGN_INS))
def test_a_real_hub_takes_the_configuration(
    place: dict[str, Any], example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator, kind = SIGN_INS[example]
    for name in ("github_client_secret", "google_client_secret", "oidc_client_secret"):
        (place["secrets_dir"] / name).write_text("a secret\n")
    monkeypatch.setenv("GPULAB_SECRETS_DIR", str(place["secrets_dir"]))
    monkeypatch.setenv("GPULAB_PUBLIC_HOST", place["public_host"])

    async def init() -> JupyterHub:
        config = configured(place, authenticator=authenticator)
        if example != "demo":
            text = (EXAMPLES / f"{example}.py").read_text()
            exec(compile(text, example, "exec"), {"get_config": lambda: config})  # noqa: S102
        hub = JupyterHub(config=config, log_level=logging.ERROR)
        hub.init_db()
        hub.init_hub()
        hub.init_proxy()
        hub.init_oauth()
        await hub.init_role_creation()
        await hub.init_users()
        hub.init_services()
        await hub.init_role_assignment()
        return hub

    hub = asyncio.run(init())
    try:
        found = type(hub.authenticator)
        assert f"{found.__module__}.{found.__name__}" == kind
        assert hub.authenticator.allowed_users >= people(make_lab())
        assert hub.authenticator.allow_all is False
        assert hub.authenticator.post_auth_hook is with_user_info
        # A word that its authenticator does not know would do nothing, silently.
        assert set(hub.config[found.__name__]) <= set(found.class_traits(config=True))
        assert hub.proxy.should_start is False
    finally:
        hub.db.close()
        hub.db.get_bind().dispose()


# -- roles --------------------------------------------------------------------------------------


def test_a_prometheus_with_its_own_word_reads_metrics_only(place: dict[str, Any]) -> None:
    assert [one["name"] for one in configured(place).JupyterHub.services] == [
        "gpulab",
        "idle-culler",
    ]
    (place["secrets_dir"] / "metrics_token").write_text("e" * 64)
    c = configured(place)
    (service,) = (one for one in c.JupyterHub.services if one["name"] == "gpulab-metrics")
    assert service["api_token"] == "e" * 64
    (role,) = (
        one for one in c.JupyterHub.load_roles if "gpulab-metrics" in one.get("services", ())
    )
    assert role["scopes"] == ["read:metrics"]


def test_roles_give_the_least() -> None:
    by_name = {role["name"]: role for role in roles(make_lab())}
    assert by_name["gpulab-organizer"]["users"] == ["olga"]
    assert by_name["gpulab-organizer"]["scopes"] == ["custom:gpulab:admin"]
    sees = ["list:users", "read:servers", "read:users:activity"]
    assert by_name["gpulab-service"]["scopes"] == [
        "delete:servers", *sees, "read:metrics", "users:activity", "shares"]  # fmt: skip
    assert by_name["gpulab-idle-culler"]["scopes"] == [
        "delete:servers", *sees, "access:services!service=gpulab",
        "custom:gpulab:sessions"]  # fmt: skip


def test_p35_nobody_shares_but_the_service_and_a_sessions_visitors_give_it_nothing_more(
    place: dict[str, Any],
) -> None:
    c = configured(place)
    holders = [one for one in c.JupyterHub.load_roles
               if any("shares" in scope for scope in one["scopes"])]  # fmt: skip
    assert [one["name"] for one in holders] == ["gpulab-service"]
    assert "users" not in holders[0]
    assert not any("shares" in scope for scope in c.JupyterHub.extra_user_scopes)
    assert "oauth_client_allowed_scopes" not in c.Spawner
    assert c.JupyterHub.oauth_token_expires_in == 3600


def test_every_scope_exists() -> None:
    known = {*scope_definitions, *CUSTOM_SCOPES}
    used = {scope for role in roles(make_lab()) for scope in role["scopes"]}
    for scope in used | USER_SCOPES | set(SESSION_SCOPES):
        assert scope.split("!")[0] in known, scope


def test_a_lab_without_organizers_has_an_empty_role() -> None:
    lab = make_lab().model_copy(update={"organizers": ()})
    assert roles(lab)[0]["users"] == []
    assert "olga" not in people(lab)
