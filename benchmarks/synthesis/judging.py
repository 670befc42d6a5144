"""Synthetic images against the held-out real ones of the same maps, against other real ones, and against those that
the method was trained on."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.seeding import seed_for
from benchmarks.store.syntheses import Made
from benchmarks.synthesis.extractors import Extractor
from benchmarks.synthesis.making import orders
from benchmarks.synthesis.perceptual import Perceptual
from benchmarks.synthesis.quality import nearest, paired, set_scores
from benchmarks.synthesis.recipe import Recipe
from datasets.prepared import Prepared
from methods.synthesis.base import scaled

LEAFED = {2: 24, 3: 6}
"""Images and volumes, all of their slices, to leaf through: with more a page would be too large to be sent round."""


def judge(
    made: Made, data: Prepared, extractors: Sequence[Extractor], perceptual: Perceptual | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Scores of the set, as dictionaries of `SetScore`, and a row per image: case, group, seconds, the `PAIRED` scores
    against the real image of its map and, as NAME_other, of another real image against that one; nearest and
    nearest_real, the distances of the image and of that real one to the nearest training image.

    The other real images are training images drawn at random, as many, the same for every method.
    """
    index = [data.ids.index(case) for case in made.ids.astype(str)]
    real, training = real_images(data, index), real_images(data, data.split["train"])
    random = np.random.default_rng(seed_for("other real images", data.name, len(index)))
    other = training[random.choice(len(training), len(index), replace=len(training) < len(index))]
    images = torch.from_numpy(made.images)
    pairs = paired(images, real) | {f"{name}_other": values for name, values in paired(other, real).items()}
    if perceptual is not None:
        pairs |= {perceptual.name: perceptual(images, real), f"{perceptual.name}_other": perceptual(other, real)}
    pairs |= {"nearest": nearest(images, training), "nearest_real": nearest(real, training), "seconds": made.seconds}
    rows = [
        {"case": data.ids[i], "group": data.groups[i], "subset": data.subsets[i]}
        | {name: float(values[place]) for name, values in pairs.items()}
        for place, i in enumerate(index)
    ]
    scores = [
        asdict(score) | {"extractor": extractor.about}
        for extractor in extractors
        for score in set_scores(
            extractor.metric(len(data.image_size)), *(extractor(part.numpy()) for part in (real, images, other))
        )
    ]
    return scores, rows


def real_images(data: Prepared, indices: Sequence[int] | np.ndarray) -> Tensor:
    """Real images (N, C, *S) on the scale of synthetic ones."""
    return scaled(torch.from_numpy(data.batch(indices)[0]))


def shown(data: Prepared, pictures: int) -> dict[str, np.ndarray]:
    """The real images that synthetic ones are shown beside: ids (n,) and images float32 (n, C, *S) in [-1, 1] of
    `pictures` test cases, and of those that a page has to leaf through, each evenly spread over the test set."""
    most = max(pictures, LEAFED[len(data.image_size)])
    wanted = [one for count in (pictures, most) for one in orders(data, Recipe("test", 0, most=count))[0]]
    wanted = list(dict.fromkeys(wanted))
    return {"ids": np.array([one.id for one in wanted]), "images": real_images(data, [o.index for o in wanted]).numpy()}
