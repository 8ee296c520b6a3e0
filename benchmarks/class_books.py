"""The books of a class in the middle of a week: who used what, who runs, waits and asks."""

from datetime import timedelta
from uuid import uuid4

from benchmarks.rigs import Rig
from quota.audit import By
from quota.clock import ManualClock, SystemClock
from quota.desk import open_desk
from quota.helping import Helping
from quota.lab_file import load_lab
from quota.store.engine import open_engine, transaction
from tests.quota.books import Desk, hours

# One big section, whose page is the heaviest, and small ones.
SECTIONS = {"all": 200} | {f"s{number}": 50 for number in range(6)}
SCHOLARS = {
    section: [f"{section}-{number:03}" for number in range(size)]
    for section, size in SECTIONS.items()
}
TAS = {section: f"ta-{section}" for section in SECTIONS}
GPUS = 32
_SESSIONS_EACH = 16
_SHARERS = 4
_TIME = timedelta(hours=2)


def class_yaml() -> str:
    """Write a lab of 500 scholars; a quarter of a GPU each, so that about a hundred run."""
    sections = "\n".join(
        f"  {name}: {{time_zone: UTC, hours_per_week: 10, help_hours_per_week: 20, "
        f"tas: [{TAS[name]}], scholars: [{', '.join(names)}]}}"
        for name, names in SCHOLARS.items()
    )
    tas = "\n".join(f"  {name}: {{hours_per_week: 20}}" for name in TAS.values())
    return f"""
name: Bench
organizers: [olga]
sections:
{sections}
tas:
{tas}
flavors:
  cpu: {{title: CPU, weight_mgpu: 0}}
  gpu: {{title: GPU, weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}}
images:
  base: {{title: Base, docker: "gpulab/base:latest"}}
gpus:
  mode: declared
  declared: [{{name: GPU, memory_mib: 16384, count: {GPUS}}}]
  max_sharers: {_SHARERS}
policy: {{max_spawning: 1000}}
"""


def live_on(lab: Rig) -> list[str]:
    """Let the class have lived for two hours up to now; return the leases that run."""
    engine = open_engine(lab.url)
    clock = ManualClock(SystemClock().now() - _TIME)
    desk = Desk(engine, load_lab(lab.folder / "lab.yaml"), clock)
    with transaction(engine) as tx:
        for names in SCHOLARS.values():
            for name in names:
                open_desk(tx, desk.lab, "main", name, now=clock.now())
    for names in SCHOLARS.values():
        _begin(desk, names)
    desk.go(every_s=300, seconds=_TIME.total_seconds())
    for section, names in SCHOLARS.items():
        _ask(desk, section, names)
    engine.dispose()
    return [str(one.lease_id) for one in desk.containers.values()]


def _begin(desk: Desk, names: list[str]) -> None:
    for name in names[:_SESSIONS_EACH]:
        view = desk.ask(name, "gpu")
        if view.lease.state == "held":
            desk.start(view)
    desk.tick()


def _ask(desk: Desk, section: str, names: list[str]) -> None:
    helping = Helping(desk.books)
    for name in names[:5]:
        by = By(actor=name, request_id="")
        helping.raise_hand(uuid4(), name, message="My kernel dies.", path="week3/lab.ipynb",
                           server_name="", by=by)  # fmt: skip
    for name in names[5:10]:
        desk.office.ask(uuid4(), name, hours("2"), "a second run")
    for name in names[10:15]:
        desk.office.grant(uuid4(), name, hours("1"), reason="demo", source="ta_grant",
                          by=By(actor=TAS[section], request_id=""))  # fmt: skip
