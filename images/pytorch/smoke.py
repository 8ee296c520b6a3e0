"""Prove that PyTorch learns in this image, without any network: `python /srv/smoke/pytorch.py`.

A small convolutional network learns to tell stripes that lie from stripes that stand, on pictures
that are made here; on a GPU when there is one, else on the CPU.
"""

# ruff: noqa: T201 - what it prints is what it is run for

import importlib
import time
from importlib.metadata import version

import numpy as np
import scipy
import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from torch import nn

STEPS, BATCH, SIDE = 60, 64, 32
GOOD = 0.9


def device() -> torch.device:
    """Take the GPU when there is one that this build of PyTorch can use."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pictures(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Make noisy pictures of stripes, and tell of each whether its stripes stand."""
    stands = torch.randint(0, 2, (count,), generator=generator)
    phase = torch.rand((count, 1, 1), generator=generator) * 6.28
    wave = torch.sin(torch.arange(SIDE).reshape(1, 1, SIDE) * 0.9 + phase).expand(-1, SIDE, -1)
    lying = wave.transpose(1, 2)
    clean = torch.where(stands.reshape(-1, 1, 1).bool(), wave, lying)
    noise = torch.randn((count, SIDE, SIDE), generator=generator)
    return (clean + noise).unsqueeze(1), stands


def network() -> nn.Module:
    """Return the untrained network."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


def train(where: torch.device) -> tuple[float, float, float]:
    """Return the loss at first and at last, and the share that is right of pictures never seen."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = network().to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(STEPS):
        shown, stands = (one.to(where) for one in pictures(BATCH, generator))
        loss = nn.functional.cross_entropy(model(shown), stands)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    shown, stands = (one.to(where) for one in pictures(512, generator))
    right = (model(shown).argmax(1) == stands).float().mean().item()
    return losses[0], losses[-1], right


def other_libraries(where: torch.device) -> None:
    """Use one compiled part of each library: a wheel that does not fit fails here."""
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30.0]], device=where)
    scores = torch.tensor([0.9, 0.8, 0.7], device=where)
    assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [0, 2]
    assert abs(scipy.special.erf(0.5) - 0.5204998778) < 1e-9
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert LogisticRegression().fit(points, [0, 0, 1, 1]).predict([[2.9]]).tolist() == [1]
    drawing = importlib.import_module("matplotlib.pyplot").figure()
    drawing.add_subplot().plot([1, 2, 3])
    drawing.canvas.draw()
    importlib.import_module("jupyterlab_nvdashboard")


def main() -> None:
    """Train, and use the rest."""
    where = device()
    name = torch.cuda.get_device_name() if where.type == "cuda" else "no GPU"
    print(f"torch {torch.__version__} (CUDA {torch.version.cuda}), "
          f"torchvision {version('torchvision')}")  # fmt: skip
    print(f"device: {where.type} ({name})")
    began = time.monotonic()
    first, last, right = train(where)
    print(f"CNN, {STEPS} steps in {time.monotonic() - began:.1f} s: "
          f"loss {first:.3f} -> {last:.3f}, {right:.0%} right")  # fmt: skip
    assert last < first, "the network learnt nothing"
    assert right >= GOOD, f"only {right:.0%} right"
    other_libraries(where)
    print("torchvision, scipy, scikit-learn, matplotlib, jupyterlab-nvdashboard: in use")
    print("pytorch: ok")


if __name__ == "__main__":
    main()
