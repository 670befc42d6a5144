"""LPIPS (Zhang et al. 2018), where the user has its weights: nothing is downloaded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.errors import BadInput
from benchmarks.synthesis.extractors import BATCH, load


@dataclass(frozen=True)
class Perceptual:
    """A learned distance of two images: its name, and the network that measures it, for colour images in [-1, 1]."""

    name: str
    network: nn.Module

    @torch.inference_mode()
    def __call__(self, first: Tensor, second: Tensor) -> np.ndarray:
        """Distances (B,) of images (B, C, H, W) in [-1, 1], grey ones taken as colour; of volumes the mean over the
        planes across the last axis."""
        planes = first.shape[4] if first.ndim == 5 else 1
        one, two = (_planes(part) for part in (first, second))
        pairs = zip(one.split(BATCH), two.split(BATCH), strict=True)
        found = torch.cat([self.network(a, b).flatten() for a, b in pairs])
        return found.reshape(-1, planes).mean(1).double().numpy()


def _planes(images: Tensor) -> Tensor:
    flat = images.permute(0, 4, 1, 2, 3).flatten(0, 1) if images.ndim == 5 else images
    return flat if flat.shape[1] == 3 else flat[:, :1].expand(-1, 3, -1, -1)


def perceptual(path: Path | None) -> Perceptual | None:
    """LPIPS on VGG-16 with the weights in a file: a state_dict of the package's `LPIPS(net="vgg")`; None for None.
    Raises BadInput where the package is not installed or the file does not fit."""
    if path is None:
        return None
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise BadInput(
            f"suite.lpips={path}: needs the package lpips. `pip install -e '.[perceptual]'`, or leave suite.lpips out."
        ) from error
    network = LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False).eval()
    load(network, path, "suite.lpips", 'lpips.LPIPS(net="vgg").state_dict()')
    return Perceptual("lpips@vgg", network)
