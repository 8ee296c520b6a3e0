"""For the Trainer of Hugging Face: a checkpoint before time is over, and the way back to it.

from gpulab_session.trainer import GpulabCallback, last_checkpoint

trainer = Trainer(..., callbacks=[GpulabCallback()])
trainer.train(resume_from_checkpoint=last_checkpoint("out"))
"""

import json
import re
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from gpulab_session.budgets import Budget, loop_budget
from gpulab_session.words import say

_STEP = re.compile(r"checkpoint-(\d+)")
# Written last, so a checkpoint that has it is whole.
_LAST_FILE = "trainer_state.json"


class GpulabCallback(TrainerCallback):  # type: ignore[misc] # transformers has no types here
    """Lets the Trainer save and end when `minutes` or the session are nearly over."""

    def __init__(self, minutes: float | None = None, *, save_s: float | None = None) -> None:
        self._minutes = minutes
        self._save_s = save_s
        self._budget: Budget | None = None

    def on_train_begin(self, *_arguments: Any, **_more: Any) -> None:
        """Begin to count."""
        self._close()
        self._budget = loop_budget(self._minutes, self._save_s).__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Save and end if it is time."""
        if self._budget is None or control.should_training_stop or not self._budget.nearly_over():
            return
        control.should_save = control.should_training_stop = True
        say(f"Saving in {args.output_dir} after step {state.global_step}: "
            f"{self._budget.why_over()}.")  # fmt: skip

    def on_train_end(self, *_arguments: Any, **_more: Any) -> None:
        """Count no longer; a signal to stop that has waited is passed on."""
        self._close()

    def _close(self) -> None:
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.__exit__(None, None, None)


def last_checkpoint(output_dir: str | Path) -> str | None:
    """Return the newest whole checkpoint, for `resume_from_checkpoint`; None to begin anew."""
    found = {
        int(step[1]): folder
        for folder in Path(output_dir).glob("checkpoint-*")
        if (step := _STEP.fullmatch(folder.name)) and _is_whole(folder)
    }
    return str(found[max(found)]) if found else None


def _is_whole(folder: Path) -> bool:
    try:
        return isinstance(json.loads((folder / _LAST_FILE).read_text()), dict)
    except (OSError, ValueError):
        return False
