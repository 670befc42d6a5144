"""Where features of images come from: named, so that nobody compares distances in different ones."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.errors import BadInput
from benchmarks.seeding import generator_for
from benchmarks.store.sums import sha256
from methods.base import Segmenter
from methods.sampling import Sampling

WIDTHS = (16, 32, 64)
"""Channels of the random network, each layer halving the grid."""
BATCH = 16
INCEPTION_SIZE = 299
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the images that Inception was trained on."""


@dataclass(frozen=True)
class Extractor:
    """name: as it stands behind the @ of a metric; about: what it is, for the report; features: from images (B, C, *S)
    in [-1, 1] to (B, F); planes: whether it takes volumes plane by plane."""

    name: str
    about: str
    features: Callable[[Tensor], Tensor]
    planes: bool = False

    def metric(self, spatial_dims: int) -> str:
        """The name of the Fréchet distance: 3dfid of whole volumes, else fid."""
        return f"{'3dfid' if spatial_dims == 3 and not self.planes else 'fid'}@{self.name}"

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float64 (N, F) of images float32 (N, C, *S); of volumes taken in planes a row each plane across the
        last axis (N x planes, F)."""
        tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
        if self.planes and tensor.ndim == 5:
            tensor = tensor.permute(0, 4, 1, 2, 3).flatten(0, 1)
        return torch.cat([self.features(part) for part in tensor.split(BATCH)]).double().numpy()


def random_network(spatial_dims: int, channels: int, seed: int = 0, planes: bool = False) -> Extractor:
    """An untrained network of three convolutions whose weights follow from the seed, its last maps averaged: random
    features tell distributions apart, if less like an observer than trained ones (Naeem et al. 2020, section 4)."""
    dims = 2 if planes else spatial_dims
    convolution = (nn.Conv2d, nn.Conv3d)[dims - 2]
    random, layers, inside = generator_for("extractor", dims, channels, seed), [], channels
    for width in WIDTHS:
        layer = convolution(inside, width, 3, stride=2, padding=1)
        with torch.no_grad():
            deviation = (2 / (inside * 3**dims)) ** 0.5
            layer.weight.copy_(deviation * torch.randn(layer.weight.shape, generator=random))
            layer.bias.copy_(0.1 * torch.randn(layer.bias.shape, generator=random))
        layers += [layer, nn.LeakyReLU(0.2)]
        inside = width
    network = nn.Sequential(*layers).eval()
    words = f"a fixed random network of {len(WIDTHS)} convolutions, seed {seed}"
    if planes:
        words += ", plane by plane"
    return Extractor(f"random-seed{seed}", words, lambda x: network(x).flatten(2).mean(2), planes)


def own_encoder(model: Segmenter, title: str) -> Extractor:
    """The bottleneck of a segmenter that was trained on the real training images, averaged over space: the output of
    the last convolution on the coarsest grid of its first evaluation. title: of the method."""
    weights = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        weights.update(
            name.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    short = weights.hexdigest()[:8]

    def features(images: Tensor) -> Tensor:
        seen: list[Tensor] = []

        def keep(module: nn.Module, given: tuple, found: Tensor) -> None:
            if found.ndim == images.ndim and len(found) == len(images):
                seen.append(found)

        hooks = [m.register_forward_hook(keep) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
        try:
            generators = [generator_for("extractor") for _ in images]
            model.segment((images + 1) / 2, Sampling(2), generators)
        finally:
            for hook in hooks:
                hook.remove()
        # Convolutions that pool the whole image to a voxel, as in squeeze and excitation, are no bottleneck.
        grids = [found for found in seen if found.flatten(2).shape[2] > 1] or seen
        if not grids:
            raise BadInput(f"suite.segmenter: {title} has no convolution whose output could be features. Take resunet.")
        coarsest = min(found.flatten(2).shape[2] for found in grids)
        first = [found for found in grids if found.flatten(2).shape[2] == coarsest]
        return first[-1].flatten(2).mean(2)

    about = f"the pooled bottleneck of {title} trained on the real training images, weights {short}"
    return Extractor(f"own-encoder-{short}", about, features)


def inception(path: Path) -> Extractor:
    """Inception v3 as torchvision has it, weights from a file of the user's, its 2048 features before the classifier.
    It is named by the hash of that file. Raises BadInput for a file that does not hold them."""
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    expected = "torchvision's inception_v3, such as inception_v3_google-0cc3c7bd.pth"
    load(network, weights(path, "suite.inception", expected), path, "suite.inception", expected)
    network.fc = nn.Identity()
    network.eval()
    mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in IMAGENET)

    def features(images: Tensor) -> Tensor:
        colour = images if images.shape[1] == 3 else images[:, :1].expand(-1, 3, -1, -1)
        size = [INCEPTION_SIZE] * 2
        large = functional.interpolate((colour + 1) / 2, size, mode="bilinear", antialias=True, align_corners=False)
        return network((large - mean) / deviation)

    short = file_hash(path)
    return Extractor(
        f"inception-{short}", f"Inception v3 of torchvision, weights {short} (`{path.name}`)", features, planes=True
    )


def file_hash(path: Path) -> str:
    """The beginning of the SHA-256 of a file, by which what is measured with it is named. torchvision's own files have
    it in their names."""
    return sha256(path)[:8]


def weights(path: Path, key: str, expected: str) -> dict[str, Tensor]:
    """The state_dict in a file. Raises BadInput that names the key and the file where there is none."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise TypeError(f"holds a {type(found).__name__}")
    except Exception as error:  # a file can be unfit in many ways
        raise _unfit(path, key, expected, error) from error
    return found


def load(network: nn.Module, state: dict[str, Tensor], path: Path, key: str, expected: str) -> None:
    """Put the weights of a file into a network. Raises BadInput that names the key and the file where they do not
    fit."""
    try:
        network.load_state_dict(state)
    except Exception as error:
        raise _unfit(path, key, expected, error) from error


def _unfit(path: Path, key: str, expected: str, error: Exception) -> BadInput:
    return BadInput(f"{key}={path}: {' '.join(str(error).split())[:300]}. Expected the weights of {expected}.")


def extractors(spatial_dims: int, channels: int, own: Sequence[Extractor], file: Path | None) -> list[Extractor]:
    """All that a data set is judged by: the random network (of volumes whole and plane by plane), the suite's own, and
    Inception where a file of its weights is there."""
    found = [random_network(spatial_dims, channels), *own]
    if spatial_dims == 3:
        found.insert(1, random_network(spatial_dims, channels, planes=True))
    return [*found, *([inception(file)] if file else [])]
