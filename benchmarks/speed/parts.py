"""What benchmarks/speed/turns.py times in a checkout: read by a process that runs there, an older one included.

Reads a JSON list [part, repetitions] from each line of its input and answers with a JSON object on a line: the seconds
of each repetition, or why there are none. Only what every checkout has is imported from it.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module

import torch

METHODS = {
    "ldseg": "ldseg.LDSeg",
    "lsegdiff": "lsegdiff.LSegDiff",
    "medsegdiff": "medsegdiff.MedSegDiff",
    "sdf_ddpm": "sdf_ddpm.SDFDDPM",
    "flowsdf": "flowsdf.FlowSDF",
    "sdseg": "sdseg.SDSeg",
    "resunet": "resunet.ResUNet",
    "unet": "unet.UNet",
    "unetpp": "unetpp.UNetPlusPlus",
    "vnet": "vnet.VNet",
    "nnunet": "nnunet.NNUNet",
    "swinunet": "swinunet.SwinUNet",
    "medt": "medt.MedT",
}
"""Those for images; the names are those of conf/method."""
TRAINING, BATCH, INFERENCE = 128, 8, 512
PARTS = (*(f"training_{name}" for name in METHODS), "image_encoder", "label_decoder", "denoiser", "sampling_step")


def build(name: str, size: str, side: int) -> torch.nn.Module:
    """The untrained network of a method for colour images of `side` x `side` and two classes."""
    module, kind = METHODS[name].split(".")
    torch.manual_seed(0)
    method = getattr(import_module(f"methods.{module}"), kind)
    return method(spatial_dims=2, in_channels=3, classes=2, image_size=(side, side), size=size)


def training(name: str, precise: Callable[[], AbstractContextManager]) -> Callable[[], object]:
    """A training step of the last stage: loss, gradient and Adam, without loading and augmentation."""
    model = build(name, "small", TRAINING).train()
    stage = model.stages[-1]
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(BATCH, 3, TRAINING, TRAINING, generator=draw)
    label = (torch.rand(BATCH, TRAINING, TRAINING, generator=draw) > 0.5).long()
    for earlier in model.stages:
        model.prepare_stage(earlier, [(image, label)])
    optimizer = model.optimizer(stage, 1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precise():
            loss = model.loss(image, label, stage, draw)["total"]
        loss.backward()
        optimizer.step()

    return step


def inference(part: str, precise: Callable[[], AbstractContextManager], engine: str) -> Callable[[], object]:
    """A part of LDSeg at the paper's width, one colour image of 512x512. engine: one of WAYS."""
    from methods.base import Sampling

    model = build("ldseg", "paper", INFERENCE).eval()
    if engine.startswith("openvino"):
        from benchmarks.machine.engines import placed
        from benchmarks.plan.inference import Inference

        how = Inference("openvino", "bf16" if engine.endswith("bf16") else "f32")
        model = placed(model, torch.device("cpu"), how)  # type: ignore[arg-type]
    image = torch.rand(1, 3, INFERENCE, INFERENCE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        z_i = model.embed(image)
    z, t = torch.randn_like(z_i), torch.full((1,), 999.0, dtype=torch.float64)
    if part == "sampling_step":  # the loop alone
        model.decode = lambda z: z
    sampling = Sampling(STEPS)
    calls: dict[str, Callable[[], object]] = {
        "image_encoder": lambda: model.embed(image),
        "label_decoder": lambda: model.decode(z),
        "denoiser": lambda: model.denoiser(z, z_i, t),
        "sampling_step": lambda: model.segment(image, sampling, [torch.Generator().manual_seed(0)], embedding=z_i),
    }

    def call() -> None:
        with torch.inference_mode(), precise():
            calls[part]()

    return call


WAYS = ("f32", "bf16", "openvino", "openvino-bf16")
"""How parts are evaluated: by PyTorch in float32 or by autocast, or (inference alone) by OpenVINO in either."""
STEPS = 51
"""Grid points of the sampling that is timed: fifty steps."""


def answer() -> None:
    """Time what is asked for until nothing more is."""
    precision, threads = sys.argv[1:3]
    torch.set_num_threads(int(threads))
    try:  # what the runner tells the C library
        import_module("benchmarks.machine.allocation").keep_freed_memory()
    except ModuleNotFoundError:
        pass

    def precise() -> AbstractContextManager:
        return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()

    calls: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        part, repetitions = json.loads(line)
        try:
            if part not in calls:
                calls.clear()  # one network at a time
                if part.startswith("training_"):
                    calls[part] = training(part.removeprefix("training_"), precise)
                else:
                    calls[part] = inference(part, precise, precision)
                for _ in range(3):
                    calls[part]()
            seconds = []
            for _ in range(repetitions):
                started = time.perf_counter()
                calls[part]()
                seconds.append(time.perf_counter() - started)
            said: dict[str, object] = {"seconds": seconds}
        except Exception as error:  # a method that this checkout does not have, or that fails at this precision
            said = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, ".")
    answer()
