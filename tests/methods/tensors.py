"""Random tensors and weights for tests of networks and their layers."""

import torch


def shaken(module: torch.nn.Module, spread=0.1):
    """The module as after some training: no weight at its neutral start; in evaluation mode."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
    return module.eval()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
