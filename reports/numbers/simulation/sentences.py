"""What reports say of two methods, and how often it is false."""

from itertools import combinations

import numpy as np
import pandas as pd

from reports.numbers import statistics
from reports.numbers.collapse import collapsed
from reports.numbers.hypotheses import Margin, detectable, effect_sizes
from reports.numbers.simulation.invented import OWN_SD, PATIENT_SD, Draw, heavy, normal, scores, skewed
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import AHEAD, BEHIND, OF_SCORES, Significance, Verdict, p_values, tested, verdict

SEED_SDS = (0.0, 0.005, 0.01, 0.02)
SEEDS = (1, 2, 3, 5)
UNEQUAL_GROUPS = (20, 40, 80)
TESTED_GROUPS = (5, 6, 8, 12, 20, 40, 80)
FAILING_GROUPS = (12, 20, 40, 60, 80)
RARE = (0.025, 0.05, 0.1)
"""Shares of patients in whom the first of two good methods fails."""
COMPARISONS = 5
MARGIN = Margin().within
FAILURES = (Margin().failure, 0.0)
"""What a margin has to hold against: one unseen failure more, or the interval alone."""
FALLS = ((0.1, 0.3), (0.2, 0.09), (0.1, 0.05))
"""Shares of the trainings that fall, and the DSC that they lose: a collapse that is named, and less."""
PATIENTS = (20, 40, 80, 160)
"""Of the tests of what claims of equivalence cost."""


def sentences(
    seeds: int,
    seed_sds: tuple[float, float],
    repeats: int,
    groups: int = 40,
    truth: float = 0.0,
    uneven: float = 0.0,
    seed: int = 0,
) -> dict[str, float]:
    """Shares in [0, 1] of what reports say of two methods whose true difference is `truth` and whose trainings differ
    by seed_sds: better or worse, said of the methods and of these trainings; and equivalent, or not worse by more than
    MARGIN."""
    random = np.random.default_rng([seed, seeds, groups, *(round(1e4 * sd) for sd in seed_sds)])
    said = []
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * normal(random, (groups,))
        first, second = (patients + scores(random, normal, seeds, groups, sd, uneven) for sd in seed_sds)
        said.append(judge(first + truth, second))
    methods = seeds >= statistics.MIN_SEEDS
    apart = float(np.mean([judged in TOLD_APART for judged in said]))
    return {
        "methods told apart": apart * methods,
        "trainings told apart": apart * (not methods),
        "equivalent": float(np.mean([judged is Verdict.EQUIVALENT for judged in said])),
        "not worse": float(np.mean([judged is Verdict.NOT_WORSE for judged in said])),
    }


ALONE = ", by the interval alone"
TOLD_APART = (*AHEAD, *BEHIND)
WRONG_IF_WORSE = (*AHEAD, Verdict.EQUIVALENT, Verdict.NOT_WORSE)
"""What is false of a method that is worse by the margin or more."""


def judge(first: np.ndarray, second: np.ndarray) -> Verdict:
    """What a report says of two methods that it compares alone. Scores (seeds, patients)."""
    return judgements(first, second)[0]


def judgements(first: np.ndarray, second: np.ndarray) -> list[Verdict]:
    """The same with each of FAILURES: of a family of one, which Holm's correction leaves as it is."""
    pair = first, second, np.arange(first.shape[1])
    estimate, limits = statistics.difference(*pair, bounds=OF_SCORES)
    rank_biserial, d_z = effect_sizes(*pair)
    found = []
    for failure in FAILURES:
        p, low, high, both, lasting = p_values(pair, estimate, limits, Margin(MARGIN, failure))
        test = Significance(p, p, rank_biserial, d_z, low, high, both, lasting=lasting)
        found.append(verdict(estimate, test))
    return found


def lopsided(
    seeds: int, seed_sd: float, groups: int, repeats: int, draw: Draw = skewed, seed: int = 0
) -> dict[str, float]:
    """Shares in [0, 1] of false sentences where the first method does badly in few patients and well in the others, so
    that differences are skewed, as `draw` has them, with an SD of OWN_SD: equal methods told apart, and a method that
    is worse by MARGIN called not worse, equivalent or better, with an unseen failure more and by the interval alone."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])
    apart: list[bool] = []
    missed: list[list[bool]] = []
    for _ in range(repeats):
        trainings = [
            seed_sd * random.normal(size=(seeds, 1)) + 0.01 * random.normal(size=(seeds, groups)) for _ in "ab"
        ]
        first, second = trainings[0] + OWN_SD * draw(random, (groups,)), trainings[1]
        apart.append(judge(first, second) in TOLD_APART)
        missed.append([said in WRONG_IF_WORSE for said in judgements(first - MARGIN, second)])
    held, alone = np.mean(missed, axis=0).tolist()
    return {"equal, told apart": float(np.mean(apart)), "worse by the margin, missed": held, f"the same{ALONE}": alone}


def unseen(seeds: int, share: float, groups: int, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Shares in [0, 1] of reports in which a method is called not worse, equivalent or better that fails in a share of
    the patients, where its score is evenly between 0 and 1: with an unseen failure more and by the interval alone.
    Otherwise both have scores of 0.95 with an SD of 0.015 that
    hardly differ: the first is worse by 0.45 times the share."""
    random = np.random.default_rng([seed, seeds, groups, round(1e3 * share)])
    missed = []
    for _ in range(repeats):
        patients = np.minimum(0.95 + 0.015 * random.normal(size=groups), 1)

        def scored(patients: np.ndarray = patients) -> np.ndarray:
            own = patients + 0.01 * random.normal(size=groups) + 0.005 * random.normal(size=(seeds, groups))
            return np.clip(own + 0.002 * random.normal(size=(seeds, 1)), 0, 1)

        fails = random.random(groups) < share
        first = np.where(fails, random.random(groups), scored())
        missed.append([said in WRONG_IF_WORSE for said in judgements(first, scored())])
    held, alone = np.mean(missed, axis=0).tolist()
    return held, alone


def price(seeds: int, seed_sd: float, groups: int, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Shares in [0, 1] of reports that call equal methods equivalent or not worse: with an unseen failure more and by
    the interval alone."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])
    said = []
    for _ in range(repeats):
        first, second = (scores(random, normal, seeds, groups, seed_sd) for _ in range(2))
        said.append([one in (Verdict.EQUIVALENT, Verdict.NOT_WORSE) for one in judgements(first, second)])
    held, alone = np.mean(said, axis=0).tolist()
    return held, alone


def collapses(seeds: int, fall: tuple[float, float], groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of reports that tell two methods apart that are equal on average, where a share of the trainings
    of the first loses so much DSC: all, and those in which no training had fallen, so that nothing could show it. SD of
    training otherwise 0.005."""
    share, lost = fall
    random = np.random.default_rng([seed, seeds, groups, round(100 * share), round(1e3 * lost)])
    apart, unseen = [], []
    for _ in range(repeats):
        first, second = (0.8 + scores(random, normal, seeds, groups, 0.005) for _ in range(2))
        fell = random.random((seeds, 1)) < share
        first = first - lost * fell + share * lost
        named = collapsed(first.mean(axis=1)) or collapsed(second.mean(axis=1))
        apart.append(not named and judge(first, second) in TOLD_APART)
        unseen.append(apart[-1] and not fell.any())
    return {"told apart": float(np.mean(apart)), "and no training had fallen": float(np.mean(unseen))}


def families(seeds: int, seed_sds: tuple[float, float], groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of reports with a false sentence among COMPARISONS with one reference, after Holm: of equal
    methods of which some are told apart, and of a reference that is worse than all by MARGIN and is called not worse,
    equivalent or better somewhere. seed_sds: of the reference and of the others."""
    random = np.random.default_rng([seed, seeds, groups, *(round(1e4 * sd) for sd in seed_sds)])
    apart: list[bool] = []
    missed: list[bool] = []
    for _ in range(repeats):
        reference, *others = (
            scores(random, normal, seeds, groups, sd) for sd in (seed_sds[0], *[seed_sds[1]] * COMPARISONS)
        )
        for found, shift, wrong in ((apart, 0.0, TOLD_APART), (missed, -MARGIN, WRONG_IF_WORSE)):
            results = tested([(reference + shift, other, np.arange(groups)) for other in others])
            found.append(any(verdict(*one) in wrong for one in results if one is not None))
    return {"equal, told apart": float(np.mean(apart)), "worse by the margin, missed": float(np.mean(missed))}


def repetitions(seeds: int, seed_sd: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """In DSC, the 5th, 50th and 95th percentile of `detectable` over experiments; and in [0, 1], how often a second
    experiment finds what the first printed, and how often one finds the median."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])

    def experiment() -> Estimate:
        first, second = (scores(random, normal, seeds, groups, seed_sd) for _ in range(2))
        return statistics.paired_difference(first, second, np.arange(groups))

    printed = np.array([detectable(experiment()) or np.nan for _ in range(repeats)])
    low, middle, high = np.quantile(printed, [0.05, 0.5, 0.95])

    def found(differences: np.ndarray) -> float:
        lows = [(experiment().low or 0.0) + difference > 0 for difference in differences]
        return float(np.mean(lows))

    return {
        "lowest": low, "median": middle, "highest": high, "found again": found(printed),
        "median found": found(np.full(repeats, middle)),
    }  # fmt: skip


def unequal(repeats: int) -> pd.DataFrame:
    """Equal methods told apart where the trainings of one differ more than the other's, by number of groups and whether
    a training's luck reaches all patients alike."""
    rows = []
    for seeds in (count for count in SEEDS if count >= statistics.MIN_SEEDS):
        for sds in combinations(SEED_SDS, 2):
            row: dict[str, object] = {"seeds": seeds, "SDs of training": f"{sds[0]:g} and {sds[1]:g}"}
            for uneven, name in ((0.0, ""), (1.0, ", uneven")):
                for n in UNEQUAL_GROUPS:
                    row[f"{n} groups{name}"] = sentences(seeds, sds, repeats, n, uneven=uneven)["methods told apart"]
            rows.append(row)
    return pd.DataFrame(rows)


def lopsidedness(repeats: int) -> pd.DataFrame:
    """`lopsided` by length of the tail, number of groups, seeds and SD of training."""
    runs = [(1, 0.0), (3, 0.0), (3, 0.01), (5, 0.0)]
    kinds = {"skewed": (skewed, runs), "heavy tail": (heavy, [(s, sd) for s, sd in runs if not sd])}
    return pd.DataFrame(
        [{"groups": n, "differences": kind, "seeds": s, "SD of training": sd} | lopsided(s, sd, n, repeats, draw)
         for kind, (draw, settings) in kinds.items() for n in TESTED_GROUPS for s, sd in settings]
    )  # fmt: skip


def unseen_failures(repeats: int) -> pd.DataFrame:
    """`unseen` by number of groups and seeds, two columns for each share of failures."""
    rows = []
    for n in FAILING_GROUPS:
        for s in (1, 3):
            row: dict[str, float] = {"groups": n, "seeds": s}
            for q in RARE:
                row[f"{q:.1%} fail"], row[f"{q:.1%} fail{ALONE}"] = unseen(s, q, n, repeats)
            rows.append(row)
    return pd.DataFrame(rows)


def prices(repeats: int) -> pd.DataFrame:
    """`price` by seeds and SD of training, a column for each of PATIENTS."""
    rows = []
    for seeds, sd in ((3, 0.005), (5, 0.0)):
        found = {n: price(seeds, sd, n, repeats) for n in PATIENTS}
        for place, what in enumerate(("held against one unseen failure", "by the interval alone")):
            counted = {f"{n} groups": found[n][place] for n in PATIENTS}
            rows.append({"seeds": seeds, "SD of training": sd, "a margin is": what} | counted)
    return pd.DataFrame(rows)


def collapsing(repeats: int) -> pd.DataFrame:
    """`collapses` by what falls, number of groups and seeds."""
    return pd.DataFrame(
        [{"groups": n, "seeds": s, "trainings that fall": f"{fall[0]:.0%} by {fall[1]:g}"}
         | collapses(s, fall, n, repeats) for fall in FALLS for n in UNEQUAL_GROUPS for s in (3, 5)]
    )  # fmt: skip


def by_family(repeats: int) -> pd.DataFrame:
    """`families` of three seeds by SDs of training, and of five where it is worst."""
    runs = [(3, sds) for sds in ((0.0, 0.0), (0.01, 0.01), (0.02, 0.0), (0.0, 0.02), (0.0, 0.05))] + [(5, (0.0, 0.05))]
    return pd.DataFrame(
        [{"seeds": s, "SDs of training": f"{sds[0]:g} and {sds[1]:g}"} | families(s, sds, 40, repeats)
         for s, sds in runs]
    )  # fmt: skip


def designs(repeats: int) -> pd.DataFrame:
    """`repetitions` by seeds and SD of training."""
    return pd.DataFrame(
        [{"seeds": s, "SD of training": sd} | repetitions(s, sd, 40, repeats)
         for s, sd in ((1, 0.0), (3, 0.005), (3, 0.02), (5, 0.01))]
    )  # fmt: skip


def by_seeds(truth: float, repeats: int) -> pd.DataFrame:
    """`sentences` by number of seeds and SD of training, the same for both methods."""
    runs = [(seeds, sd) for seeds in SEEDS for sd in SEED_SDS]
    return pd.DataFrame(
        [{"seeds": s, "SD of training": sd} | sentences(s, (sd, sd), repeats, truth=truth) for s, sd in runs]
    )
