"""Control: the training image whose map overlaps best. Perfect pictures, of which a segmenter can learn nothing new."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from methods.synthesis.base import Synthesizer, scaled


class Replay(Synthesizer):
    """For each map the training image whose own map has the highest mean Dice with it; of equals the first.

    Nothing is learnt. `prepare_stage` keeps the training images, scaled to [-1, 1], and their maps as buffers: its
    weights are the training data and must not be passed on where those must not. What it returns fits its map as well
    as the best case there is, so a segmenter trained on it pays for labels that are not quite the image's. See
    `Synthesizer` for the arguments.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], field: bool = True
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, field)
        self.register_buffer("images", torch.zeros(0, in_channels, *self.image_size))
        self.register_buffer("maps", torch.zeros(0, *self.image_size, dtype=torch.uint8))

    @torch.no_grad()
    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Keep every training image with its map. See `Segmenter.prepare_stage`."""
        pairs = [(scaled(image), self.condition(image, label).byte()) for image, label in batches]
        self.images, self.maps = (torch.cat(parts) for parts in zip(*pairs, strict=True))

    def sample(self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int) -> Tensor:
        """Training images; nothing is drawn and `steps` mean nothing. Raises ValueError before any training."""
        if not len(self.images):
            raise ValueError("replay holds no training images yet: train it, or load the weights of a training.")
        return self.images[[self.nearest(one) for one in label_map]]

    def nearest(self, label_map: Tensor) -> int:
        """Index of the stored map with the highest mean Dice over the structures of either, for one map (*spatial).

        Maps without structures in common tell nothing apart but by their field, which counts as one more structure.
        """
        scores, structures = torch.zeros(len(self.maps)), torch.zeros(len(self.maps))
        for code in range(1, self.codes):
            mine = (label_map == code).to(self.maps.device).flatten()
            theirs = (self.maps == code).flatten(1)
            sizes = (mine.sum() + theirs.sum(1)).cpu()
            scores += torch.where(sizes > 0, 2 * (mine & theirs).sum(1).cpu() / sizes.clamp(min=1), 0)
            structures += sizes > 0
        return int((scores / structures.clamp(min=1)).argmax())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Make room for as many images as were stored."""
        for name in ("images", "maps"):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)
