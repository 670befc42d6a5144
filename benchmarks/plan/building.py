"""From the name of a method to its class and its untrained network.

What a plan has to know of a class is kept, since PyTorch and the libraries of networks take seconds to import:
runs/cache/methods/HASH.json     of a class, its `Traits`; of a network that was built once, why it cannot be
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BadInput
from benchmarks.plan import classes, identity
from benchmarks.store.config import DatasetConfig, MethodConfig
from benchmarks.store.files import made_once

if TYPE_CHECKING:
    from methods.base import Segmenter
    from methods.synthesis.base import Synthesizer

LIBRARIES = ("torch", "monai")
"""Those whose release decides whether a network can be built."""


@dataclass(frozen=True)
class Traits:
    """What a plan and a report have to know of a method's class: its name, the version of its code, whether it samples
    (Segmenter.generative), whether it says how its diffusion is shown (Segmenter.process), and whether it makes images
    from label maps (Synthesizer) instead of the other way round."""

    name: str
    code: str
    generative: bool
    shown: bool
    synthesizer: bool = False


def traits(method: MethodConfig, cache: Path, keep: bool = True) -> Traits:
    """Of the class of a method, from `cache` where its code is what it was; keep: whether to put it there. Raises
    BadInput as `method_class`."""
    module = method.target.rpartition(".")[0] if isinstance(method.target, str) else ""
    asked = [method.target, identity.module_version(module) if module else "", version("torch")]
    path = cache / "methods" / f"{identity.digest(asked)}.json"
    return Traits(**made_once(path, lambda: asdict(traits_of(method_class(method))), keep))


def synthesizes(method: MethodConfig, cache: Path, keep: bool = False) -> bool:
    """Whether a method makes images from label maps; keep: as of `traits`. Raises BadInput as `method_class`."""
    module = method.target.rpartition(".")[0] if isinstance(method.target, str) else ""
    if module.startswith("methods.") and identity.spec_of(module):  # where it stands says it without importing PyTorch
        return module.startswith("methods.synthesis.")
    return traits(method, cache, keep).synthesizer


def traits_of(kind: type[Segmenter] | type[Synthesizer]) -> Traits:
    """Of a class that is there."""
    from methods.base import Segmenter

    shown = issubclass(kind, Segmenter) and kind.process is not Segmenter.process
    makes = not issubclass(kind, Segmenter)
    return Traits(kind.__name__, identity.code_version(kind), kind.generative, shown, makes)


def method_class(method: MethodConfig) -> type[Segmenter] | type[Synthesizer]:
    """The class of conf/method/NAME.yaml. Raises BadInput where it cannot be imported or is neither a Segmenter nor a
    Synthesizer."""
    from methods.base import Segmenter
    from methods.synthesis.base import Synthesizer

    return classes.named_class(f"method.{method.name}._target_", method.target, Segmenter, Synthesizer)


def build(method: MethodConfig, dataset: DatasetConfig) -> Segmenter | Synthesizer:
    """The untrained network of a method for a data set whose channels and classes are known. Raises BadInput naming
    the method where its arguments do not fit."""
    kind = _checked(method)
    try:
        return kind(
            spatial_dims=len(dataset.image_size),
            in_channels=dataset.channels,  # type: ignore[arg-type]
            classes=dataset.classes,
            image_size=tuple(dataset.image_size),
            **method.arguments,
        )
    except Exception as error:  # networks find out in many ways that a width or depth cannot be
        words = str(error) if isinstance(error, ValueError | TypeError) else f"{type(error).__name__}: {error}"
        raise BadInput(f"method.{method.name} on {dataset.name}: {words}") from error


def _checked(method: MethodConfig) -> type[Segmenter] | type[Synthesizer]:
    """The class of a method whose arguments have the types it asks for. Raises BadInput."""
    kind = method_class(method)
    classes.check_arguments(f"method.{method.name}", kind, method.arguments)
    return kind


def reason_against(method: MethodConfig, dataset: DatasetConfig) -> str | None:
    """Why a method cannot run on such data, in words for the report; None where it can."""
    return _checked(method).supports(len(dataset.image_size), dataset.classes, **method.arguments)


def tried(method: MethodConfig, dataset: DatasetConfig, code: str, cache: Path) -> str | None:
    """The same, the method built once where nothing is against it; what came of it is kept in `cache`, since building
    takes the libraries of networks, which take seconds to import. `code`: version of the method's code.

    Raises BadInput naming the method where its arguments do not fit.
    """
    asked = [method.target, method.arguments, code, dataset.image_size, dataset.channels, dataset.classes,
             *map(version, LIBRARIES)]  # fmt: skip
    path = cache / "methods" / f"{identity.digest(asked)}.json"

    def attempt() -> dict:
        declined = reason_against(method, dataset)
        if declined is None:
            build(method, dataset)
        return {"declined": declined}

    return made_once(path, attempt)["declined"]
