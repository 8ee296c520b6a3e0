"""`python -m tests.monitoring.pictures`: draw every board of a lab that lives for some minutes.

It starts a whole lab with a class behind it, and Debian's Prometheus, waits, and draws each board
into docs/pictures by chromium. For people who want to see the boards before they have a Grafana.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from monitoring.boards.every import FOLDER
from tests.browser.conftest import CHROMIUM
from tests.compose.tools import PROJECT
from tests.monitoring.drawn import Answer, page
from tests.monitoring.queries import Panel, panels, row_titles, with_values
from tests.monitoring.watched import Watched, watched

PICTURES = PROJECT / "docs" / "pictures"
_WIDTH = 1410


def draw(seen: Watched, folder: Path) -> list[Path]:
    """Draw every board from what Prometheus answers now."""
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        shown = browser.new_page(viewport={"width": _WIDTH, "height": 900})
        for path in sorted(FOLDER.glob("*.json")):
            board = json.loads(path.read_text())
            drawn = [(one, answers(seen, one)) for one in panels(board)]
            text = page(board["title"], board["description"], row_titles(board), drawn)
            shown.set_content(text)
            made.append(folder / f"board-{path.stem.removeprefix('gpulab-')}.png")
            shown.screenshot(path=made[-1], full_page=True)
        browser.close()
    return made


def answers(seen: Watched, panel: Panel) -> Sequence[Answer]:
    """Ask what a panel asks."""
    asked = [with_values(query) for query in panel.queries]
    if panel.kind == "timeseries":
        return [seen.lines(query, since=seen.began, step_s=4) for query in asked]
    return [seen.query(query) for query in asked]


def main() -> None:
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("--seconds", type=float, default=150)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gpulab-pictures-") as folder,
        watched(Path(folder)) as seen,
    ):
        print(f"The lab runs; looking for {chosen.seconds:g} s.", flush=True)
        time.sleep(chosen.seconds)
        for path in draw(seen, PICTURES):
            print(f"drawn: {path.name}")


if __name__ == "__main__":
    main()
