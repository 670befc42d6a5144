"""Running statistics of batch normalisations, measured rather than accumulated in training."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def measured_statistics(module: nn.Module) -> Iterator[None]:
    """What is run within the block gives all batch normalisations of `module` their running statistics.

    They become the plain averages over the batches run (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", sec.
    3), with dropout off; what had accumulated before is forgotten. Leaves `module` in evaluation mode.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # PyTorch's way to ask for the plain average
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        module.eval()
