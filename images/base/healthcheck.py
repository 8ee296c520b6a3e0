"""Tell whether the session's server listens; run by the engine every 30 seconds."""

import os
import socket
from urllib.parse import urlsplit

address = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:8888"))
socket.create_connection(("127.0.0.1", address.port or 8888), timeout=3).close()
