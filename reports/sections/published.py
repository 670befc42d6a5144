"""Published values beside ours: published | ours | difference | interval."""

import json
from functools import lru_cache
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from benchmarks.store.results import Results
from reports.numbers.curves import POOLED, Curve, Variant
from reports.paper import words
from reports.paper.document import Block, Paragraph, Table

FILE = Path(__file__).with_name("published.yaml")


@lru_cache(maxsize=1)
def load() -> dict:
    """The content of published.yaml."""
    return OmegaConf.to_container(OmegaConf.load(FILE))


def beside(results: Results, dataset: str) -> dict | None:
    """What published.yaml says of a data set: table, same, note; None where nothing was published on its like."""
    known = load()["data_sets"]
    if dataset in known:
        return known[dataset]
    config = next((t.config["dataset"] for t in results.trials if t.config["dataset"]["name"] == dataset), {})
    if dataset == "decathlon" and "hippocampus" in json.dumps(config, default=str).lower():
        return known["hippocampus"]
    return None


def accuracy(
    results: Results, curves: dict[str, list[Curve]], names: dict[Variant, str], sigma: float, part: str = "accuracy"
) -> list[Block]:
    """One table of all data sets with published counterparts, at the sigma of undisturbed images; else nothing.

    part: which tables of published.yaml, accuracy or ablation."""
    rows, data, notes = [], [], []
    for dataset, found in curves.items():
        place = beside(results, dataset)
        if place is None or not found or place["table"] not in load()[part]:
            continue
        table = load()[part][place["table"]]
        size = results.records.loc[results.records["dataset"] == dataset, "image_size"].iloc[0]
        kind = "same data set" if place["same"] else "context only: other data"
        notes.append(
            f"{dataset}: published values are those of {table['place']}, {table['data']}; ours were measured at {size}"
            + (f". {place['note']}: the difference is no measure of reproduction." if not place["same"] else ".")
        )
        for curve in found:
            for name, cell in _cells(table, curve, sigma):
                difference = cell["ours"] - cell["published"]
                rows.append(
                    [
                        dataset,
                        names[curve.variant],
                        name,
                        kind,
                        words.number(cell["published"], 2),
                        words.number(cell["ours"]),
                        words.signed(difference),
                        words.bounds(cell["estimate"]),
                    ]  # fmt: skip
                )
                data.append(
                    {
                        "dataset": dataset,
                        "method": curve.variant.method,
                        "steps": curve.variant.steps,
                        "score": name,
                        "same_data": place["same"],
                        "published": cell["published"],
                        "ours": cell["ours"],
                        "difference": difference,
                        "low": cell["estimate"].low,
                        "high": cell["estimate"].high,
                    }  # fmt: skip
                )
    if not rows:
        return []
    columns = [
        "data set",
        "method",
        "score",
        "published on",
        "published",
        "ours",
        "difference",
        "95 % interval of ours",
    ]
    caption = (
        f"Published accuracy beside ours at σ = {sigma:g}. Image sizes and training budgets differ as the notes below "
        f"say. Source: {load()['sources']['ldseg']['citation']}."
    )
    return [
        Table("published", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data)),
        *map(Paragraph, notes),
    ]


def dsc(results: Results, curve: Curve) -> float | None:
    """Published pooled DSC of a method where it was measured on this very data set, else None."""
    place = beside(results, curve.dataset)
    if place is None or not place["same"]:
        return None
    table = load()["accuracy"][place["table"]]
    values = table["methods"].get(curve.variant.method)
    return None if values is None else dict(zip(map(tuple, table["columns"].values()), values)).get(("dsc", POOLED))


def runtime(dataset: str) -> dict | None:
    """Published times on the like of a data set: name, size, seconds by number of steps, place, hardware, citation,
    reduction (time with most steps divided by that with fewest); None where nothing was published."""
    found = load()["runtime"]
    if dataset not in found["data_sets"]:
        return None
    about = {key: found[key] for key in ("place", "hardware", "reduction")}
    citation = load()["sources"][found["source"]]["citation"]
    return found["tables"][found["data_sets"][dataset]] | about | {"citation": citation}


def statement(suite: str) -> str:
    """What a publication says in words on the subject of a suite. Raises KeyError where published.yaml has nothing."""
    found = load()["statements"][suite]
    source = load()["sources"][found["source"]]["citation"]
    return f"{source}, {found['place']}, is described in words only: “{found['text'].rstrip('.')}”"


def _cells(table: dict, curve: Curve, sigma: float):
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
        estimate = curve.mean(sigma, metric, own.get(name.lower(), POOLED))
        label = "pooled" if name == POOLED and len(curve.classes) > 1 else own.get(name.lower(), "")
        yield f"{metric.upper() if metric == 'dsc' else 'IoU'} {label}".strip(), {
            "published": value, "ours": estimate.value, "estimate": estimate
        }  # fmt: skip
