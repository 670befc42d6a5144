"""The figures of suite=synthesis: what methods made of a few maps, and what the number of steps changes."""

from pathlib import Path

import numpy as np

from benchmarks.store.config import TrialConfig
from benchmarks.store.syntheses import Judged, Made
from reports.numbers.curves import Variant
from reports.numbers.study import Study
from reports.paper import style, words
from reports.paper.document import Block, Figure
from reports.suites.synthesis import gallery, scores
from reports.suites.synthesis.gallery import View

VOLUMES = 2
"""Volumes that are shown, each by three slices."""


def config_of(it: Study, one: Judged) -> TrialConfig:
    """The configuration of the trial that made these images."""
    return next(view.config for view in it.results.trials if view.key == one.trial)


def by_method(it: Study, dataset: str, folder: Path) -> list[Block]:
    """Map, real image and one image by each method of its first seed, a column each case or slice; drawn into
    `folder`/figures. Nothing where no real images are stored."""
    found = {
        variant: scores.judged(it.results, dataset, variant)[0] for variant in scores.measured(it.results, dataset)
    }
    if not found or not (real := next(iter(found.values())).real):
        return []
    cases = list(real)
    made = {it.names[variant]: one.made.load() for variant, one in found.items()}
    config = config_of(it, next(iter(found.values()))).dataset
    places, titles, volumes = _columns(_maps(made, config.classes), cases, config.classes)
    rows = {
        "map": [
            gallery.painted(view.of(_with_field(made, case, config.classes)), config.classes) for case, view in places
        ]
    }
    rows["real"] = [gallery.grey(view.of(real[case])) for case, view in places]
    rows |= {name: [_shown(one, case, view) for case, view in places] for name, one in made.items()}
    field = any((one.maps == config.classes).any() for one in made.values())
    name = f"gallery_{dataset}"
    style.save(gallery.draw(titles, rows, list(config.class_names), field), folder, name)
    what = "three orthogonal slices of each volume" if volumes else "a column each test case"
    caption = (
        f"{dataset}: label maps of test cases, the real images they belong to, and what each method's first training "
        f"made of the maps, {what}."
    )
    return [Figure(name, caption, f"Rows of maps, real images and images by {words.listing(made)} on {dataset}.")]


def by_steps(it: Study, dataset: str, folder: Path) -> list[Block]:
    """What each method with steps makes of the same maps in how many; drawn into `folder`/figures."""
    blocks: list[Block] = []
    for variant in dict.fromkeys(Variant(v.method, v.title) for v in scores.measured(it.results, dataset)):
        steps = sorted({one.steps for one in it.results.syntheses if one.shown})
        sampled = {k: Variant(variant.method, variant.title, k) for k in steps}
        found = {k: shown[0] for k, one in sampled.items() if (shown := scores.judged(it.results, dataset, one, True))}
        if len(found) < 2:
            continue
        made = {f"{k} steps": one.made.load() for k, one in found.items()}
        config = config_of(it, next(iter(found.values()))).dataset
        cases = next(iter(made.values())).ids.astype(str).tolist()
        places, titles, _ = _columns(_maps(made, config.classes), cases, config.classes)
        rows = {
            "map": [
                gallery.painted(view.of(_with_field(made, case, config.classes)), config.classes)
                for case, view in places
            ]
        }
        rows |= {name: [_shown(one, case, view) for case, view in places] for name, one in made.items()}
        field = any((one.maps == config.classes).any() for one in made.values())
        name = f"gallery_steps_{dataset}_{variant.method}"
        style.save(gallery.draw(titles, rows, list(config.class_names), field), folder, name)
        caption = f"{variant.title} on {dataset}, first training: the same maps and noise, sampled in so many steps."
        blocks.append(Figure(name, caption, f"Rows of images by the number of steps: {words.listing(made)}."))
    return blocks


def _columns(
    maps: dict[str, np.ndarray], cases: list[str], classes: int
) -> tuple[list[tuple[str, View]], list[str], bool]:
    """Case and view of every column with its title, and whether these are volumes."""
    volumes = next(iter(maps.values())).ndim == 3
    shown = cases[:VOLUMES] if volumes else cases
    places = [(case, view) for case in shown for view in gallery.views(maps[case], classes)]
    titles = [f"{case}\n{'first second third'.split()[view.axis]} axis" if view.axis is not None else case
              for case, view in places]  # fmt: skip
    return places, titles, volumes


def _maps(made: dict[str, Made], classes: int) -> dict[str, np.ndarray]:
    """The map of each case that was made from."""
    return {case: label for one in made.values() for case, label in zip(one.ids.astype(str).tolist(), one.maps)}


def _with_field(made: dict[str, Made], case: str, classes: int) -> np.ndarray:
    """A case's map, with the field of view where a method's maps have it."""
    found = [one.maps[place] for one in made.values() for place in np.flatnonzero(one.ids.astype(str) == case)]
    return next((label for label in found if (label == classes).any()), found[0])


def _shown(made: Made, case: str, view: View) -> np.ndarray | None:
    place = np.flatnonzero(made.ids.astype(str) == case)
    return gallery.grey(view.of(made.images[place[0]])) if len(place) else None
