"""action=segment: new images through a trained method, without the data it was trained on."""

from importlib.metadata import version
from pathlib import Path

import torch
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.prediction.output import Output
from benchmarks.prediction.segmenting import segmented
from benchmarks.prediction.trained import Trained, load, trial
from datasets.base import DataError
from datasets.unlabelled import Files, Reading, check, found, read


def segment(config: DictConfig) -> int:
    """Write masks, overlays and maps of uncertainty of `input` to `output`; returns the exit status. Raises BadInput
    for weights, images and settings that cannot be used, before the first image is segmented, and CannotWrite."""
    given, target = _place(config, "input"), _place(config, "output")
    if target.exists() and not target.is_dir():
        raise BadInput(f"output={target}: is a file, expected a folder to write to.")
    if given.resolve() == target.resolve():
        raise BadInput(f"output={target}: is the folder of the images, expected another one.")
    if not isinstance(config.pattern, str | None):
        raise BadInput(f"pattern={config.pattern}: expected a regular expression in quotes, or null.")
    with trial(config) as view:
        dataset = view.config.dataset
        if dataset.channels is None or not dataset.class_names:
            raise BadInput(f"{view.path / 'config.json'}: does not say channels and classes; train this trial again.")
        how = Reading(len(dataset.image_size), dataset.channels, dataset.settings)
        try:
            images = found(given, "input", how.spatial_dims, config.pattern)
            for image in images:
                check(image, how)
        except DataError as error:
            raise BadInput(str(error)) from error
        it = load(view, config)
    out, rows = Output(target, dataset.class_names), []
    try:
        with console.task(f"{it.key}: segmenting") as report:
            for done, image in enumerate(images):
                report(done, len(images), image.name)
                content = read(image, how)
                rows += out.write(image.name, content, segmented(it, image.name, content.image))
            report(len(images), len(images), "done")
    except DataError as error:
        raise BadInput(str(error)) from error
    out.finish(rows, _about(it, images))
    console.say(f"{len(images)} image(s) segmented: {target / 'masks'}; areas or volumes in {target / 'sizes.csv'}")
    return 0


def _place(config: DictConfig, key: str) -> Path:
    value = config[key]
    if not isinstance(value, str) or not value:
        expected = "a file or folder of images" if key == "input" else "a folder to write to"
        raise BadInput(f"{key}={value}: expected {expected}: action=segment weights=TRIAL input=IMAGES output=DIR.")
    return Path(value)


def _about(it: Trained, images: list[Files]) -> dict:
    """What made the masks: enough to make them again."""
    sampling = it.sampling
    return {
        "trial": it.key,
        "weights_sha256": it.weights,
        "method": it.config.method.label,
        "dataset": it.config.dataset.name,
        "image_size": list(it.config.dataset.image_size),
        "other_code": it.changed,
        "sampling": None if sampling is None else vars(sampling) | {"samples": it.samples},
        "network_evaluations": it.samples * it.model.network_evaluations(sampling) if sampling else 1,
        "images": [str(image.where) for image in images],
        "device": str(it.device),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "monai")},
    }
