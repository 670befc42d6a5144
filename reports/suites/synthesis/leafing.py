"""Test cases to leaf through: the map, the real image and what every method made of the map, slice by slice."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Browser, Case, Cell
from reports.suites.synthesis import gallery, scores
from reports.suites.synthesis.gallery import View

QUALITY = 85
"""Of JPEG."""
MOST_SLICES = 240
"""Over all volumes of a data set; where there are more, fewer of each volume's are shown, evenly spread."""
ACROSS = 2
"""The axis across which slices lie, the depth."""


def browser(it: Study, measured: list[str]) -> Browser | None:
    """Every test case whose real image is stored; None where there is none."""
    cases = [case for dataset in measured for case in _cases(it, dataset)]
    return Browser("", ("",), tuple(cases), images=True) if cases else None


def _cases(it: Study, dataset: str) -> list[Case]:
    variants = {it.names[variant]: variant for variant in scores.measured(it.results, dataset)}
    first = {name: scores.judged(it.results, dataset, variant)[0] for name, variant in variants.items()}
    made = {name: one.made.load() for name, one in first.items()}
    remarks = {name: _remarks(scores.of_variant(it.results, dataset, one)) for name, one in variants.items()}
    real = next(iter(first.values())).real
    config = next(view.config.dataset for view in it.results.trials if view.config.dataset.name == dataset)
    colours = gallery.legend(list(config.class_names))
    cases = []
    for case in sorted(real):
        label_map = gallery.with_field(made, case, config.classes)
        views, inside = _slices(label_map.shape, len(real)), (label_map > 0) & (label_map < config.classes)
        cells = {}
        for name, images in made.items():
            image = gallery.image_of(images, case)
            shown = None if image is None else Cell(_pictures(image, views), remarks[name].get(case, ""))
            cells[name] = (shown,)
        maps = tuple(_encoded(gallery.painted(view.of(label_map), config.classes), "PNG") for view in views)
        several = f" of {label_map.shape[ACROSS]}" if label_map.ndim > ACROSS else ""
        cases.append(
            Case(
                dataset, case, tuple(config.class_names), (_pictures(real[case], views),), maps, cells,
                tuple(f"slice {view.place + 1}{several}" if several else "" for view in views),
                int(np.argmax([view.of(inside).sum() for view in views])),
                tuple(colours if (label_map == config.classes).any() else colours[:-1]),
            )
        )  # fmt: skip
    return cases


def _remarks(records: pd.DataFrame) -> dict[str, str]:
    """What is said of each case's image by the first training."""
    first = records[records["seed"] == records["seed"].min()]
    copied = first["nearest"] < scores.COPY
    said = [f"SSIM {words.number(ssim)}{', a copy' * copy}" for ssim, copy in zip(first["ssim"], copied)]
    return dict(zip(first["case"].astype(str), said))


def _slices(shape: tuple[int, ...], volumes: int) -> list[View]:
    """Of an image (h, w) the whole; of one of so many volumes slices across the depth."""
    if len(shape) <= ACROSS:
        return [View()]
    count = min(shape[ACROSS], max(1, MOST_SLICES // volumes))
    return [View(ACROSS, int(place)) for place in np.linspace(0, shape[ACROSS] - 1, count).round()]


def _pictures(image: np.ndarray, views: list[View]) -> tuple[bytes, ...]:
    """Of an image (C, *S) in [-1, 1]."""
    return tuple(_encoded(gallery.grey(view.of(image)), "JPEG") for view in views)


def _encoded(picture: np.ndarray, form: str) -> bytes:
    """A picture (h, w, 3) in [0, 1]; as PNG in a palette, as JPEG with all of its colours."""
    file, image = io.BytesIO(), Image.fromarray((picture * 255).round().astype(np.uint8))
    if form == "PNG":
        image.quantize().save(file, form)
    else:
        image.save(file, form, quality=QUALITY, subsampling=0)
    return file.getvalue()
