"""Which values a method uses for the arguments that its configuration leaves to it (null)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BadInput
from benchmarks.plan.building import build
from benchmarks.store.config import DatasetConfig, MethodConfig

if TYPE_CHECKING:
    from torch.nn import Module

PLAIN = (str, bool, int, float)
Plain = dict[str, Any]


def chosen(method: MethodConfig, dataset: DatasetConfig) -> dict[str, Any]:
    """By its name, each argument that is null and the value which, given instead, makes the same network; an argument
    of which no such value is known is left out.

    A value is looked for among the network's attributes, and shown to be the one by building with it, without weights.
    """
    found: dict[str, Any] = {}
    model = _built(method, dataset, {})
    for name, given in method.arguments.items():
        if given is None and model is not None:
            for value in _candidates(model, name, method, dataset):
                if _same(model, _built(method, dataset, {name: value})):
                    found[name] = value
                    break
    return found


def _candidates(model: Module, name: str, method: MethodConfig, dataset: DatasetConfig) -> Iterator[Any]:
    """The attribute of that name; and where an attribute is kept in another unit than the argument has, the argument in
    proportion to it."""
    value = _attributes(model).get(name)
    if not isinstance(value, PLAIN):
        return
    yield value
    if isinstance(value, float) and value > 0:
        other = _built(method, dataset, {name: value})
        scaled = _attributes(other).get(name) if other is not None else None
        if isinstance(scaled, float) and scaled > 0:
            yield float(f"{value * value / scaled:.12g}")


def _built(method: MethodConfig, dataset: DatasetConfig, arguments: Mapping[str, Any]) -> Module | None:
    """The network with other arguments and without weights; None where there is none."""
    import torch

    changed = MethodConfig(method.name, method.target, arguments={**method.arguments, **arguments})
    try:
        with torch.device("meta"):
            return build(changed, dataset)
    except BadInput:
        return None


def _attributes(model: Module) -> Plain:
    """Plain values that the network and its parts of the first level keep, those in mappings by their own names."""
    found: Plain = {}
    for part in (*reversed(list(model.children())), model):
        for name, value in vars(part).items():
            if isinstance(value, Mapping) and not name.startswith("_"):
                found |= {str(key): inner for key, inner in value.items() if isinstance(inner, PLAIN)}
            elif isinstance(value, PLAIN):
                found[name] = value
    return found


def _same(model: Module, other: Module | None) -> bool:
    """Whether two networks have equal attributes, to rounding, and weights of the same shapes."""
    if other is None:
        return False
    one, two = _attributes(model), _attributes(other)
    shapes = [{name: value.shape for name, value in it.state_dict().items()} for it in (model, other)]
    return shapes[0] == shapes[1] and one.keys() == two.keys() and all(_equal(one[k], two[k]) for k in one)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other
