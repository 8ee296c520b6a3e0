"""A billing pass over the same running sessions: a peer's, in its hub, and ours, beside it.

The peer is `jupyterhub-credit-service` from PyPI in an environment of its own, with the JupyterHub
that it is installed with: see `benchmarks.peer_hub` for what of it is real (all but the proxy and
the sessions). Its pass runs in the event loop of the hub, so that the hub answers nobody
meanwhile. Ours is the worker's tick over books with the same sessions; the hub has no part in it,
which is measured in the same hub with the same sessions while the tick runs in this process.

Two states, in turn in one run: sessions that began at any time, so that a pass finds some of them
due (the peer looks each minute, we each 15 s), and a class that began together, so that all are
due in one pass. The observation of the runtime is made up, as the peer has none.
"""

import argparse
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, report
from benchmarks.tick import Class, all_at_once, running_class

PACKAGES = ("jupyterhub-credit-service==0.4.2", "jupyterhub==6.1.1")
# At most a tenth of the peer's: it has to take so many times as long.
TARGET = 10.0
_PATIENCE_S = 900


def environment(folder: Path) -> Path:
    """Make the peer's environment, or find it as an earlier run left it."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


class PeerHub:
    """The hub in its process; one line of JSON each way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, **what: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], _PATIENCE_S)[0]:
            raise TimeoutError("the peer's hub does not answer")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's hub has ended; what it said is above")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def peer_hub(python: Path, folder: Path, sessions: int) -> Iterator[PeerHub]:
    script = Path(__file__).with_name("peer_hub.py")
    process = subprocess.Popen(
        [str(python), str(script), str(folder), str(sessions)], cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        hub = PeerHub(process)
        assert hub.answer() == {"ready": sessions}
        yield hub
    finally:
        process.kill()
        process.communicate()


def theirs(hub: PeerHub, state: str, sessions: int) -> tuple[float, float]:
    """Return the length of a pass and for how long the hub's loop stood still."""
    found = hub.ask(**{"pass": state})
    due = sessions if state == "all" else sessions // 10
    assert abs(found["paid"] - due) <= due // 5, found
    seconds, blocked_s = found["pass_s"], found["blocked_s"]
    print(f"  peer, {state}: pass {seconds:.3f} s, hub blocked {blocked_s:.3f} s, "
          f"{found['commits']} commits, {found['paid']} billed", flush=True)  # fmt: skip
    return seconds, blocked_s


def ours(hub: PeerHub, some: Class, state: str) -> tuple[float, float]:
    hub.ask(watch="begin")
    seconds = all_at_once(some) if state == "all" else some.tick()
    blocked_s = hub.ask(watch="end")["blocked_s"]
    print(f"  ours, {state}: tick {seconds:.3f} s, hub's longest pause {blocked_s:.3f} s",
          flush=True)  # fmt: skip
    return seconds, blocked_s


def measure(sessions: int, rounds: int, venv: Path | None) -> int:
    with tempfile.TemporaryDirectory(prefix="gpulab-peer-") as folder:
        python = environment(venv or Path(folder) / "venv")
        home = Path(folder) / "hub"
        home.mkdir()
        took: dict[tuple[str, str], list[tuple[float, float]]] = {}
        with (
            running_class(sessions, None) as spread, running_class(sessions, None) as together,
            peer_hub(python, home, sessions) as hub,
        ):  # fmt: skip
            spread.tick()
            for _ in range(rounds):
                for state, some in (("spread", spread), ("all", together)):
                    took.setdefault(("peer", state), []).append(theirs(hub, state, sessions))
                    took.setdefault(("ours", state), []).append(ours(hub, some, state))
    return compare(took)


def compare(took: dict[tuple[str, str], list[tuple[float, float]]]) -> int:
    """Print how many times as long theirs takes; the last line has the least of it."""
    figures = []
    for state in ("spread", "all"):
        for place, what in enumerate(("pass", "hub blocked")):
            peer, mine = (
                median([sample[place] for sample in took[who, state]]) for who in ("peer", "ours")
            )
            print(f"{what}, {state}: {peer * 1000:.0f} ms theirs, {mine * 1000:.0f} ms ours, "
                  f"{peer / mine:.1f} times (at least {TARGET:g})")  # fmt: skip
            figures.append(Figure(
                bench="peer_credit", value=mine, unit=f"s {what}, {state}", limit=peer,
                ratio=peer / mine, target=TARGET, ok=peer / mine >= TARGET,
            ))  # fmt: skip
    return report(min(figures, key=lambda one: one.ratio))


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks peer_credit", description=__doc__)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--venv", type=Path, help="where to keep the peer's environment")
    chosen = parser.parse_args(words)
    return measure(chosen.sessions, chosen.rounds, chosen.venv)
