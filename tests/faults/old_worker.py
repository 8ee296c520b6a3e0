"""A worker of an older version, run in that version's folder: one line of JSON asks, one answers.

It may use only what every version has had.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

from quota import service
from quota.clock import ManualClock
from quota.lab_file import parse_lab
from quota.leases import LeaseRequest
from quota.observed import Observed
from quota.service import Books
from quota.store.engine import open_engine

assert Path(service.__file__).is_relative_to(Path.cwd()), "the code of the other version"
url, lab_yaml = sys.argv[1:]
clock = ManualClock(datetime.fromisoformat("2026-11-25T12:00:00+00:00"))
engine = open_engine(url)
books = Books(engine, parse_lab(lab_yaml, "lab.yaml"), clock)


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


for line in sys.stdin:
    asked = json.loads(line)
    clock.set(datetime.fromisoformat(asked["now"]))
    if "lease_id" in asked:
        wanted = LeaseRequest(hub_id="main", account=asked["who"], server_name="old",
                              flavor="whole", image="base")  # fmt: skip
        answer: list[str] = [books.request_lease(UUID(asked["lease_id"]), wanted).lease.state]
    else:
        observed = [
            Observed(ref=one["ref"], lease_id=UUID(one["lease_id"]), hub_id="main",
                     account=one["account"], server_name=one["server_name"],
                     flavor=one["flavor"], started_at=instant(one["started_at"]),
                     finished_at=instant(one["finished_at"]), exit_code=one["exit_code"])
            for one in asked["observed"]
        ]  # fmt: skip
        result = books.tick(observed, seen_at=clock.now())
        answer = [*(one.ref for one in result.stops), *result.removals]
    print(json.dumps(answer), flush=True)
engine.dispose()
