"""A section of 200 scholars is drawn within 300 ms of the server's time."""

import time
from pathlib import Path

from sqlalchemy import Engine

from quota.desk import open_desk
from quota.lab_file import parse_lab
from quota.store.engine import transaction
from tests.pages.browser import Browser, browser_of, open_pages
from tests.quota.books import LAB_YAML, gpu

SCHOLARS = [f"s{number:03}" for number in range(200)]
TEXT = LAB_YAML.replace("[ada, blaise, chen, dina]", f"[{', '.join(SCHOLARS)}]")
LIMIT_S = 0.300


def test_a_section_of_200_scholars_is_drawn_in_time(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lab.yaml").write_text(TEXT)
    with open_pages(engine, folder) as desk:
        desk.books.books.lab = parse_lab(TEXT, "lab.yaml")
        desk.books.books.set_inventory([gpu(f"GPU-{number}") for number in range(10)])
        with transaction(engine) as tx:
            for name in SCHOLARS:
                open_desk(tx, desk.books.books.lab, "main", name, now=desk.books.clock.now())
        for name in SCHOLARS[:40]:
            view = desk.books.ask(name, "quarter")
            desk.books.start(view)
        desk.books.tick()
        tomas = browser_of(desk, "token-tomas")
        took = [_took(tomas) for _ in range(5)]
    # The quickest: what else the machine does meanwhile is not the page's.
    assert min(took) < LIMIT_S, took


def _took(tomas: Browser) -> float:
    began = time.perf_counter()
    page = tomas.get("section/utc")
    took = time.perf_counter() - began
    assert page.text.count('<th scope="row">') == len(SCHOLARS)
    return took
