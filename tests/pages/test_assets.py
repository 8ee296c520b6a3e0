"""What browsers load: ours or a known release, never from elsewhere, and kept for ever."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from api.pages.assets import STATIC
from api.pages.looks import TEMPLATES
from tests.architecture.code import ROOT
from tests.pages.browser import Browser

SOURCES = {
    "bootstrap-5.3.9.min.css": "bootstrap/dist/css/bootstrap.min.css",
    "htmx-4.0.1.min.js": "htmx.org/dist/htmx.min.js",
    "uplot-1.6.32.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uplot-1.6.32.min.css": "uplot/dist/uPlot.min.css",
}
VENDOR = STATIC / "vendor"


def _plain(path: Path) -> str:
    """A file's digest without the line that names its map, which we do not ship."""
    lines = [line for line in path.read_bytes().splitlines() if b"sourceMappingURL" not in line]
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_is_not_ours_is_the_locked_release_unchanged(name: str) -> None:
    source = ROOT / "node_modules" / SOURCES[name]
    assert _plain(VENDOR / name) == _plain(source)
    package = SOURCES[name].partition("/")[0]
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"][package]
    assert f"-{wanted}." in name


def test_nothing_else_lies_there() -> None:
    assert {path.name for path in VENDOR.iterdir()} == set(SOURCES)


def test_no_template_or_style_names_another_host() -> None:
    for path in (*TEMPLATES.glob("*.html"), STATIC / "lab.css", *STATIC.glob("*.js")):
        text = path.read_text()
        assert not re.findall(r"https?://", text), path.name
        assert not re.findall(r"\son\w+=|\sstyle=|<script>|<style", text), path.name


def test_files_are_kept_for_ever_under_an_address_that_names_them(ada: Browser) -> None:
    urls = re.findall(r'(?:src|href)="/services/gpulab/(static/[^"]+)"', ada.get("hours").text)
    assert len(urls) >= 4
    for url in urls:
        reply = ada.get(url)
        assert reply.status_code == 200, url
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers.get_list("cache-control") == [reply.headers["cache-control"]]
    assert ada.get("static/0000000000000000/lab.css").status_code == 404


@pytest.mark.parametrize(
    "path", ["%2e%2e/app.py", "%2e%2e%2fapp.py", "vendor/%2e%2e%2f%2e%2e%2fapp.py", "x"]
)
def test_nothing_else_is_sent(ada: Browser, path: str) -> None:
    assert ada.get(f"static/0/{path}").status_code in (404, 405)
