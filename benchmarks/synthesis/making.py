"""Images made by a trained method from the maps of a data set, a chunk of cases at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import console
from benchmarks.console import Report
from benchmarks.seeding import generator_for
from benchmarks.store.files import there, write_arrays, write_json
from benchmarks.store.syntheses import CHUNK, Syntheses
from benchmarks.synthesis.recipe import Recipe
from benchmarks.testing.evaluate import timed
from datasets.prepared import Prepared
from methods.synthesis.base import LabelMapError, Synthesizer
from methods.synthesis.warping import Warp, warped

BATCH = {2: 8, 3: 1}
"""Images and volumes that are sampled together."""
NAMED = 10
"""Cases left out that are named, at most."""
ATTEMPTS = 10
"""Warps that are drawn before a map is taken as it is."""


class Order(NamedTuple):
    """One image to be made: of the case at this index of the data set, with its map warped or not."""

    index: int
    id: str
    warped: bool


def orders(data: Prepared, recipe: Recipe) -> tuple[list[Order], list[str]]:
    """What is to be made, copy by copy, and the ids of the cases left out because they show no structure."""
    cases = data.split[recipe.split]
    if recipe.most is not None and recipe.most < len(cases):
        cases = cases[np.linspace(0, len(cases) - 1, recipe.most).round().astype(int)]
    shown = {int(index): bool(data.batch([index])[1].any()) for index in cases}
    kept = [index for index, any_structure in shown.items() if any_structure]
    if recipe.copies is None:
        named = [Order(index, data.ids[index], False) for index in kept]
    else:
        named = [Order(index, f"{data.ids[index]}~{n}", True) for n in range(recipe.copies) for index in kept]
    return named, [data.ids[index] for index, any_structure in shown.items() if not any_structure]


def make(
    model: Synthesizer, data: Prepared, recipe: Recipe, place: Path, about: dict, device: torch.device, report: Report
) -> None:
    """Make what is missing in the folder `place`; about: what else about.json is to say, the seed among it.

    A case is sampled alike whatever its batch, the number of cases and the steps. Empty maps are left out and named.
    Raises LabelMapError naming the case whose map no image can be made from, and where all maps are empty.
    """
    wanted, left_out = orders(data, recipe)
    if not wanted:
        raise LabelMapError(
            f"{data.name}: the maps of all {len(left_out)} {recipe.split} cases are empty, {left_out[0]} the first; "
            "expected some structure in one or more."
        )
    if left_out:
        names = f"{', '.join(left_out[:NAMED])}{' ...' * (len(left_out) > NAMED)}"
        console.say(f"  {data.name}: no image is made of {len(left_out)} empty {recipe.split} map(s): {names}")
    size = CHUNK[model.spatial_dims]
    parts = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    known = {"split": recipe.split, "steps": recipe.steps, "ids": [one.id for one in wanted], "left_out": left_out}
    known |= {"nfe": model.network_evaluations(recipe.steps), "chunks": len(parts), **model.describe()}
    write_json(place / "about.json", about | known)
    done = 0
    for part, path in zip(parts, Syntheses(place).chunks, strict=True):
        if not there(path):
            report(done, len(wanted), "images")
            batches = list(_batches(model, data, recipe, part, about["seed"], device))
            names = ("images", "maps", "seconds")
            arrays = {name: np.concatenate([found[k] for found in batches]) for k, name in enumerate(names)}
            write_arrays(path, {"ids": np.array([one.id for one in part])} | arrays)
        done += len(part)
        report(done, len(wanted), "images")


def _batches(
    model: Synthesizer, data: Prepared, recipe: Recipe, part: Sequence[Order], seed: int, device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, their maps and the seconds each took."""
    together = BATCH[model.spatial_dims]
    for start in range(0, len(part), together):
        batch = part[start : start + together]
        maps = torch.stack([map_of(model, data, one, recipe.bend) for one in batch])
        generators = [generator_for("synthesis", data.name, one.id, seed) for one in batch]
        names = [f"{data.name}, case {one.id}" for one in batch]
        images, seconds = timed(
            device,
            lambda m=maps, g=generators, n=names: model.synthesize(m.to(device), g, max(recipe.steps, 2), names=n),
        )
        yield images.cpu().numpy(), maps.numpy().astype(np.uint8), np.full(len(batch), seconds / len(batch))


def map_of(model: Synthesizer, data: Prepared, one: Order, bend: float = 0.0) -> Tensor:
    """The map (*S) int64 that an image is made from: the case's own, or one warped from it. A warp that takes every
    structure out of sight is drawn again."""
    image, label = map(torch.from_numpy, data.batch([one.index]))
    own = model.condition(image, label.long())[0]
    random = generator_for("warp", data.name, one.id)
    for _ in range(ATTEMPTS if one.warped else 0):
        found = warped(own, model.classes, random, Warp(bend=bend))
        if ((found > 0) & (found < model.classes)).any():
            return found
    return own
