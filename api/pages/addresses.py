"""Where the pages are, and where the hub is, as a browser reaches them; pure."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

# The hub's proxy passes this on to the service.
PREFIX = "/services/gpulab"
# What the hub calls this service when people sign in to it.
CLIENT_ID = "service-gpulab"


@dataclass(frozen=True, slots=True)
class Addresses:
    """All addresses, from the one that people know: `https://lab.example.org`, or "" for none.

    With per-user subdomains the service has a host of its own, `gpulab--service.` below the
    lab's; the hub names it so. Without, everything is on one host and addresses are relative.
    """

    public_host: str = ""

    @property
    def own_origin(self) -> str:
        """The pages' origin; "" where it is whatever host the browser came to."""
        if not self.public_host:
            return ""
        parts = urlsplit(self.public_host)
        return f"{parts.scheme}://gpulab--service.{parts.netloc}"

    @property
    def is_https(self) -> bool:
        """Tell whether cookies may insist on HTTPS."""
        return self.public_host.startswith("https://")

    @property
    def callback(self) -> str:
        """Where the hub sends who has signed in; the hub knows the very same text."""
        return f"{self.own_origin}{PREFIX}/oauth_callback"

    def hub(self, path: str) -> str:
        """Return an address of the hub: `home`, `logout`, `api/oauth2/authorize` ..."""
        return f"{self.public_host}/hub/{path}"

    def session(self, account: str, server_name: str) -> str:
        """Return where the hub leads on to somebody's session."""
        return self.hub(f"user/{_place(account, server_name)}/")

    def start(self, account: str, server_name: str) -> str:
        """Return where somebody chooses what a session of theirs starts on."""
        return self.hub(f"spawn/{_place(account, server_name)}")

    def page(self, path: str = "") -> str:
        """Return an address of the pages, within their own host."""
        return f"{PREFIX}/{path}"


def _place(account: str, server_name: str) -> str:
    end = f"/{quote(server_name, safe='')}" if server_name else ""
    return f"{quote(account, safe='')}{end}"
