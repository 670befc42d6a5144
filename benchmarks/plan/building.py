"""From the name of a method to its class and its untrained network."""

from hydra.utils import get_class

from benchmarks.errors import BadInput
from methods.base import Segmenter

METHOD_NOTES = ("_target_", "title", "summary", "training", "sampling")
DETERMINISTIC = "it gives one segmentation of an image, whatever the seed, so there is no spread to measure"
"""Why a method that is not generative has no part in a suite that samples an image many times."""


def method_class(name: str, target: str) -> type[Segmenter]:
    """The class of conf/method/NAME.yaml. Raises BadInput where it cannot be imported or is no Segmenter."""
    try:
        found = get_class(target)
    except Exception as error:  # importing a user's module can raise anything
        cause = error.__cause__ or error
        raise BadInput(
            f"method.{name}._target_={target}: cannot be imported ({cause}). Expected package.Class."
        ) from error
    if not issubclass(found, Segmenter):
        raise BadInput(f"method.{name}._target_={target}: expected a subclass of methods.base.Segmenter.")
    return found


def arguments(config: dict) -> dict:
    """The constructor's own arguments among the keys of conf/method/NAME.yaml."""
    return {k: v for k, v in config.items() if k not in (*METHOD_NOTES, "name")}


def build(config: dict) -> Segmenter:
    """The untrained network of a trial's config. Raises BadInput naming the method where its arguments do not fit."""
    method, dataset = config["method"], config["dataset"]
    try:
        return method_class(method["name"], method["_target_"])(
            spatial_dims=len(dataset["image_size"]),
            in_channels=dataset["channels"],
            classes=len(dataset["class_names"]) + 1,
            image_size=tuple(dataset["image_size"]),
            **arguments(method),
        )
    except (ValueError, TypeError) as error:
        raise BadInput(f"method.{method['name']} on {dataset['name']}: {error}") from error
