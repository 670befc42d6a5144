"""LPIPS (Zhang et al. 2018), where the user has its weights: nothing is downloaded."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.errors import BadInput
from benchmarks.synthesis.extractors import BATCH, file_hash, load, weights


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
    """LPIPS on VGG-16, named by the hash of the file its weights are from; None for None.

    The file holds torchvision's VGG-16, to which the package adds its own linear layers, or all of the package's
    `LPIPS(net="vgg")`, each as a state_dict. Raises BadInput where the package is not installed or the file is unfit.
    """
    if path is None:
        return None
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise BadInput(
            f"suite.lpips={path}: needs the package lpips. `pip install -e '.[perceptual]'`, or leave suite.lpips out."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how it calls torchvision is deprecated
        network = LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    expected = 'torchvision\'s vgg16, such as vgg16-397923af.pth, or of lpips.LPIPS(net="vgg")'
    given = weights(path, "suite.lpips", expected)
    if "features.0.weight" in given:
        # net.slice2.5.weight of the package is features.5.weight of torchvision.
        own = network.state_dict()
        places = {name: f"features.{name.split('.', 2)[2]}" for name in own if name.startswith("net.")}
        given = own | {name: given[place] for name, place in places.items() if place in given}
    load(network, given, path, "suite.lpips", expected)
    return Perceptual(f"lpips@vgg-{file_hash(path)}", network)
