"""Peak memory of LDSeg on a volume of the paper's size, on the CPU: one training step and one segmentation.

Each runs in a process of its own, whose largest resident memory counts: interpreter and libraries included, and what
the convolutions take for themselves. By hand: python -m benchmarks.speed.test_memory_3d training 64 64 128
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from methods.base import Sampling
from methods.ldseg import LDSeg

ROOT = Path(__file__).resolve().parents[2]
VOLUME, CLASSES = (128, 128, 256), 3
LIMITS = {"training": 14.0, "segmentation": 4.0}
"""GiB that must suffice."""
# Of the largest resident size: kibibytes on Linux, bytes on macOS.
UNIT = 1 if sys.platform == "darwin" else 2**10


@pytest.mark.parametrize("part", LIMITS)
def test_peak_memory(benchmark, part):
    command = [sys.executable, "-m", "benchmarks.speed.test_memory_3d", part, *map(str, VOLUME)]
    found = []
    benchmark.pedantic(
        lambda: found.append(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)), rounds=1
    )
    figures = json.loads(found[0].stdout)
    benchmark.extra_info |= figures | {"volume": list(VOLUME), "limit_gib": LIMITS[part]}
    assert figures["peak_gib"] < LIMITS[part]


def main(part: str, *volume: str) -> None:
    """Run one part and print peak memory and threads as JSON."""
    size = tuple(map(int, volume))
    torch.manual_seed(0)
    model = LDSeg(spatial_dims=3, in_channels=1, classes=CLASSES, image_size=size, size="paper")
    image = torch.rand(1, 1, *size)
    before = peak_gib()
    train(model, image) if part == "training" else segment(model, image)
    print(json.dumps({"peak_gib": peak_gib(), "before_gib": before, "threads": torch.get_num_threads()}))


def train(model: LDSeg, image: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(CLASSES, (1, *image.shape[2:]), generator=generator)
    optimizer = model.train().optimizer("train", 1e-3)
    model.loss(image, label, "train", generator)["total"].backward()
    optimizer.step()


@torch.inference_mode()
def segment(model: LDSeg, image: torch.Tensor) -> None:
    model.eval().segment(image, Sampling(2), [torch.Generator().manual_seed(0)])


def peak_gib() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 2**30


if __name__ == "__main__":
    main(*sys.argv[1:])
