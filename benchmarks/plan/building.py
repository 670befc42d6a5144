"""From the name of a method to its class and its untrained network."""

from hydra.utils import get_class

from benchmarks.errors import BadInput
from benchmarks.store.config import DatasetConfig, MethodConfig
from methods.base import Segmenter


def method_class(method: MethodConfig) -> type[Segmenter]:
    """The class of conf/method/NAME.yaml. Raises BadInput where it cannot be imported or is no Segmenter."""
    key = f"method.{method.name}._target_={method.target}"
    try:
        found = get_class(method.target)
    except Exception as error:  # importing a user's module can raise anything
        raise BadInput(f"{key}: cannot be imported ({error.__cause__ or error}). Expected package.Class.") from error
    if not issubclass(found, Segmenter):
        raise BadInput(f"{key}: expected a subclass of methods.base.Segmenter.")
    return found


def build(method: MethodConfig, dataset: DatasetConfig) -> Segmenter:
    """The untrained network of a method for a data set whose channels and classes are known. Raises BadInput naming
    the method where its arguments do not fit."""
    try:
        return method_class(method)(
            spatial_dims=len(dataset.image_size),
            in_channels=dataset.channels,
            classes=dataset.classes,
            image_size=tuple(dataset.image_size),
            **method.arguments,
        )
    except (ValueError, TypeError) as error:
        raise BadInput(f"method.{method.name} on {dataset.name}: {error}") from error


def reason_against(method: MethodConfig, dataset: DatasetConfig) -> str | None:
    """Why a method cannot run on such data, in words for the report; None where it can."""
    return method_class(method).supports(len(dataset.image_size), dataset.classes, **method.arguments)
