"""The synthetic training images: who made them, what they cost, and how they look."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.syntheses import Judged
from reports.numbers.study import Study
from reports.paper import style, words
from reports.paper.document import Block, Figure, Heading, Table
from reports.suites.synthesis import gallery
from reports.suites.synthetic_training.probe import makers

SHOWN = 4
"""Training images in a picture; of volumes one, by three slices."""


def section(it: Study, folder: Path) -> list[Block]:
    """A table of makers and a picture for each data set; nothing where nothing was made."""
    made = [one for one in it.results.syntheses if one.made.about.get("split") == "train" and one.made.complete()]
    if not made:
        return []
    return [Heading("Synthetic training images"), _table(made), *_pictures(it, made, folder)]


def _table(made: list[Judged]) -> Table:
    rows, data = [], []
    for one in made:
        about, seconds = one.made.about, one.made.load().seconds
        each = float(np.median(seconds))
        images = len(about["ids"])
        left_out = len(about["left_out"])
        rows.append(
            [about["dataset"], about["method"], str(about["seed"]), words.quantity(about["parameters"]),
             f"`{about['weights']}`", str(about["nfe"]), str(images), str(left_out), words.duration(each),
             words.duration(float(seconds.sum()))]
        )  # fmt: skip
        data.append(
            {key: about[key] for key in ("dataset", "method", "seed", "trial", "parameters", "weights", "nfe")}
            | {"images": images, "left_out": left_out, "seconds_median": each, "seconds": float(seconds.sum())}
        )
    heads = ["data set", "maker", "seed", "parameters", "weights", "NFE", "images", "maps left out", "per image", "all"]
    caption = (
        "Makers of the training images. Weights: the beginning of the hash of all of them. NFE: evaluations of the "
        "main network for one image. Maps left out: without any structure. Time of an image in a batch, and of all."
    )
    return Table("makers", caption, pd.DataFrame(rows, columns=heads), pd.DataFrame(data))


def _pictures(it: Study, made: list[Judged], folder: Path) -> list[Block]:
    blocks: list[Block] = []
    for dataset in it.datasets:
        own = [one for one in made if one.made.about["dataset"] == dataset]
        first = {one.made.about["method"]: one for one in reversed(own)}
        if not own:
            continue
        config = next(view.config.dataset for view in it.results.trials if view.config.dataset.name == dataset)
        rows: dict[str, list[np.ndarray | None]] = {}
        titles: list[str] = []
        field, named = False, makers(it, dataset)
        for key, one in reversed(first.items()):
            method = named.get(key, key)
            images = one.made.load()
            places = np.linspace(0, len(images.ids) - 1, SHOWN if images.maps.ndim == 3 else 1).astype(int)
            views = [(place, view) for place in places for view in gallery.views(images.maps[place], config.classes)]
            titles = [str(images.ids[place]) for place, _ in views]
            rows[f"map, {method}"] = [gallery.painted(v.of(images.maps[k]), config.classes) for k, v in views]
            rows[method] = [gallery.grey(v.of(images.images[k])) for k, v in views]
            field |= bool((images.maps == config.classes).any())
        name = f"training_images_{dataset}"
        style.save(gallery.draw(titles, rows, list(config.class_names), field), folder, name)
        caption = f"{dataset}: synthetic training images and the warped maps they were made from, first seeds."
        makes = words.listing([named.get(key, key) for key in first])
        blocks.append(Figure(name, caption, f"Rows of warped maps and images by {makes}."))
    return blocks
