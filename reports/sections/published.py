"""Published values beside ours: published | ours | difference | interval.

What was published, of which method and on which data set, stands in published.yaml and is looked up by the names a
suite has for them: no report names a method or a data set itself.
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from omegaconf import OmegaConf

from benchmarks.store.results import Results
from reports.numbers.curves import POOLED, Curve, Variant
from reports.numbers.statistics import Estimate
from reports.paper import words
from reports.paper.document import Block, Paragraph, Table

FILE = Path(__file__).with_name("published.yaml")
COLUMNS = ["data set", "method", "score", "published on", "published", "ours", "difference", "95 % interval of ours"]


class Cell(NamedTuple):
    """A published score in [0, 1] and ours. name: of the score with its class, as tables have it."""

    name: str
    published: float
    ours: Estimate

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.value - self.published


@lru_cache(maxsize=1)
def load() -> dict:
    """The content of published.yaml."""
    return OmegaConf.to_container(OmegaConf.load(FILE))


def beside(results: Results, dataset: str) -> dict | None:
    """What published.yaml says of a data set: table, same, note; None where nothing was published on its like."""
    known = load()["data_sets"]
    if dataset in known:
        return known[dataset]
    told = next((t.config.dataset.to_json() for t in results.trials if t.config.dataset.name == dataset), {})
    content = json.dumps(told, default=str).lower()
    for place in known.values():
        # One name for several data sets: which of them it is, its settings say.
        if "of" in place and place["of"]["data_set"] == dataset and place["of"]["word"] in content:
            return place
    return None


def measured_on(part: str) -> list[str]:
    """Data sets for which published.yaml has a table in `part`, accuracy or ablation, measured on that very data."""
    return [name for name, place in load()["data_sets"].items() if place["same"] and place["table"] in load()[part]]


def accuracy(
    results: Results, curves: dict[str, list[Curve]], names: dict[Variant, str], sigma: float, part: str = "accuracy"
) -> list[Block]:
    """One table of all data sets with published counterparts, at the sigma of undisturbed images; else nothing.

    part: which tables of published.yaml, accuracy or ablation."""
    rows: list[list[str]] = []
    data: list[dict] = []
    notes: list[str] = []
    for dataset, found in curves.items():
        place = beside(results, dataset)
        if place is None or not found or place["table"] not in load()[part]:
            continue
        table = load()[part][place["table"]]
        notes.append(_note(results, dataset, place, table))
        kind = "same data set" if place["same"] else "context only: other data"
        for curve in found:
            for cell in _cells(table, curve, sigma):
                rows.append(
                    [dataset, names[curve.variant], cell.name, kind, words.number(cell.published, 2),
                     words.number(cell.ours.value), words.signed(cell.difference), words.bounds(cell.ours)]
                )  # fmt: skip
                data.append(
                    {"dataset": dataset, "method": curve.variant.method, "steps": curve.variant.steps,
                     "score": cell.name, "same_data": place["same"], "published": cell.published,
                     "ours": cell.ours.value, "difference": cell.difference, "low": cell.ours.low,
                     "high": cell.ours.high}
                )  # fmt: skip
    if not rows:
        return []
    sources = dict.fromkeys(table["source"] for table in load()[part].values())
    caption = (
        f"Published accuracy beside ours at σ = {sigma:g}. Image sizes and training budgets differ as the notes below "
        f"say. Source: {'; '.join(citation(source) for source in sources)}."
    )
    return [
        Table("published", caption, pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(data)),
        *map(Paragraph, notes),
    ]


def _note(results: Results, dataset: str, place: dict, table: dict) -> str:
    """On what the published values of a data set were measured, and ours."""
    size = results.records.loc[results.records["dataset"] == dataset, "image_size"].iloc[0]
    text = f"{dataset}: published values are those of {table['place']}, {table['data']}; ours were measured at {size}"
    return f"{text}." if place["same"] else f"{text}. {place['note']}: the difference is no measure of reproduction."


def _cells(table: dict, curve: Curve, sigma: float) -> Iterator[Cell]:
    """The scores that a published table has of a variant, as far as they were measured on the same structures."""
    published = table["methods"].get(curve.variant.method)
    if published is None or curve.at(sigma) is None:
        return
    own = {name.lower(): name for name in curve.classes}
    # Pooled over other structures than ours (CAMUS with the wall of the ventricle) it would be another score.
    structures = {name for _, name in table["columns"].values() if name != POOLED}
    poolable = len(curve.classes) == max(1, len(structures))
    for (metric, name), value in zip(table["columns"].values(), published):
        if not poolable if name == POOLED else name.lower() not in own:
            continue
        ours = curve.mean(sigma, metric, own.get(name.lower(), POOLED))
        label = "pooled" if name == POOLED and len(curve.classes) > 1 else own.get(name.lower(), "")
        yield Cell(f"{metric.upper() if metric == 'dsc' else 'IoU'} {label}".strip(), value, ours)


def dsc(results: Results, curve: Curve) -> float | None:
    """Published pooled DSC of a method where it was measured on this very data set, else None."""
    place = beside(results, curve.dataset)
    if place is None or not place["same"]:
        return None
    table = load()["accuracy"][place["table"]]
    values = table["methods"].get(curve.variant.method)
    return None if values is None else dict(zip(map(tuple, table["columns"].values()), values)).get(("dsc", POOLED))


def runtime(dataset: str, method: str) -> dict | None:
    """Published times of a method on the like of a data set: name, size, seconds by number of steps, place, hardware,
    citation, reduction (time with most steps divided by that with fewest); None where nothing was published."""
    found = load()["runtime"]
    table = found["tables"].get(found["data_sets"].get(dataset), {})
    if method not in table.get("methods", {}):
        return None
    about = {key: found[key] for key in ("place", "hardware", "reduction")} | {"citation": citation(found["source"])}
    return {"name": table["name"], "size": table["size"], "seconds": table["methods"][method]} | about


def best_steps() -> dict[str, dict[str, int]]:
    """By data set and method: the number of sampling steps with the highest published DSC."""
    return load()["statements"]["sampling_steps"]["best"]


def recipe(method: str) -> dict[str, str] | None:
    """How a method was trained where it was published: optimiser, rate, schedule, batch, steps, augmentation, loss,
    source; None where nothing is known of it."""
    found = load()["recipes"].get(method)
    return recipe(found["like"]) if found and "like" in found else found


def citation(source: str) -> str:
    """Authors, title and number of a publication. Raises KeyError for one that published.yaml does not know."""
    return load()["sources"][source]["citation"]


def quoted(report: str) -> str:
    """What a publication says on the subject of a report, and where it stands. Raises KeyError where there is none."""
    found = load()["statements"][report]
    return f"{citation(found['source'])}, {found['place']}: {found['text']}"


def statement(report: str) -> str:
    """What a publication says, in words only, on the subject of a report. Raises KeyError where there is nothing."""
    found = load()["statements"][report]
    text = found["text"].rstrip(".")
    return f"{citation(found['source'])}, {found['place']}, is described in words only: “{text}”"


def pictures(report: str) -> str:
    """Where a publication shows the subject of a report in pictures alone. Raises KeyError where there is nothing."""
    found = load()["pictures"][report]
    return f"{citation(found['source'])}, {found['place']}, shows pictures only"


def speaks_of(report: str, method: str) -> bool:
    """Whether the statement on the subject of a report is about a method, too."""
    return method in load()["statements"][report]["methods"]


def explained(report: str, methods: Iterable[str]) -> list[str]:
    """What a reader has to know of some of these methods, which a publication compares; at most one text."""
    found = load()["notes"][report]
    return [found["text"]] if set(found["methods"]) & set(methods) else []
