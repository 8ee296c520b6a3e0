"""The hub's configuration: everything that is set, with its reason, is in hub/config.py."""

from hub.config import configure
from hub.settings import HubSettings

settings = HubSettings()
emergency = configure(get_config(), settings)
emergency.watch()
if settings.hub_config is not None:
    load_subconfig(str(settings.hub_config))
