"""Trained networks evaluated by something faster than PyTorch's eager mode, or in bf16."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.errors import BadInput
from benchmarks.plan.inference import Inference
from methods.base import Segmenter

CLOSE = 1e-4
"""How far an engine's float32 result may lie from PyTorch's, as a share of the largest value (at least of 1)."""

Call = Callable[..., Tensor | tuple[Tensor, ...]]
"""From tensors to a tensor or several."""


def placed(model: Segmenter, device: torch.device, how: Inference | None) -> Segmenter:
    """`model` on the device, ready to segment, its networks evaluated as `how` says (None: by PyTorch in float32).

    The networks are the direct submodules that are called as such; of a model with a `forward` and no submodule called
    `network` the model itself. What a method does besides (samplers, standardisation, softmax) stays PyTorch in its own
    precision. Each is compiled anew for every shape it is called with, and its first result in float32 is compared with
    PyTorch's. Raises BadInput for a device that the engine cannot use; a call raises it for a network that cannot be
    compiled, and where the results differ by more than `CLOSE`.
    """
    model = model.to(device).eval()
    if how is None:
        return model
    if how.engine == "openvino" and device.type != "cpu":
        raise BadInput(f"inference.engine=openvino: computes on CPUs only, and device is {device.type}. Take compile.")
    for name, part in _networks(model):
        part.forward = _Engine(name, part, how)
    return model


def engaged(model: Segmenter) -> list[str]:
    """Names of the networks that an engine has been compiled for so far."""
    return [name for name, part in _networks(model) if isinstance(part.forward, _Engine) and part.forward.calls]


def own_memory(model: Segmenter) -> bool:
    """Whether networks are evaluated in memory that PyTorch's allocator knows nothing of."""
    return any(
        isinstance(part.forward, _Engine) and part.forward.how.engine == "openvino" for _, part in _networks(model)
    )


def _networks(model: Segmenter) -> list[tuple[str, nn.Module]]:
    whole = type(model).__name__
    if type(model).forward is not nn.Module.forward and "network" not in dict(model.named_children()):
        return [(whole, model)]
    return [(f"{whole}.{name}", part) for name, part in model.named_children()]


class _Engine:
    """What stands in for the `forward` of a network."""

    def __init__(self, name: str, part: nn.Module, how: Inference) -> None:
        self.name, self.part, self.how = name, part, how
        self.own = part.forward
        self.calls: dict[tuple, Call] = {}

    def __call__(self, *args: Any) -> Tensor | tuple[Tensor, ...]:
        key = tuple((tuple(a.shape), a.dtype) if isinstance(a, Tensor) else a for a in args)
        if key not in self.calls:
            self.calls[key] = self._compiled(args)
        return self.calls[key](*args)

    def _compiled(self, args: tuple[Any, ...]) -> Call:
        with self._itself():
            expected = self.own(*args)
            call = self._made(args)
        found = call(*args)
        pairs = list(zip(_several(found), _several(expected), strict=True))
        apart = max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs)
        if self.how.precision == "f32" and not apart <= CLOSE:
            raise BadInput(
                f"{self.how.words}: {self.name} differs from PyTorch by {apart:.1e} of its largest value, more than "
                f"{CLOSE:g}. Take inference.engine=eager for this method."
            )
        return call

    def _made(self, args: tuple[Any, ...]) -> Call:
        if self.how.engine == "openvino":
            return self._openvino(args)
        call = self.own
        if self.how.engine == "compile":
            call = torch.compile(self.own, dynamic=False)
        device = next(a.device.type for a in args if isinstance(a, Tensor))

        def evaluated(*given: Any) -> Tensor | tuple[Tensor, ...]:
            half = torch.autocast(device, torch.bfloat16) if self.how.precision == "bf16" else nullcontext()
            with half, self._itself():
                found = call(*given)
            return found.float() if isinstance(found, Tensor) else tuple(one.float() for one in found)

        return evaluated

    def _openvino(self, args: tuple[Any, ...]) -> Call:
        import openvino  # optional

        if not all(isinstance(a, Tensor) for a in args):
            raise BadInput(f"{self.how.words}: {self.name} is called with more than tensors. Take another engine.")
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.how.precision,
            # With them, 2026.4 ends the process at attention in float32; without, nothing here takes longer.
            "SNIPPETS_MODE": "DISABLE",
        }
        try:
            with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer's, of branches that depend on shapes, which are fixed here
                example = tuple(a.clone() for a in args)
                shapes = [tuple(a.shape) for a in args]
                graph = openvino.convert_model(self.part, example_input=example, input=shapes)
            request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        except Exception as error:  # the converter raises errors of many kinds
            words = " ".join(str(error).split())[:200]
            raise BadInput(
                f"{self.how.words}: {self.name} cannot be converted ({words}). Take inference.engine=eager."
            ) from error

        def evaluated(*given: Tensor) -> Tensor | tuple[Tensor, ...]:
            found = request.infer([a.numpy() for a in given], share_inputs=True)
            results = tuple(torch.from_numpy(found[n]) for n in range(len(found)))
            return results[0] if len(results) == 1 else results

        return evaluated

    @contextmanager
    def _itself(self) -> Iterator[None]:
        """The network with its own forward, which tracers and compilers look for."""
        del self.part.forward
        try:
            yield
        finally:
            self.part.forward = self


def _several(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (found,) if isinstance(found, Tensor) else tuple(found)
