"""Every trait of JupyterHub that the lab sets, top to bottom, with its reason.

The numbers are the defaults that the lab promises; a trait that is not here keeps JupyterHub's.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jupyterhub
from stamina.instrumentation import PrometheusOnRetryHook, set_on_retry_hooks
from tornado.web import StaticFileHandler
from traitlets.log import get_logger

from hub.client import LabService, open_client
from hub.demo_users import DemoAuthenticator
from hub.home import AnswerHandler, Books, MeHandler
from hub.hooks import Admission
from hub.identity import with_user_info
from hub.lab_spawners import spawner_class
from hub.meanwhile import Meanwhile, MeanwhileHandler
from hub.options import ApplyOptions, options_from_form
from hub.policy import PolicyFile
from hub.roles import (
    ADMIN_SCOPE,
    CULLER,
    CUSTOM_SCOPES,
    METRICS,
    METRICS_TOKEN,
    SERVICE,
    SESSION_SCOPES,
    USER_SCOPES,
    metrics_role,
    people,
    roles,
)
from hub.settings import HubSettings
from hub.spawn_page import PAGES, TEMPLATES, OptionsForm
from hub.visits import SessionVisits, VisitsHandler
from quota.clock import SystemClock
from quota.lab import Lab

# Older ones have holes that per-user subdomains and filtered scopes rely on being closed.
_LEAST_VERSION = (6, 0)


def configure(c: Any, settings: HubSettings) -> None:
    """Set up JupyterHub for the lab."""
    if jupyterhub.version_info[:2] < _LEAST_VERSION:
        raise RuntimeError(f"JupyterHub 6.0 or newer is needed, not {jupyterhub.__version__}")
    _logs()
    policy = PolicyFile(settings.lab_file)
    service = open_client(
        settings.service_url, settings.secret("admission_token"), hub_id=settings.hub_id
    )
    _addresses(c, settings)
    _proxy(c, settings)
    _storage(c, settings)
    _endurance(c)
    _web(c, settings)
    _who(c, settings, policy.lab)
    _what_they_may(c, settings, policy.lab)
    _sessions(c, settings, policy.lab)
    _admission(c, settings, service, policy)
    _pages(c, settings, service, policy)


def _logs() -> None:
    # Our lines go where the hub's go, in its format.
    logging.getLogger("hub").parent = get_logger()
    # One line says that the service did not answer; each single try is only counted.
    set_on_retry_hooks([PrometheusOnRetryHook])


def _addresses(c: Any, settings: HubSettings) -> None:
    c.JupyterHub.bind_url = settings.bind_url
    c.JupyterHub.hub_bind_url = settings.hub_bind_url
    # Each person's sessions on a host of their own, so that one person's notebook page can never
    # act as another who looks at it.
    c.JupyterHub.subdomain_host = settings.public_host


def _proxy(c: Any, settings: HubSettings) -> None:
    # The proxy has its own supervisor: sessions stay reachable while the hub restarts.
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url
    c.ConfigurableHTTPProxy.auth_token = settings.secret("proxy_token")
    c.JupyterHub.cleanup_proxy = False
    # A restarted proxy knows no routes. The hub compares them at this interval and puts back what
    # is missing (default 300); 10 s cost one small request each time.
    c.JupyterHub.last_activity_interval = 10


def _storage(c: Any, settings: HubSettings) -> None:
    c.JupyterHub.db_url = f"sqlite:///{settings.state_dir}/hub.sqlite"
    c.JupyterHub.cookie_secret = bytes.fromhex(settings.secret("cookie_secret"))
    c.CryptKeeper.keys = [bytes.fromhex(settings.secret("crypt_key"))]


def _endurance(c: Any) -> None:
    # A restart of the hub is no reason to end anybody's work.
    c.JupyterHub.cleanup_servers = False
    # At start the hub waits this long for sessions that answer slowly, then goes on beside them
    # (default 10: that long nobody could log in).
    c.JupyterHub.init_spawners_timeout = 1
    # Both would count those who wait in the line; the service bounds how many start at once.
    c.JupyterHub.concurrent_spawn_limit = 0
    c.JupyterHub.active_server_limit = 0
    # The hub never stops itself over failed starts (0 is off). Where it is set all the same,
    # refusals do not count: they are SpawnExceptions.
    c.Spawner.consecutive_failure_limit = 0


def _web(c: Any, settings: HubSettings) -> None:
    # `__Host-` cookies cannot be set from a scholar's subdomain; browsers want HTTPS for them.
    c.JupyterHub.cookie_host_prefix_enabled = bool(settings.public_host) and settings.is_https
    xsrf_cookie: dict[str, Any] = {"samesite": "Lax"}
    if settings.is_https:
        xsrf_cookie["secure"] = True
    c.JupyterHub.tornado_settings = {"xsrf_cookie_kwargs": xsrf_cookie}
    c.JupyterHub.oauth_require_pkce = True
    # A session's cookie is good for an hour, then the hub is asked again (default: 14 days).
    c.JupyterHub.oauth_token_expires_in = 3600
    # People land where their hours and sessions are shown.
    c.JupyterHub.default_url = "/hub/home"


def _who(c: Any, settings: HubSettings, lab: Lab) -> None:
    if settings.authenticator == "demo":
        c.JupyterHub.authenticator_class = DemoAuthenticator
        c.DemoAuthenticator.passwords_file = str(settings.secrets_dir / "passwords.json")
    else:
        c.JupyterHub.authenticator_class = settings.authenticator
    # Whoever has no section may only come in if there is one that takes everybody.
    c.Authenticator.allow_all = lab.default_section is not None
    c.Authenticator.allowed_users = people(lab)
    # Who was taken off lab.yaml does not get in because of having been here before.
    c.Authenticator.allow_existing_users = False
    # Organizers give hours; they do not administer JupyterHub.
    c.Authenticator.admin_users = set()
    # How people show in a notebook that others look at.
    c.Authenticator.post_auth_hook = with_user_info


def _what_they_may(c: Any, settings: HubSettings, lab: Lab) -> None:
    c.JupyterHub.custom_scopes = CUSTOM_SCOPES
    c.JupyterHub.extra_user_scopes = set(USER_SCOPES)
    # Not started by the hub: it must live and die by itself (an own supervisor restarts it).
    c.JupyterHub.services = [
        {
            "name": SERVICE,
            "url": settings.service_url,
            "api_token": settings.secret("service_token"),
            "display": False,
            # How long the hub's own start waits for it; starting without it is normal.
            "timeout": 1,
            # People sign in to its pages with the hub's login; it is the lab itself, so nobody
            # has to be asked whether they trust it. Organizers' tokens there are organizers'.
            "oauth_no_confirm": True,
            "oauth_client_allowed_scopes": [ADMIN_SCOPE],
        },
        {"name": CULLER, "api_token": settings.secret("culler_token"), "display": False},
    ]
    c.JupyterHub.load_roles = roles(lab)
    if (settings.secrets_dir / METRICS_TOKEN).exists():
        token = settings.secret(METRICS_TOKEN)
        c.JupyterHub.services += [{"name": METRICS, "api_token": token, "display": False}]
        c.JupyterHub.load_roles += [metrics_role()]


def _sessions(c: Any, settings: HubSettings, lab: Lab) -> None:
    c.JupyterHub.spawner_class = spawner_class(settings.spawner)
    # One session each needs no names. A change in lab.yaml takes effect when the hub restarts.
    c.JupyterHub.allow_named_servers = lab.policy.sessions_per_scholar > 1
    c.JupyterHub.named_server_limit_per_user = lab.policy.sessions_per_scholar - 1
    c.JupyterHub.allow_existing_invalid_named_servers = "allow-delete"
    c.Spawner.start_timeout = 300
    # A busy machine may take a minute to answer; a hub that restarts gives up on a session after
    # this time and ends it (default 30).
    c.Spawner.http_timeout = 120
    c.Spawner.poll_interval = 30
    c.Spawner.default_url = "/lab"
    c.Spawner.server_token_scopes = list(SESSION_SCOPES)
    # Without subdomains a session shares its origin with the hub; then its owner's own
    # configuration is not loaded into the server.
    c.Spawner.disable_user_config = not settings.public_host
    # Reports of activity, in seconds (default 300): nothing here needs them more often.
    c.Spawner.environment = {"JUPYTERHUB_ACTIVITY_INTERVAL": "900"}
    # For the records and labels by which the worker knows this hub's sessions.
    c.Spawner.hub_id = settings.hub_id
    c.Spawner.session_api = settings.session_api
    if settings.spawner == "docker":
        c.DockerSpawner.network_name = settings.docker_network
        c.LabDockerSpawner.home_gib = settings.home_gib
        c.LabDockerSpawner.datasets_dir = str(settings.datasets_dir or "")
        c.LabDockerSpawner.models_dir = str(settings.models_dir or "")
        c.LabDockerSpawner.gpu_requests = settings.gpu_requests
    else:
        _local_sessions(c, settings)


def _local_sessions(c: Any, settings: HubSettings) -> None:
    c.ProcessSpawner.state_dir = str(settings.state_dir)
    # Sessions run on the hub's own Python, whatever the PATH says.
    c.ProcessSpawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]


def _admission(c: Any, settings: HubSettings, service: LabService, policy: PolicyFile) -> None:
    admission = Admission(
        service, policy, hub_id=settings.hub_id, home_url="/hub/home", clock=SystemClock()
    )
    c.Spawner.options_form = _function(OptionsForm(service, policy))
    c.Spawner.options_from_form = options_from_form
    c.Spawner.apply_user_options = _function(ApplyOptions(policy))
    c.Spawner.pre_spawn_hook = _function(admission.pre_spawn)
    c.Spawner.post_stop_hook = _function(admission.post_stop)


def _pages(c: Any, settings: HubSettings, service: LabService, policy: PolicyFile) -> None:
    c.JupyterHub.template_paths = [str(TEMPLATES)]
    c.JupyterHub.template_vars = {
        "lab_name": policy.lab.name, "lab_pages": pages_address(settings.public_host),
    }  # fmt: skip
    books, meanwhile = Books(service, policy), Meanwhile(service, policy)
    c.JupyterHub.extra_handlers = [
        (r"/gpulab/me", MeHandler, {"view_of": _function(books.of)}),
        (r"/gpulab/keep", AnswerHandler, {"answer": _function(books.keep)}),
        (r"/gpulab/visits", VisitsHandler, {"visits_of": _function(SessionVisits(service).of)}),
        (r"/gpulab/leave", AnswerHandler, {"answer": _function(books.leave)}),
        (r"/gpulab/meanwhile", MeanwhileHandler, {"keep_place": _function(meanwhile.keep_place)}),
        (
            r"/gpulab/(style\.css|lab\.js|start\.js)",
            StaticFileHandler,
            {"path": str(PAGES / "static")},
        ),
    ]


def pages_address(public_host: str) -> str:
    """Return where people find the service's pages: on a host of its own where there are such."""
    if not public_host:
        return f"/services/{SERVICE}/"
    parts = urlsplit(public_host)
    return f"{parts.scheme}://{SERVICE}--service.{parts.netloc}/services/{SERVICE}/"


def _function(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a callable: configuration is copied deeply, and of objects the copy would be used."""

    def function(*args: Any) -> Any:
        return call(*args)

    return function
