"""The callback for the Trainer, before a stand-in that does with it what the Trainer does.

The real one does so in tests/images/test_session_scripts.py.
"""

import os
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.session.listener import NOW, Listener
from tests.session.parts import part


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    fake: Any = ModuleType("transformers")
    fake.TrainerCallback = object
    monkeypatch.setitem(sys.modules, "transformers", fake)
    monkeypatch.delitem(sys.modules, "gpulab_session.trainer", raising=False)
    return part("trainer")


def train(callback: Any, steps: int, each: Any = lambda _step: None) -> tuple[int, list[int]]:
    """Return after how many steps it ended, and after which it saved."""
    control = SimpleNamespace(should_training_stop=False, should_save=False)
    args, saved = SimpleNamespace(output_dir="out"), []
    callback.on_train_begin(args, None, control)
    step = 0
    while step < steps and not control.should_training_stop:
        step += 1
        control.should_save = False
        each(step)
        callback.on_step_end(args, SimpleNamespace(global_step=step), control, model=None)
        if control.should_save:
            saved.append(step)
    callback.on_train_end(args, None, control)
    return step, saved


def test_it_saves_and_ends_when_the_session_does(
    lab: Listener, trainer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = trainer.GpulabCallback()
    assert train(callback, 5) == (5, [])
    lab.ends_at = NOW
    assert train(callback, 5) == (1, [1])
    assert "Saving in out after step 1: the session ends in 0 s." in capsys.readouterr().out
    lab.ends_at = None
    assert train(callback, 5) == (5, [])


def test_its_own_minutes_count_without_a_lab(trainer: Any) -> None:
    assert train(trainer.GpulabCallback(minutes=1e-9), 5) == (1, [1])
    assert train(trainer.GpulabCallback(minutes=5), 5) == (5, [])
    with pytest.raises(ValueError, match="more than 0 minutes"):
        train(trainer.GpulabCallback(minutes=0), 5)


def test_an_interrupt_waits_for_the_save(trainer: Any) -> None:
    """A notebook's kernel is interrupted when its session stops."""
    before = signal.getsignal(signal.SIGINT)
    steps: list[int] = []

    def interrupt(step: int) -> None:
        steps.append(step)
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(trainer.GpulabCallback(), 9, interrupt)
    assert steps == [1, 2, 3]
    assert signal.getsignal(signal.SIGINT) == before

    def twice(step: int) -> None:
        interrupt(3)
        interrupt(3)
        steps.append(step)

    callback = trainer.GpulabCallback()
    with pytest.raises(KeyboardInterrupt):
        train(callback, 9, twice)
    assert steps[3:] == [3, 3], "the second interrupt waits for nothing"
    callback.on_train_end()


def test_the_newest_whole_checkpoint_is_found(trainer: Any, tmp_path: Path) -> None:
    assert trainer.last_checkpoint(tmp_path / "none") is None
    for name, state in (("checkpoint-9", "{}"), ("checkpoint-10", "{}"), ("checkpoint-20", ""),
                        ("checkpoint-30", None), ("checkpoint-x", "{}")):  # fmt: skip
        (tmp_path / name).mkdir()
        if state is not None:
            (tmp_path / name / "trainer_state.json").write_text(state)
    assert trainer.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-10")
