"""The synthetic training images: who made them, what they cost, and how they look."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.syntheses import Judged, Made
from reports.numbers.study import Study
from reports.paper import style, words
from reports.paper.document import Block, Figure, Heading, Table
from reports.suites.synthesis import gallery
from reports.suites.synthesis.figures import AXES

SHOWN = 4
"""Training images in a picture; of volumes one, by three slices."""


def section(it: Study, folder: Path) -> list[Block]:
    """A table of makers and a picture for each data set; nothing where nothing was made."""
    made = [one for one in it.results.syntheses if one.made.about.get("split") == "train" and one.made.complete()]
    if not made:
        return []
    return [Heading("Synthetic training images"), _table(it, made), *_pictures(it, made, folder)]


def _table(it: Study, made: list[Judged]) -> Table:
    rows, data = [], []
    for one in made:
        maker = it.results.suite["makers"][one.trial]
        about, seconds = one.made.about, one.made.load().seconds
        each = float(np.median(seconds))
        images = len(about["ids"])
        left_out = len(about["left_out"])
        rows.append(
            [about["dataset"], maker["title"], str(about["seed"]), words.quantity(about["parameters"]),
             f"`{about['weights']}`", words.duration(maker["training_seconds"]), str(about["nfe"]), str(images),
             str(left_out), words.duration(each),
             words.duration(float(seconds.sum()))]
        )  # fmt: skip
        data.append(
            {key: about[key] for key in ("dataset", "method", "seed", "trial", "parameters", "weights", "nfe")}
            | {
                "training_seconds": maker["training_seconds"],
                "images": images,
                "left_out": left_out,
                "seconds_median": each,
                "seconds": float(seconds.sum()),
            }
        )
    heads = ["data set", "maker", "seed", "parameters", "weights", "training", "NFE", "images", "maps left out"]
    heads += ["per image", "all"]
    caption = (
        "Makers of the training images. Weights: the beginning of the hash of all of them. NFE: evaluations of the "
        "main network for one image. Maps left out: without any structure. Time of an image in a batch, and of all."
    )
    return Table("makers", caption, pd.DataFrame(rows, columns=heads), pd.DataFrame(data))


def _pictures(it: Study, made: list[Judged], folder: Path) -> list[Block]:
    blocks: list[Block] = []
    for dataset in it.datasets:
        own = [one for one in made if one.made.about["dataset"] == dataset]
        first = {it.results.suite["makers"][one.trial]["title"]: one for one in reversed(own)}
        if not own or not any(one.made.about["ids"] for one in own):
            continue
        config = next(view.config.dataset for view in it.results.trials if view.config.dataset.name == dataset)
        loaded = {title: one.made.load() for title, one in reversed(first.items())}
        titles, maps, rows = _rows(loaded, config.classes)
        name = f"training_images_{dataset}"
        style.save(gallery.draw(titles, maps, rows, list(config.class_names)), folder, name)
        caption = f"{dataset}: synthetic training images and the warped maps they were made from, first seeds."
        blocks.append(Figure(name, caption, f"Rows of warped maps and images by {words.listing(loaded)}."))
    return blocks


def _rows(
    made: dict[str, Made], classes: int
) -> tuple[list[str], dict[str, list[np.ndarray]], dict[str, list[np.ndarray | None]]]:
    """Titles of the columns, warped maps and what each maker made of them: of a few cases that all have."""
    ids = [set(one.ids.astype(str)) for one in made.values()]
    cases = [case for case in next(iter(made.values())).ids.astype(str).tolist() if all(case in own for own in ids)]
    volumes = next(iter(made.values())).maps.ndim == 4
    shown = dict.fromkeys(cases[k] for k in np.linspace(0, len(cases) - 1, 1 if volumes else SHOWN).astype(int))
    whole = {case: gallery.with_field(made, case, classes) for case in shown}
    places = [(case, view) for case in shown for view in gallery.views(whole[case], classes)]
    own = {case: case.rpartition("~")[0] for case in shown}
    titles = [own[case] if view.axis is None else f"{own[case]}\n{AXES[view.axis]}" for case, view in places]
    maps = {"warped map": [view.of(whole[case]) for case, view in places]}
    rows = {
        name: [
            gallery.grey(view.of(image)) for case, view in places if (image := gallery.image_of(one, case)) is not None
        ]
        for name, one in made.items()
    }
    return titles, maps, rows
