"""The figures of suite=synthesis: what methods made of a few maps, and what the number of steps changes."""

from pathlib import Path

import numpy as np

from benchmarks.store.config import DatasetConfig, TrialConfig
from benchmarks.store.syntheses import Judged, Made
from reports.numbers.curves import Variant
from reports.numbers.study import Study
from reports.paper import style, words
from reports.paper.document import Block, Figure
from reports.suites.synthesis import gallery, scores

VOLUMES = 2
"""Volumes that are shown, each by three slices."""
AXES = ("first axis", "second axis", "third axis")


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
    made = {it.names[variant]: one.made.load() for variant, one in found.items()}
    config = config_of(it, next(iter(found.values()))).dataset
    # Behind those of the figure stand further ones, to leaf through.
    cases = list(real)[: it.results.suite.get("pictures")]
    name = f"gallery_{dataset}"
    _draw(name, made, cases, config, folder, real)
    what = "three orthogonal slices of each volume" if len(config.image_size) == 3 else "a column each test case"
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
        name = f"gallery_steps_{dataset}_{variant.method}"
        cases = next(iter(made.values())).ids.astype(str).tolist()
        _draw(name, made, cases, config_of(it, next(iter(found.values()))).dataset, folder)
        caption = f"{variant.title} on {dataset}, first training: the same maps and noise, sampled in so many steps."
        blocks.append(Figure(name, caption, f"Rows of images by the number of steps: {words.listing(made)}."))
    return blocks


def _draw(
    name: str,
    made: dict[str, Made],
    cases: list[str],
    config: DatasetConfig,
    folder: Path,
    real: dict[str, np.ndarray] | None = None,
) -> None:
    """A row of maps, one of real images where these are given, then one of each method's images."""
    shown = cases[:VOLUMES] if len(config.image_size) == 3 else cases
    maps = {case: gallery.with_field(made, case, config.classes) for case in shown}
    places = [(case, view) for case in shown for view in gallery.views(maps[case], config.classes)]
    titles = [case if view.axis is None else f"{case}\n{AXES[view.axis]}" for case, view in places]
    rows: dict[str, list[np.ndarray | None]] = {}
    if real is not None:
        rows["real"] = [gallery.grey(view.of(real[case])) for case, view in places]
    for method, images in made.items():
        found = [(gallery.image_of(images, case), view) for case, view in places]
        rows[method] = [None if image is None else gallery.grey(view.of(image)) for image, view in found]
    row = {"map": [view.of(maps[case]) for case, view in places]}
    style.save(gallery.draw(titles, row, rows, list(config.class_names)), folder, name)
