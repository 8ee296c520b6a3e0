"""`python -m hub.culler`: stops sessions without a GPU that nobody has used for a long time.

JupyterHub's own idle culler, with the lab's service as its judge: what has a GPU is the worker's
matter, and what the service does not know stays.
"""

import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
from jupyterhub_idle_culler import IdleCuller
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from traitlets.log import get_logger

from hub.replies import RunningSessions

_EVERY_S = 120
# All servers of one pass are judged by one answer.
_FRESH_S = 30.0
_TIMEOUT_S = 5.0
_OWNER = re.compile(r"/api/users/([^/]+)/servers?/")


class CullerSettings(BaseSettings):
    """Where the culler finds things."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    secrets_dir: Path = Field(description="Folder with the secrets, one file each.")
    hub_api_url: str = Field(
        default="http://127.0.0.1:8081/hub/api", description="The REST API of JupyterHub."
    )
    service_url: str = Field(
        default="http://127.0.0.1:8090", description="The service, as the hub reaches it."
    )


class Arbiter:
    """The culler's `cull_arbiter_hook`; its own time-out does not count, lab.yaml's does."""

    def __init__(
        self, http: httpx2.Client, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._monotonic = monotonic
        self._known: tuple[float, RunningSessions | None] = (float("-inf"), None)

    def __call__(
        self, *, inactive: timedelta | None, inactive_limit: float, server: dict[str, Any]
    ) -> bool:
        """Tell whether a server may be stopped."""
        del inactive_limit
        running = self._running()
        if running is None or not running.cpu_idle_s or inactive is None:
            return False
        if inactive.total_seconds() < running.cpu_idle_s:
            return False
        place = (_owner(server), server.get("name"))
        mine = [one for one in running.sessions if (one.account, one.server_name) == place]
        return len(mine) == 1 and not mine[0].has_gpu

    def _running(self) -> RunningSessions | None:
        asked_at, running = self._known
        if self._monotonic() - asked_at < _FRESH_S:
            return running
        found: RunningSessions | None = None
        try:
            reply = self._http.get("/v1/sessions").raise_for_status()
            found = RunningSessions.model_validate(reply.json())
        except (httpx2.HTTPError, ValueError, ValidationError) as error:
            get_logger().warning("the service tells of no sessions: %s", type(error).__name__)
        self._known = (self._monotonic(), found)
        return found


def _owner(server: dict[str, Any]) -> str:
    """Return whose a server is: the hub's answer has it in addresses only."""
    match = _OWNER.search(str(server.get("progress_url", "")))
    return unquote(match[1]) if match else ""


def main() -> None:
    """Run the culler until it is ended."""
    settings = CullerSettings()
    secret = (settings.secrets_dir / "culler_token").read_text().strip()
    # The only way in which the culler takes it.
    os.environ["JUPYTERHUB_API_TOKEN"] = secret
    headers = {"Authorization": f"token {secret}"}
    with httpx2.Client(base_url=settings.service_url, timeout=_TIMEOUT_S, headers=headers) as http:
        IdleCuller(
            url=settings.hub_api_url, cull_arbiter_hook=Arbiter(http), cull_every=_EVERY_S,
            config_file="",
        ).start()  # fmt: skip


if __name__ == "__main__":
    main()
