"""Quality and memorisation as tables, a row per method."""

import pandas as pd

from reports.numbers.curves import Variant
from reports.numbers.statistics import Bounds
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.suites.synthesis import scores
from reports.suites.synthesis.scores import Distance

UP, DOWN = "\u2191", "\u2193"
OTHER = "other real images"
Paired = dict[str, tuple[bool, Bounds]]
"""Scores against the real image of a map, as of `scores.paired`."""
PROJECTED = "\u2020"
"""Marks a distance that was measured after projection, for want of images."""


def quality(it: Study, dataset: str) -> Table:
    """Distances of sets, scores against the real image of the same map, and the same of other real images."""
    found = scores.measured(it.results, dataset)
    by_variant = {variant: scores.distances(it.results, dataset, variant) for variant in found}
    metrics = list(dict.fromkeys(metric for distances in by_variant.values() for metric in distances))
    paired = {name: how for name, how in scores.paired(it.results.records).items()
              if scores.of_variant(it.results, dataset, found[0])[name].notna().any()}  # fmt: skip
    rows, data = [], []
    for variant in found:
        row, values = _row(it, dataset, variant, by_variant[variant], metrics, paired)
        rows.append(row)
        data.append(values)
    first = found[0]
    row, values = _reference(it, dataset, first, by_variant[first], metrics, paired)
    heads = [f"{metric} {DOWN}" for metric in metrics]
    heads += [
        f"{'PSNR, dB' if name == 'psnr' else name.upper() if '@' not in name else name} {UP if higher else DOWN}"
        for name, (higher, _) in paired.items()
    ]
    return Table(
        f"quality_{dataset}",
        _caption(it, dataset, by_variant[first]),
        pd.DataFrame([*rows, row], columns=["method", *heads]),
        pd.DataFrame([*data, values]),
    )


def _row(
    it: Study, dataset: str, variant: Variant, distances: dict[str, Distance], metrics: list[str], paired: Paired
) -> tuple[list[str], dict]:
    records = scores.of_variant(it.results, dataset, variant)
    row, data = [it.names[variant]], {"dataset": dataset, "method": variant.method, "steps": variant.steps}
    for metric in metrics:
        distance = distances.get(metric)
        row.append(words.NOTHING if distance is None else _distance(distance))
        if distance is not None:
            data |= {metric: distance.mean, f"{metric}_sd_over_seeds": distance.sd, f"{metric}_images": distance.images,
                     f"{metric}_features": distance.features, f"{metric}_components": distance.components}  # fmt: skip
    for name, (_, bounds) in paired.items():
        estimate = scores.mean(records, name, bounds)
        row.append(words.with_interval(estimate, 2 if name == "psnr" else 3))
        data |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row, data


def _distance(distance: Distance) -> str:
    if distance.mean is None:
        return words.NOTHING
    text = f"{distance.mean:.3g}".replace("-", words.MINUS)
    text += f" \u00b1 {distance.sd:.2g}" if distance.sd is not None else ""
    return text + (f" {PROJECTED}" if distance.components is not None else "")


def _reference(
    it: Study, dataset: str, variant: Variant, distances: dict[str, Distance], metrics: list[str], paired: Paired
) -> tuple[list[str], dict]:
    """Real training images in place of synthetic ones: the same whatever the method, so those of one are read."""
    records = scores.of_variant(it.results, dataset, variant)
    records = records[records["seed"] == records["seed"].min()]
    row, data = [OTHER], {"dataset": dataset, "method": OTHER, "steps": 0}
    for metric in metrics:
        value = distances[metric].reference if metric in distances else None
        mark = f" {PROJECTED}" if metric in distances and distances[metric].components is not None else ""
        row.append(words.NOTHING if value is None else f"{value:.3g}".replace("-", words.MINUS) + mark)
        data[metric] = value
    for name, (_, bounds) in paired.items():
        estimate = scores.mean(records, f"{name}_other", bounds)
        row.append(words.with_interval(estimate, 2 if name == "psnr" else 3))
        data |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row, data


def _caption(it: Study, dataset: str, distances: dict[str, Distance]) -> str:
    by = dict.fromkeys(
        f"`{distance.metric.partition('@')[2]}`: {distance.extractor}, {distance.features} features"
        for distance in distances.values()
    )
    images = sorted({distance.images for distance in distances.values()})
    text = (
        f"{dataset}: synthetic images against the held-out real ones of the same maps, on the scale \u22121 to 1; "
        "distances of sets (\u00b1: SD over seeds), mean scores of images [95 % interval]. fid: Fréchet distance, "
        "mmd: squared maximum mean discrepancy with a linear kernel, unbiased, so that it may lie below 0; 3d: of "
        f"whole volumes, else of images or planes of volumes. Named by where features come from: {'; '.join(by)}. "
        f"Scores of different names cannot be compared. {OTHER.capitalize()}: as many training images, drawn at "
        "random, in place of synthetic ones: what real images score that show other anatomy."
    )
    if components := [d.components for d in distances.values() if d.components is not None]:
        text += (
            f" {PROJECTED}: of no more than twice as many images ({images[0]}) as features, projected on "
            f"{words.plural(components[0], 'principal component')} of the real ones first; a covariance of so few says "
            "little."
        )
    return text


def memorisation(it: Study, dataset: str) -> Table:
    """How near images come to the nearest training image, beside the real ones of the same maps."""
    rows, data = [], []
    for variant in scores.measured(it.results, dataset):
        records = scores.of_variant(it.results, dataset, variant)
        made, real = (scores.mean(records, name) for name in ("nearest", "nearest_real"))
        nearer = float((records["nearest"] < records["nearest_real"]).mean())
        copied = scores.copies(records)
        rows.append(
            [it.names[variant], *map(words.with_interval, (made, real)), words.share(nearer), words.share(copied)]
        )
        data.append(
            {"dataset": dataset, "method": variant.method, "steps": variant.steps, "nearest": made.value,
             "nearest_low": made.low, "nearest_high": made.high, "nearest_real": real.value,
             "nearest_real_low": real.low, "nearest_real_high": real.high, "nearer": nearer, "copies": copied}
        )  # fmt: skip
    columns = ["method", "synthetic to training", "held-out real to training", "nearer than the real one", "copies"]
    caption = (
        f"{dataset}: distance (RMSE on the scale \u22121 to 1, mean [95 % interval]) of synthetic images, and of the "
        "held-out real ones of the same maps, to the nearest training image. Images that come nearer to training "
        f"images than unseen real ones do repeat them; copies: nearer than {scores.COPY:g}. Smooth images come "
        "nearer, too: "
        "what is between copies and held-out images proves nothing."
    )
    return Table(f"memorisation_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
