"""A loop over batches that saves before time is over, and goes on from there the next time.

    for inputs, labels in gpulab_session.torch_loop(
        loader, "run.pt", epochs=10, model=model, optimizer=optimizer
    ):
        ...

What is saved is whole or as it was before: the parts' states, how far the loop was, and PyTorch's
random numbers, so that a loop which went on ends as one that never stopped.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from gpulab_session.budgets import Budget, loop_budget
from gpulab_session.words import say, span_text

_FORMAT = 1


class Part(Protocol):
    """What has a state: a model, an optimizer, a schedule of learning rates, a scaler."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any) -> object:
        """Take a state over."""


class TorchLoop:
    """Goes over the batches for some epochs; see `torch_loop`."""

    def __init__(
        self, batches: Iterable[Any], path: Path, *, epochs: int, every_s: float,
        budget: Callable[[], Budget], parts: dict[str, Part],
    ) -> None:  # fmt: skip
        self.step = 0
        self.epoch = 0
        self._batches = batches
        self._path = path
        self._epochs = epochs
        self._budget = budget
        self._every_s = every_s
        self._parts = parts
        self._in_epoch = 0
        self._saved_at_s = 0.0
        self._randomness: Any = None

    @property
    def is_done(self) -> bool:
        """Tell whether all epochs are done, or whether the loop goes on another time."""
        return self.epoch >= self._epochs

    def __iter__(self) -> Iterator[Any]:
        self._resume()
        if self.is_done:
            say(f"{self._path}: {self.epoch} of {self._epochs} epochs are done already. "
                "Delete it to begin anew.")  # fmt: skip
            return
        with self._budget() as budget:
            if budget.nearly_over():
                say(f"No step is done: {budget.why_over()}.")
                return
            self._saved_at_s = time.monotonic()
            while not self.is_done:
                yield from self._one_epoch(budget)
                if self._in_epoch:
                    return
            self._save()

    def _one_epoch(self, budget: Budget) -> Iterator[Any]:
        """Yield what is left of an epoch; one that ends early has `_in_epoch` steps."""
        is_resumed, now = self._randomness is not None, _randomness()
        if is_resumed:
            _set_randomness(self._randomness)
        else:
            self._randomness = now
        batches = iter(self._batches)
        for _ in itertools.islice(batches, self._in_epoch):
            # Seen already, before the loop was resumed.
            continue
        if is_resumed:
            _set_randomness(now)
        for batch in batches:
            yield batch
            self.step += 1
            self._in_epoch += 1
            if budget.nearly_over():
                self._save()
                say(f"Saved in {self._path} after step {self.step} in epoch {self.epoch + 1} of "
                    f"{self._epochs}: {budget.why_over()}. Run it again to go on.")  # fmt: skip
                return
            if time.monotonic() - self._saved_at_s >= self._every_s:
                self._save()
        self.epoch, self._in_epoch, self._randomness = self.epoch + 1, 0, None

    def _save(self) -> None:
        import torch  # noqa: PLC0415 - only where there is one

        began_s = time.monotonic()
        state = {
            "format": _FORMAT,
            "step": self.step,
            "epoch": self.epoch,
            "in_epoch": self._in_epoch,
            "epoch_randomness": self._randomness,
            "randomness": _randomness(),
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
        }
        unfinished = self._path.with_name(f"{self._path.name}.part")
        try:
            with unfinished.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        finally:
            with suppress(OSError):
                unfinished.unlink()
        self._saved_at_s = time.monotonic()
        took_s = self._saved_at_s - began_s
        if took_s > self._every_s / 10 > 0:
            say(f"Saving takes {span_text(took_s)}; fewer saves (every_minutes) would cost less.")

    def _resume(self) -> None:
        """Take over what was saved.

        Raises:
            ValueError: there is something that this loop cannot go on from.

        """
        import torch  # noqa: PLC0415 - only where there is one

        if not self._path.exists():
            return
        try:
            state = torch.load(self._path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise _useless(self._path, f"it cannot be read ({type(error).__name__})") from error
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise _useless(self._path, "it is of another kind")
        if state["parts"].keys() != self._parts.keys():
            raise _useless(self._path, f"it has {', '.join(state['parts']) or 'no parts'}")
        for name, part in self._parts.items():
            part.load_state_dict(state["parts"][name])
        self.step, self.epoch = state["step"], state["epoch"]
        self._in_epoch, self._randomness = state["in_epoch"], state["epoch_randomness"]
        _set_randomness(state["randomness"])
        if not self.is_done:
            say(f"Going on from {self._path}: step {self.step}, epoch {self.epoch + 1} of "
                f"{self._epochs}.")  # fmt: skip


def _randomness() -> Any:
    import torch  # noqa: PLC0415 - only where there is one

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def _set_randomness(state: Any) -> None:
    import torch  # noqa: PLC0415 - only where there is one

    cpu, *cuda = state
    torch.set_rng_state(cpu)
    # Another number of GPUs has other random numbers.
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)


def _useless(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} is nothing to go on from: {why}. Move it away to begin anew.")


def torch_loop(
    batches: Iterable[Any],
    path: str | Path,
    *,
    epochs: int = 1,
    minutes: float | None = None,
    save_s: float | None = None,
    every_minutes: float = 10.0,
    **parts: Part,
) -> TorchLoop:
    """Return a loop over the batches that saves `parts` into a file and goes on from it.

    It saves every ten minutes, at the end, and before time is over (`minutes`, or the session's
    end; see `budget`): then the loop ends with `is_done` false. Batches that the epoch has seen
    are skipped when it goes on.
    """
    if epochs < 1:
        raise ValueError(f"a loop needs at least one epoch, not {epochs}")
    if not parts:
        raise ValueError("name what is to be saved: torch_loop(..., model=model)")
    return TorchLoop(batches, Path(path), epochs=epochs, every_s=every_minutes * 60,
                     budget=lambda: loop_budget(minutes, save_s), parts=parts)  # fmt: skip
