"""What a training step and a segmentation ask of the machine, counted rather than timed: a clock of its own for tests.

`python -m benchmarks.machine.operations` writes the table that tests hold every method to, operations.csv beside this
file; a change that makes a step dearer on purpose writes it anew, and the difference is seen in its review.
"""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.machine import arithmetic, flops
from benchmarks.plan import building
from benchmarks.seeding import generator_for
from benchmarks.store.config import DatasetConfig, MethodConfig
from methods.base import Sampling, Segmenter

TABLE = Path(__file__).with_name("operations.csv")
TOLERANCE = 0.02
"""Share by which a count may exceed that of the table: releases of PyTorch dispatch a few operations more or less."""
DATA = DatasetConfig("RGB", (64, 64), channels=3, class_names=("foreground",))
IMAGES = 2
STEPS = 3
"""Grid points of a segmentation."""
CALLS = ("training", "segmentation")


@dataclass(frozen=True)
class Counts:
    """Of one call: floating-point operations of convolutions, matrix products and attention; operations dispatched,
    each of which costs some microseconds on a CPU and a launch on a GPU; bytes they return, views left out."""

    arithmetic: int
    operations: int
    bytes: int


class Dispatched(TorchDispatchMode):
    """Counts the operations that are run under it and the bytes they return in new memory."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: PLW3201
        """Runs an operation and counts it; see `TorchDispatchMode`."""
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        given = {_memory(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and _memory(leaf) not in given]
        self.bytes += sum(leaf.numel() * leaf.element_size() for leaf in made)
        return result


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def counts(call: Callable[[], object]) -> Counts:
    """What a call asks of the machine."""
    with flops.counter() as counted, Dispatched() as dispatched:
        call()
    return Counts(counted.get_total_flops(), dispatched.operations, dispatched.bytes)


def of(method: MethodConfig) -> dict[str, Counts]:
    """By call, of a method of size tiny; a training step is loss, gradients and optimiser, over all stages."""
    torch.manual_seed(0)
    model = building.build(
        MethodConfig(method.name, method.target, arguments={**method.arguments, "size": "tiny"}), DATA
    )
    random = generator_for("operations")
    image = torch.rand((IMAGES, DATA.channels or 1, *DATA.image_size), generator=random)
    label = torch.randint(DATA.classes, (IMAGES, *DATA.image_size), generator=random)
    for stage in model.stages:
        model.prepare_stage(stage, [(image, label)])

    def segment() -> None:
        with torch.inference_mode():
            model.segment(image, Sampling(STEPS), [generator_for("operations", i) for i in range(IMAGES)])

    training = counts(lambda: _train(model.train(), image, label, random))
    model.eval()
    return {"training": training, "segmentation": counts(segment)}


def _train(model: Segmenter, image: Tensor, label: Tensor, random: torch.Generator) -> None:
    for stage in model.stages:
        optimizer = model.optimizer(stage, 1e-3)
        model.loss(image, label, stage, random)["total"].backward()
        optimizer.step()


def subjects() -> dict[str, MethodConfig]:
    """Methods that are counted: those for images that have a size."""
    found = arithmetic.networks()
    return {name: method for name, method in found.items() if not building.reason_against(method, DATA)}


def table() -> dict[tuple[str, str], Counts]:
    """Counts by (method, call), as the table has them."""
    with TABLE.open(newline="") as file:
        return {
            (row["method"], row["call"]): Counts(**{name.name: int(row[name.name]) for name in fields(Counts)})
            for row in csv.DictReader(file)
        }


def main() -> None:
    """Write the table."""
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "call", *(field.name for field in fields(Counts))])
        for name, method in subjects().items():
            for call, found in of(method).items():
                writer.writerow([name, call, *asdict(found).values()])
                print(name, call, found, flush=True)


if __name__ == "__main__":
    main()
