"""The hub's configuration: everything that is set, with its reason, is in hub/config.py."""

from hub.config import configure
from hub.settings import HubSettings

configure(get_config(), HubSettings())
