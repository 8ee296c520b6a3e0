"""A program that is told to stop saves once and then ends as it would have."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub.process_spawner import SESSION_PART

HEAD = """
import os, signal, sys, threading, time
import gpulab_session
from gpulab_session import budgets
budgets._SAVING_S = 1.0
saves = open(sys.argv[1], "a")
def save():
    saves.write("saved\\n")
    saves.flush()
def ready():
    print("ready", flush=True)
"""
CALLED = """
with gpulab_session.budget(save=save) as b:
    ready()
    time.sleep(60)
"""
ASKED = """
with gpulab_session.budget() as b:
    ready()
    while True:
        time.sleep(0.01)
        if b.nearly_over():
            save()
            break
time.sleep(60)
"""
# It never asks again: a loop that hangs, or that has ended with a fault.
DEAF = """
with gpulab_session.budget() as b:
    ready()
    while True:
        time.sleep(0.05)
"""
SLOW = """
def slowly():
    time.sleep(0.3)
    save()
with gpulab_session.budget(0.0001, save=slowly) as b:
    time.sleep(0.1)
    ready()
    time.sleep(60)
"""
CHILD = """
with gpulab_session.budget(save=save) as b:
    child = os.fork()
    if child == 0:
        ready()
        time.sleep(60)
    time.sleep(0.3)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
    assert not b.nearly_over()
"""
IGNORED = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with gpulab_session.budget(save=save) as b:
    ready()
    for _ in range(50):
        time.sleep(0.01)
"""
OWN = """
def own(number, frame):
    saves.write("own\\n")
    sys.exit(7)
signal.signal(signal.SIGTERM, own)
with gpulab_session.budget(save=save) as b, gpulab_session.budget(save=save):
    ready()
    time.sleep(60)
"""
AFTER = """
with gpulab_session.budget(save=save):
    pass
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
worker = threading.Thread(target=lambda: gpulab_session.budget(save=save).__enter__())
worker.start(); worker.join()
ready()
time.sleep(60)
"""
TERM, HUP, INT = signal.SIGTERM, signal.SIGHUP, signal.SIGINT


@pytest.mark.parametrize(
    ("program", "number", "status", "saved"),
    [
        (CALLED, TERM, -TERM, "saved\n"), (CALLED, HUP, -HUP, "saved\n"),
        (CALLED, INT, -INT, "saved\n"), (ASKED, TERM, -TERM, "saved\n"),
        (ASKED, INT, -INT, ""), (DEAF, TERM, -TERM, ""), (SLOW, TERM, -TERM, "saved\n"),
        (CHILD, None, 0, ""), (IGNORED, HUP, 0, ""), (OWN, TERM, 7, "saved\nsaved\nown\n"),
        (AFTER, TERM, -TERM, ""),
    ],
    ids=["called", "hangup", "interrupt", "asked", "interrupt-asked", "deaf", "slow-save", "child",
         "ignored", "own-handler", "after"],
)  # fmt: skip
def test_a_program_that_is_told_to_stop_saves_once(
    tmp_path: Path, program: str, number: signal.Signals | None, status: int, saved: str
) -> None:
    file = tmp_path / "saves"
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + program, str(file)], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env={"PYTHONPATH": str(SESSION_PART)},
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        if number is not None:
            running.send_signal(number)
        try:
            assert running.wait(timeout=30) == status
        finally:
            running.kill()
    assert file.read_text() == saved
