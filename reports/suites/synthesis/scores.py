"""What synthetic images scored, method by method: distances of sets, scores of images, and how near they come to the
training images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.syntheses import Judged
from reports.numbers import statistics
from reports.numbers.curves import Variant, variants
from reports.numbers.statistics import Bounds, Estimate

PAIRED: dict[str, tuple[bool, Bounds]] = {
    "ssim": (True, (-1.0, 1.0)),
    "psnr": (True, statistics.UNBOUNDED),
    "rmse": (False, (0.0, 2.0)),
}
"""Scores of an image against the real one of its map: whether more is better, and between what they lie."""
LPIPS = (False, (0.0, np.inf))
"""The same of LPIPS, whose names say by which weights: lpips@vgg-HASH."""
COPY = 0.02
"""A synthetic image that lies nearer to a training image than this, on a scale from -1 to 1, is a copy of it to the
eye."""


@dataclass(frozen=True)
class Distance:
    """A distance of sets by seed: values and, of other real images, the reference; images, features and components as
    of `benchmarks.synthesis.quality.SetScore`; extractor: what it was measured by."""

    metric: str
    values: list[float]
    reference: float | None
    images: int
    features: int
    components: int | None
    extractor: str

    @property
    def mean(self) -> float | None:
        """Over seeds; None where there were too few images."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def sd(self) -> float | None:
        """Over seeds, None for one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None


def of_variant(results: Results, dataset: str, variant: Variant) -> pd.DataFrame:
    """The records of a variant on a data set."""
    records = results.records
    return records[
        (records["dataset"] == dataset) & (records["method"] == variant.method) & (records["steps"] == variant.steps)
    ]


def measured(results: Results, dataset: str) -> list[Variant]:
    """The variants whose images of a data set were judged, in the suite's order."""
    return [variant for variant in variants(results) if len(of_variant(results, dataset, variant))]


def judged(results: Results, dataset: str, variant: Variant, shown: bool = False) -> list[Judged]:
    """What is stored of a variant's images on a data set, seed by seed."""
    views = {view.key: view.config for view in results.trials}
    found = [
        one
        for one in results.syntheses
        if one.shown == shown and one.steps == variant.steps and one.trial in views
        and views[one.trial].dataset.name == dataset and views[one.trial].method.name == variant.method
    ]  # fmt: skip
    return sorted(found, key=lambda one: views[one.trial].seed)


def distances(results: Results, dataset: str, variant: Variant) -> dict[str, Distance]:
    """Distances of sets by their names."""
    rows: dict[str, list[dict]] = {}
    for one in judged(results, dataset, variant):
        for score in one.scores:
            rows.setdefault(score["metric"], []).append(score)
    return {
        metric: Distance(
            metric, [row["value"] for row in found if row["value"] is not None],
            *(found[0][key] for key in ("reference", "images", "features", "components", "extractor")),
        )
        for metric, found in rows.items()
    }  # fmt: skip


def paired(records: pd.DataFrame) -> dict[str, tuple[bool, Bounds]]:
    """Those that records have."""
    learned = [name for name in records if str(name).startswith("lpips@") and not str(name).endswith("_other")]
    return {name: how for name, how in PAIRED.items() if name in records} | dict.fromkeys(map(str, learned), LPIPS)


def table_of(records: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (seeds, cases) of a column and the group of each case."""
    table = records.pivot_table(index="seed", columns="case", values=column, aggfunc="first", dropna=False)
    groups = records.drop_duplicates("case").set_index("case")["group"].astype(str)
    return table.to_numpy(dtype=float), groups.loc[table.columns].to_numpy()


def mean(records: pd.DataFrame, column: str, bounds: Bounds = statistics.UNBOUNDED) -> Estimate:
    """Mean over patients with its interval."""
    values, groups = table_of(records, column)
    return statistics.mean(values, groups, bounds=bounds)


def difference(first: pd.DataFrame, second: pd.DataFrame, column: str) -> Estimate | None:
    """Of two variants on the cases that both have, first minus second; None where they have none in common."""
    common = sorted(set(first["case"]) & set(second["case"]))
    if not common:
        return None
    one, groups = table_of(first[first["case"].isin(common)], column)
    two, _ = table_of(second[second["case"].isin(common)], column)
    return statistics.paired_difference(one, two, groups)


def copies(records: pd.DataFrame) -> float:
    """Share of images that are copies of a training image, by `COPY`."""
    return float((records["nearest"] < COPY).mean())
