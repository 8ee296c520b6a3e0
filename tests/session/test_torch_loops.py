"""A loop over batches: saved whole, resumed exactly, with a small stand-in for PyTorch.

The real PyTorch does the same in tests/images/test_session_scripts.py.
"""

import pickle
import random
import sys
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.session.listener import NOW, Listener
from tests.session.parts import part


class Weights:
    """A model and its optimizer in one number each, which learn with some chance."""

    def __init__(self) -> None:
        self.state = [0.0]

    def state_dict(self) -> Any:
        return list(self.state)

    def load_state_dict(self, state: Any) -> None:
        self.state = list(state)

    def learn(self, batch: float) -> None:
        self.state[0] = self.state[0] * 0.9 + batch + random.random()


class Batches:
    """Shuffled anew in each epoch, as a DataLoader does."""

    def __iter__(self) -> Any:
        order = list(range(7))
        random.shuffle(order)
        yield from order


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def save(state: Any, file: Any) -> None:
        pickle.dump(state, file)

    def load(path: Path, *, map_location: str, weights_only: bool) -> Any:
        assert (map_location, weights_only) == ("cpu", True), "nothing in a checkpoint is run"
        return pickle.loads(path.read_bytes())  # noqa: S301 - what this test has written

    fake: Any = ModuleType("torch")
    fake.save, fake.load = save, load
    fake.get_rng_state, fake.set_rng_state = random.getstate, random.setstate
    fake.cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake  # type: ignore[no-any-return]


def train(path: Path, *, until: int | None = None, **how: Any) -> tuple[Any, Weights]:
    """Train from a fixed beginning; `until` is the step after which time is nearly over."""
    random.seed(11)
    model = Weights()
    loop = part().torch_loop(Batches(), path, epochs=3, model=model, **how)
    for batch in loop:
        model.learn(batch)
        if loop.step + 1 == until:
            sys.modules["gpulab_session.budgets"].Budget.nearly_over = lambda _self: True
    return loop, model


@pytest.mark.parametrize("stops", [[1], [6], [7], [8], [3, 5, 14, 20]])
def test_a_loop_that_went_on_ends_as_one_that_never_stopped(
    tmp_path: Path, stops: list[int], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    whole, expected = train(tmp_path / "whole.pt")
    assert (whole.is_done, whole.step, whole.epoch) == (True, 21, 3)
    for stop in stops:
        with monkeypatch.context() as patch:
            patch.setattr(part("budgets").Budget, "nearly_over", lambda _self: False)
            stopped, _ = train(tmp_path / "run.pt", until=stop)
        assert (stopped.is_done, stopped.step) == (False, stop)
        assert f"after step {stop}" in capsys.readouterr().out
    resumed, model = train(tmp_path / "run.pt")
    assert (resumed.is_done, resumed.step) == (True, 21)
    assert model.state == expected.state
    assert f"Going on from {tmp_path / 'run.pt'}" in capsys.readouterr().out
    again, model = train(tmp_path / "run.pt")
    assert (again.is_done, model.state) == (True, expected.state)
    assert "done already" in capsys.readouterr().out
    assert sorted(one.name for one in tmp_path.glob("*.*")) == ["run.pt", "whole.pt"]


def test_no_time_at_all_is_no_step(
    tmp_path: Path, lab: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.ends_at = NOW
    loop, _ = train(tmp_path / "run.pt")
    assert (loop.is_done, loop.step) == (False, 0)
    assert "No step is done: the session ends in 0 s." in capsys.readouterr().out
    assert not (tmp_path / "run.pt").exists()


def test_it_saves_from_time_to_time(
    tmp_path: Path, torch: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[int] = []
    save = torch.save

    def counted(state: Any, file: Any) -> None:
        saved.append(state["step"])
        save(state, file)

    torch.save = counted
    train(tmp_path / "run.pt", every_minutes=0)
    assert saved == [*range(1, 22), 21]
    # A second for each look at the clock: an epoch is shorter than the time between saves.
    monkeypatch.setattr(part("torch_loops"), "time", SimpleNamespace(monotonic=count().__next__))
    saved.clear()
    train(tmp_path / "other.pt", every_minutes=8 / 60)
    assert saved == [8, 16, 21]
    assert "fewer saves" in capsys.readouterr().out


def test_a_full_disk_leaves_the_last_whole_save(tmp_path: Path, torch: Any) -> None:
    """Nothing is replaced before the new one is on the disk."""
    path = tmp_path / "run.pt"
    train(path)
    before, save = path.read_bytes(), torch.save

    def full(state: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    torch.save = full
    with pytest.raises(OSError, match="No space"):
        list(part().torch_loop([1], path, epochs=4, model=Weights()))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
    torch.save = save
    assert train(path)[0].step == 21


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps([1]), pickle.dumps({"step": 3})])
def test_what_cannot_be_gone_on_from_is_said_and_kept(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="Move it away to begin anew"):
        train(path)
    assert path.read_bytes() == data


def test_other_parts_are_another_run(tmp_path: Path) -> None:
    train(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="it has model"):
        train(tmp_path / "run.pt", optimizer=Weights())
    with pytest.raises(ValueError, match="name what is to be saved"):
        part().torch_loop([], tmp_path / "run.pt")
    with pytest.raises(ValueError, match="at least one epoch"):
        part().torch_loop([], tmp_path / "run.pt", epochs=0, model=Weights())


def test_a_loop_that_is_left_puts_everything_back(tmp_path: Path) -> None:
    import signal  # noqa: PLC0415

    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    for _ in part().torch_loop([1, 2], tmp_path / "run.pt", model=Weights()):
        assert signal.getsignal(signal.SIGINT) != before[2]
        break
    assert before == [
        signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    ]
