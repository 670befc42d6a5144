"""What a training step computes: the arithmetic by which the `small` sizes of the methods are made comparable.

`python -m benchmarks.machine.arithmetic` prints the table of docs/methods.md.
"""

import torch

from benchmarks.machine import flops, measure
from benchmarks.plan import building, choices
from benchmarks.plan.configuration import configure, names
from benchmarks.seeding import generator_for
from benchmarks.store.config import DatasetConfig, MethodConfig
from methods.base import Segmenter

REFERENCE = "ldseg"
"""The method whose `small` size sets the budget of all others."""
BAND = (0.25, 1.1)
"""Arithmetic of a training step in size `small`, in units of the reference's. Halving widths takes a quarter of it, so
that one of a network's power-of-two widths lies in here, unless the network is small as published."""
DATA = {
    2: DatasetConfig("RGB", (128, 128), channels=3, class_names=("foreground",)),
    3: DatasetConfig("volume", (48, 48, 48), channels=1, class_names=("foreground",)),
}
"""What it is counted on, by number of axes."""
TIMED = ("methods.ldseg.LDSeg", "methods.lsegdiff.LSegDiff")
"""Counted with one time for each sample, as published: how often a latent is shown is no matter of a network's size."""
SIZES = ("tiny", "small", "paper")


def training_step(model: Segmenter, data: DatasetConfig) -> float:
    """Floating-point operations (flops.py) of the loss and the gradients of one image, the mean over the stages of the
    training."""
    random = generator_for("arithmetic")
    image = torch.rand((1, data.channels or 1, *data.image_size), generator=random)
    label = torch.randint(data.classes, (1, *data.image_size), generator=random)
    counted = 0
    for stage in model.train().stages:
        with flops.counter() as counter:
            model.loss(image, label, stage, random)["total"].backward()
        counted += counter.get_total_flops()
    return counted / len(model.stages)


def of(method: MethodConfig, size: str, data: DatasetConfig) -> tuple[int, float]:
    """Parameters and operations of a training step of a method in one of its sizes. Raises BadInput for data that it
    cannot take."""
    arguments = {**method.arguments, "size": size} | ({"t_sampling": "sample"} if method.target in TIMED else {})
    sized = MethodConfig(method.name, method.target, arguments=arguments)
    torch.manual_seed(0)
    model = building.build(sized, data)
    return measure.parameters(model), training_step(model, data)


def networks() -> dict[str, MethodConfig]:
    """Segmenters of conf/method/ that have sizes, without those that are another one's network trained otherwise."""
    config = configure(["suite=accuracy"])
    found = {name: choices.method_config(config, name) for name in names("method")}
    return {
        name: method
        for name, method in found.items()
        if "size" in method.arguments
        and not method.twin_of
        and name != "resunet_noise"
        and issubclass(building.method_class(method), Segmenter)
    }


def main() -> None:
    """Print the table: parameters and arithmetic by method and size on images, in size small on volumes."""
    print("| method | " + " | ".join(f"{size}: parameters | GFLOP" for size in SIZES) + " |")
    print("|---" + "|--:" * 2 * len(SIZES) + "|")
    for method in networks().values():
        if not building.reason_against(method, DATA[2]):
            cells = [f"{count:,} | {flops / 1e9:.3g}" for count, flops in (of(method, s, DATA[2]) for s in SIZES)]
            print(f"| {method.label} | {' | '.join(cells)} |", flush=True)
    print("\n| method, volumes | small: parameters | GFLOP |\n|---|--:|--:|")
    for method in networks().values():
        if not building.reason_against(method, DATA[3]):
            count, flops = of(method, "small", DATA[3])
            print(f"| {method.label} | {count:,} | {flops / 1e9:.3g} |", flush=True)


if __name__ == "__main__":
    main()
