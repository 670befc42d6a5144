"""GlaS: colon glands in H&E-stained sections (Sirinukunwattana et al. 2017, Medical Image Analysis 35, 489-502)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.files import PICTURES, listing, load_image, load_label, stem
from datasets.splits import held_out

NAME = re.compile(r"(train|testA|testB)_(\d+)")


class Glas(Source):
    """The release's layout: train_N, testA_N and testB_N with NAME_anno, as BMP or any other picture format.

    Instances are merged into one class. The official split is kept: testA and testB are the test part, and
    val_fraction of the training images, chosen by the hash of seed and name, is the validation part. The file names
    tell no patients apart and the official split is by visual field, so each image is its own group.
    """

    name = "glas"
    title = "GlaS: colon glands in H&E sections, 2D, 85 training and 80 test images (files needed)"
    spatial_dims = 2
    channels = 3
    class_names = ("gland",)

    def __init__(
        self,
        root: str | Path,
        val_fraction: float = 0.15,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """root: the folder that holds train_1 and so on. Raises DataError on settings out of range."""
        super().__init__(limit, augmentation, name)
        self.root = Path(root)
        self.val_fraction = val_fraction
        self.seed = seed

    def entries(self) -> list[Entry]:
        """All images that have a mask. Raises DataError when the folder, the images or any mask is missing."""
        files: dict[str, list[Path]] = {}
        for path in listing(self.root, f"dataset.{self.name}.root", PICTURES):
            files.setdefault(stem(path), []).append(path)
        twice = [paths for paths in files.values() if len(paths) > 1]
        if twice:
            raise DataError(f"{twice[0][0]} and {twice[0][1]} are the same case, expected one format. Remove one.")
        images = {key: paths[0] for key, paths in files.items() if NAME.fullmatch(key)}
        if not images:
            raise DataError(
                f"{self.root} holds no image named train_N, testA_N or testB_N ({len(files)} other picture(s) found). "
                f"Expected the GlaS release: set dataset.{self.name}.root to the folder with train_1."
            )
        alone = [images[key] for key in images if f"{key}_anno" not in files]
        if alone:
            named = ", ".join(str(path) for path in alone[:10]) + (" ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} image(s) without a mask: {named}. Expected NAME_anno beside each image, such as "
                f"{stem(alone[0])}_anno{alone[0].suffix}. Add the mask or remove the image."
            )
        validation = held_out((key for key in images if key.startswith("train")), self.val_fraction, self.seed)
        return [
            Entry(key, key, self._split(key, validation), (images[key], files[f"{key}_anno"][0]))
            for key in sorted(images)
        ]

    @staticmethod
    def _split(key: str, validation: set[str]) -> str:
        if key.startswith("test"):
            return "test"
        return "val" if key in validation else "train"

    def read(self, entry: Entry) -> Case:
        """RGB image (3, H, W) and label with 1 for every gland. Raises DataError naming a damaged file."""
        image, _ = load_image(entry.files[0])
        instances = load_label(entry.files[1])
        return Case(entry.id, entry.group, image, (instances > 0).astype(np.int64))
