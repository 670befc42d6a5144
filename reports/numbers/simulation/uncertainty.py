"""Intervals of the uncertainty report: AUROC, calibration by region, Brier score, GED, correlation, risk-coverage."""

from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from reports.numbers import areas
from reports.numbers.curves import Curve, Variant
from reports.numbers.simulation.invented import GROUPS, holds
from reports.numbers.spread import Spread

BINS = 15
CONFIDENCE = (np.arange(BINS) + 0.5) / BINS
COVERAGES = np.arange(5, 101, 5)
REGIONS = {"": (0.01, 0.02), "foreground_": (0.02, 0.05), "boundary_": (0.1, 0.06)}
"""By region, by how much confidence is above accuracy in a patient: mean and SD over patients; BIN_SD: how much more in
one bin than in another. Where that is about 0, the error of few patients is larger than that of all."""
BIN_SD = 0.03
WHERE = {"": "", "foreground_": ", foreground", "boundary_": ", boundary"}
"""Ends of columns; excess: confidence - accuracy."""
TRAINING_SD = 0.01
"""Of whatever is between 0 and 1, between trainings."""
RHO = 0.6
"""Correlation of the normal variables behind an image's mean SD and its loss."""
LOSS, LOSS_SD, ERROR = 0.15, 0.05, 0.05


def pixels(random: np.random.Generator, region: str, groups: int, excess: float = 0.0) -> np.ndarray:
    """(3, bins, groups): count, sum of confidence and number correct, of one training that is overconfident by `excess`
    more than trainings are."""
    mean, sd = REGIONS[region]
    amount = 4000 * np.exp(0.5 * random.normal(size=groups))
    count = random.dirichlet(np.arange(1, BINS + 1) / 4, groups).T * amount
    above = mean + excess + sd * random.normal(size=groups) + BIN_SD * random.normal(size=(BINS, groups))
    # Not cut at 0 and 1, so that what is above stays so on average.
    right = CONFIDENCE[:, None] - above
    return np.stack([count, count * CONFIDENCE[:, None], count * right])


@cache
def truths(seeds: int, seed: int) -> dict[str, float]:
    """Of every quantity, over all patients there are: by formula, or from as many as tell it to three digits."""
    random = np.random.default_rng([seed, 1])
    found = {"AUROC": 0.9, "Brier": 0.08, "GED": 0.25, "Spearman": 6 / np.pi * np.arcsin(RHO / 2)}
    for region in REGIONS:
        # Over trainings that differ; with one seed what is said is of a training that is like the average.
        luck = TRAINING_SD * stats.norm.ppf((np.arange(100) + 0.5) / 100) * (seeds > 1)
        parts = [pixels(random, region, 2000, excess) for excess in luck]
        parts = parts if seeds > 1 else [np.concatenate(parts, axis=-1)]
        errors = [np.abs((p[2] - p[1]).sum(-1)).sum() / p[0].sum() for p in parts]
        found[f"ECE{WHERE[region]}"] = float(np.mean(errors))
        found[f"excess{WHERE[region]}"] = float(np.mean([(p[1] - p[2]).sum() / p[0].sum() for p in parts]))
    sd, loss = images(random, 10**6)
    kept = loss[np.argsort(sd)]
    found["AURC, images"] = float(np.mean(np.cumsum(kept) / np.arange(1, len(kept) + 1)))
    found["AURC, pixels"] = ERROR * float(areas.area_under_curve(COVERAGES / 100, (COVERAGES / 100) ** 2))
    return found


def images(random: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean SD and 1 - DSC of images, each (groups,)."""
    first, second = random.normal(size=(2, groups))
    return np.exp(0.4 * first - 3), LOSS + LOSS_SD * (RHO * first + np.sqrt(1 - RHO**2) * second)


def spread(random: np.random.Generator, seeds: int, groups: int) -> Spread:
    """What a report would hold of one method: a patient is the same under every training but for a residual."""
    # Of mean 0.9 and SD 0.05, of mean 0.08, of mean 0.25: the shapes that such scores have.
    own = {"auroc": random.beta(31.5, 3.5, groups), "brier": random.gamma(2, 0.04, groups),
           "energy_distance": random.beta(2, 6, groups), "errors": random.gamma(2, ERROR / 2, groups)}  # fmt: skip
    sd, loss = images(random, groups)
    # Residuals of counts would need counts that stay whole: trainings share the patients' pixels and differ in excess.
    state = random.bit_generator.state
    frames = []
    for _ in range(seeds):
        luck = TRAINING_SD * random.normal() * (seeds > 1)
        excess = luck
        drawn = np.random.default_rng()
        drawn.bit_generator.state = state
        values = {name: value + luck * (name != "errors") + 0.01 * random.normal(size=groups) * (seeds > 1)
                  for name, value in own.items() if name != "errors"}  # fmt: skip
        values |= {"mean_sd": sd, "dsc": 1 - loss - luck}
        for region in REGIONS:
            held = pixels(drawn, region, groups, excess)
            for place in range(BINS):
                for name, part in zip(("count", "confidence", "correct"), held):
                    values[f"{region}bin{place + 1:02d}_{name}"] = part[place]
        values |= {f"risk{c:03d}": own["errors"] * (c / 100) ** 2 for c in COVERAGES}
        frames.append(pd.DataFrame(values))
    names = np.array([f"{place:03d}" for place in range(groups)])
    curve = Curve("invented", Variant("invented", "Invented"), tuple(range(seeds)), np.zeros(1), names, names, (), {})
    return Spread(curve, tuple(frames), 20, 20.0, seeds * groups, 0)


def coverage(groups: int, seeds: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Coverage, in [0, 1], of what the uncertainty report prints of one method; NaN where it prints no interval."""
    random, truth = np.random.default_rng([seed, groups, seeds]), truths(seeds, seed)
    hits: dict[str, list[bool]] = {}
    for _ in range(repeats):
        it = spread(random, seeds, groups)
        found = {"AUROC": it.mean("auroc"), "Brier": it.mean("brier"), "GED": it.mean("energy_distance")}
        found |= {f"ECE{WHERE[region]}": it.ece(region) for region in REGIONS}
        found |= {f"excess{WHERE[region]}": it.overconfidence(region) for region in REGIONS}
        found |= {"Spearman": it.spearman, "AURC, images": it.image_aurc, "AURC, pixels": it.pixel_aurc}
        for name, interval in found.items():
            hits.setdefault(name, [])
            if interval.has_interval:
                hits[name].append(holds(interval, truth[name]))
    return {name: float(np.mean(held)) if held else float("nan") for name, held in hits.items()}


def table(repeats: int) -> pd.DataFrame:
    """`coverage` by number of groups and seeds."""
    return pd.DataFrame(
        [{"groups": n, "seeds": seeds} | coverage(n, seeds, repeats) for seeds in (1, 3) for n in GROUPS]
    )
