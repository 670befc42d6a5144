"""The interface of the methods that make images from label maps, beside that of the segmenters."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from methods.base import Segmenter
from methods.blocks.intensity import min_max
from methods.synthesis.field import field_of_view


class LabelMapError(ValueError):
    """A label map that no image can be made from. The message names the map, what was found and what to do."""


def scaled(image: Tensor) -> Tensor:
    """Images (B, C, *spatial) on the scale of synthetic ones: each by its own extremes to [-1, 1], a constant one -1.

    What a synthetic image is compared with has to be scaled so, too. Gain and offset drop out.
    """
    return 2 * min_max(image) - 1


def check_maps(
    label_map: Tensor, classes: int, image_size: Sequence[int], field: bool = False, names: Sequence[str] | None = None
) -> None:
    """Raises LabelMapError, naming the map, unless each of (N, *image_size) holds known codes and some structure.

    Codes are 0 (background) to classes - 1 and, with `field`, `classes` for what lies outside the field of view; names:
    of the maps' files or cases, N of them, for the message.
    """
    if label_map.ndim < 1 or not len(label_map):
        raise LabelMapError("label maps: none was given, expected one or more.")
    names = names or [f"label map {number}" for number in range(len(label_map))]
    if label_map.is_floating_point() or label_map.is_complex() or label_map.dtype == torch.bool:
        raise LabelMapError(f"{names[0]}: holds {label_map.dtype}, expected whole numbers that name classes.")
    if tuple(label_map.shape[1:]) != tuple(image_size):
        raise LabelMapError(
            f"{names[0]}: is of size {list(label_map.shape[1:])}, expected {list(image_size)}, the size the method "
            "was trained at. Resample the map by nearest neighbours, or train at its size."
        )
    last = classes - (not field)
    for name, one in zip(names, label_map, strict=True):
        low, high = int(one.min()), int(one.max())
        if low < 0 or high > last:
            outside = f", {last} outside the field of view" if field else ""
            raise LabelMapError(
                f"{name}: holds class {low if low < 0 else high}, expected whole numbers from 0 (background) to "
                f"{last}{outside}. Relabel the map, or train on data that have this class."
            )
        if not ((one > 0) & (one < classes)).any():
            raise LabelMapError(f"{name}: is empty, without any structure; expected one or more. Leave it out.")


class Synthesizer(nn.Module):
    """Base of every method that makes images from label maps. A subclass must define `sample`, and `loss` unless all
    that it knows is measured in `prepare_stage`; everything else has a default.

    It is trained as a `Segmenter` is: by the same runner, in `stages`, from the same batches, with the same optimisers,
    checkpoints and moving average. What follows differs: after each stage the last averaged weights are kept, as the
    sources of these methods do, since no score of a single image says how good a synthetic one is; validation records
    the losses. A stage without parameters ends with its `prepare_stage`.

    spatial_dims: 2 or 3; in_channels: of an image; classes: background included; image_size: one entry per axis.
    field: whether maps also say where the image has no content, such as beyond the sector of an ultrasound image, by
    the code `classes`; a map without that code is of an image that has content everywhere.

    stages:     names of the training stages, in order.
    generative: True when the number of steps means something.
    ema_decay:  decay of the exponential moving average kept by the runner; 0 keeps none.
    """

    stages: tuple[str, ...] = ("train",)
    generative: bool = False
    ema_decay: float = 0.0

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], field: bool = False
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        self.image_size = tuple(image_size)
        if len(self.image_size) != spatial_dims or min(self.image_size) < 1:
            raise ValueError(f"image_size is {self.image_size}, expected {spatial_dims} numbers above 0.")
        self.spatial_dims, self.in_channels, self.classes, self.field = spatial_dims, in_channels, classes, field

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None when the method can run on such data, else the reason why not. See `Segmenter.supports`."""
        return None

    # ---- maps -------------------------------------------------------------------------------------------------------

    @property
    def codes(self) -> int:
        """Number of codes that a map may hold: the classes and, with `field`, one for what lies outside of it."""
        return self.classes + self.field

    def condition(self, image: Tensor, label: Tensor) -> Tensor:
        """The maps (B, *spatial) int64 that these images are to be made from.

        image: (B, C, *spatial) in [0, 1]; label: (B, *spatial) int64 in 0..classes-1, whose background becomes the code
        `classes` outside of the field of view, where the method tells it apart.
        """
        if not self.field:
            return label
        outside = ~field_of_view(image) & (label == 0)
        return torch.where(outside, self.classes, label)

    def labels(self, label_map: Tensor) -> Tensor:
        """The labels (B, *spatial) of images made from such maps: what lies outside the field is background."""
        return torch.where(label_map == self.classes, 0, label_map) if self.field else label_map

    def synthesize(
        self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int, names: Sequence[str] | None = None
    ) -> Tensor:
        """Images (N, C, *spatial) float32 in [-1, 1], the scale of `scaled`.

        label_map: (N, *image_size) of an integer type, codes as `condition` gives them; generators: one CPU generator
        per map, the only source of randomness, so that an image never depends on its batch; steps: grid points from
        T-1 to 0, at least 2, without meaning where the method is not `generative`; names: of the maps, for messages.
        Raises LabelMapError for a map that no image can be made from, ValueError for another number of generators.
        """
        check_maps(label_map, self.classes, self.image_size, self.field, names)
        if len(generators) != len(label_map):
            raise ValueError(f"{len(generators)} generators for {len(label_map)} label maps, expected one for each.")
        with torch.no_grad():
            return self.sample(label_map.long(), generators, steps).float().clamp(-1, 1)

    def sample(self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int) -> Tensor:
        """Images (N, C, *spatial) of maps known to be fit; what exceeds [-1, 1] is clipped. See `synthesize`."""
        raise NotImplementedError

    # ---- training ---------------------------------------------------------------------------------------------------

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Training losses of one batch, of which `total` is minimised; in evaluation mode without gradients those of
        validation. Arguments as in `Segmenter.loss`, the image in [0, 1]."""
        raise NotImplementedError

    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Called once before the first step of each stage. See `Segmenter.prepare_stage`."""

    # As in every segmenter: Adam on all that can be learnt, all of it averaged.
    parameter_groups = Segmenter.parameter_groups
    optimizer = Segmenter.optimizer
    averaged = Segmenter.averaged

    # ---- what reports say -------------------------------------------------------------------------------------------

    def network_evaluations(self, steps: int) -> int:
        """Evaluations of the main network for one image (NFE). The call at t = 0 changes nothing and is not made."""
        return steps - 1 if self.generative else 1

    def describe(self) -> dict[str, str | int | float]:
        """What has to be known of a trained model to read its images: its class, number of parameters and SHA-256 of
        all weights and buffers, shortened; subclasses add how they sample and what else decided their weights."""
        content = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            content.update(name.encode())
            content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        parameters = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return {"class": type(self).__name__, "parameters": parameters, "weights": content.hexdigest()[:12]}
