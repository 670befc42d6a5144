"""The intervals and tests of the reports once more, with numpy and scipy alone, for tests that recompute a report.

Scores of a method are (seeds, cases), or (cases,) where it was trained once; groups: the patient of each case.
"""

from functools import cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

RESAMPLES = 2000
UNBOUNDED = (-np.inf, np.inf)
FLOOR = 1e-9
"""The smallest level at which reports look for a limit."""


def table(records, metric="dsc", name="all", **where):
    """(seeds, cases) scores of a class, in order of seed and case, and the patient of each case."""
    part = records[records["class"] == name]
    for column, value in where.items():
        part = part[part[column] == value]
    wide = part.pivot(index="seed", columns="case", values=metric)
    # Patients are put in order by their names, which may be numbers.
    return wide.to_numpy(float), part.drop_duplicates("case").sort_values("case")["group"].astype(str).to_numpy()


def averaged(values):
    """(cases,) over the seeds in which a case is defined."""
    return pd.DataFrame(np.atleast_2d(values)).mean().to_numpy()


def patients(values, groups):
    """(patients,) mean over the defined cases of each, those without any left out. values: (cases,)."""
    return pd.Series(np.asarray(values, float)).groupby(np.asarray(groups)).mean().dropna().to_numpy()


@cache
def drawn(count, seed=0):
    """(2000, count): how often each of so many patients is in each bootstrap sample."""
    return np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=RESAMPLES)


def samples(values, groups):
    """(..., 2000) means over patients of bootstrap samples of patients. values: (..., cases), NaN is left out."""
    by_patient = pd.DataFrame(np.atleast_2d(values).T).groupby(np.asarray(groups)).mean().to_numpy()
    draws = drawn(len(by_patient))
    means = (draws @ np.nan_to_num(by_patient) / (draws @ np.isfinite(by_patient))).T
    return means if np.ndim(values) > 1 else means[0]


def seed_shares(seeds, stream=0):
    """(2000, seeds): weight of each training in each bootstrap sample; their mean scatters as Student's t."""
    if seeds < 3:
        return np.full((RESAMPLES, seeds), 1 / seeds)
    random = np.random.default_rng([0, 1, stream])
    normal, chi_squared = random.normal(size=(RESAMPLES, seeds)), random.chisquare(seeds - 1, (RESAMPLES, 1))
    t = (normal - normal.mean(axis=1)[:, None]) * np.sqrt((seeds - 1) / chi_squared)
    return 1 / seeds + t / np.sqrt(seeds * (seeds - 1))


def ends(replicates, level=0.95):
    """The range of so much of the replicates, as nearest ranks: of 2000 and 95 % the 50th smallest and largest."""
    ordered, tail = np.sort(replicates), (1 - level) / 2
    return ordered[int(np.floor(tail * (len(ordered) - 1)))], ordered[int(np.ceil((1 - tail) * (len(ordered) - 1)))]


def ends_of_rounds(replicates, rounds):
    """Percentiles of a function of medians over bootstrap samples of so many rounds, as far out as Student's t is."""
    tail = stats.norm.cdf(-stats.t.isf(0.025, rounds - 1) * np.sqrt(rounds / (rounds - 1)))
    return ends(replicates, 1 - 2 * tail)


@cache
def picked(count):
    """(2000, count): which patients are in each bootstrap sample."""
    return np.repeat(np.tile(np.arange(count), RESAMPLES), drawn(count).ravel()).reshape(RESAMPLES, count)


def studentised(means):
    """How many standard errors of its own the mean of each bootstrap sample of patients lies above theirs, sorted."""
    chosen = means[picked(len(means))]
    spread = chosen.std(axis=1)
    own = (chosen.mean(axis=1) - means.mean()) / np.where(spread > 1e-12, spread / np.sqrt(len(means) - 1), 1)
    return np.sort(own[spread > 1e-12])


def unseen(means, bounds):
    """Gaffke's draws of the mean of patients, for the lower limit and for the upper one, and their weight, which grows
    from a quarter to a half of the patients with one and the same score; None where they play no part."""
    if not np.isfinite(bounds).all():
        return None
    widths = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
    same = [max(np.sum((means >= x) & (means <= x + width)) for x in means) for width in widths]
    weight = np.clip(4 * ((np.mean(same) - 1) / (len(means) - 1) - 0.25), 0, 1)
    shares = np.random.default_rng(0).dirichlet(np.ones(len(means) + 1), RESAMPLES)
    below, above = (np.sort(shares[:, 0] * bound + shares[:, 1:] @ means) for bound in bounds)
    return (below, above, weight) if weight else None


def limits(means, replicates, parts, tail, gaffke=None):
    """Both limits of the mean of patients at a one-sided level: bootstrap-t for patients and Student's t for trainings,
    the root of the sum of squares. parts: of `error`; gaffke: of `unseen`, whose limits beside trainings only widen."""
    count, (patients_, trainings, df) = len(means), parts
    near = max(tail, 0.005)
    further = stats.t.isf(tail, count - 1) / stats.t.isf(near, count - 1)
    error_ = means.std(ddof=1) / np.sqrt(count)
    furthest = 2 * stats.t.isf(near, count - 1)
    low, high = np.clip(ends(replicates, 1 - 2 * near), -furthest, furthest) if len(replicates) else (0, 0)
    reach = np.array([high, -low]) * further * error_
    if trainings:
        own = np.maximum([high, -low], 0) * further * np.sqrt(patients_)
        reach = np.sqrt(own**2 + stats.t.isf(tail, df) ** 2 * trainings)
    if gaffke:
        below, above, weight = gaffke
        more = np.array([means.mean() - ends(below, 1 - 2 * tail)[0], ends(above, 1 - 2 * tail)[1] - means.mean()])
        reach = reach + weight * (more - reach if df is None else np.maximum(more - reach, 0))
    return means.mean() - reach[0], means.mean() + reach[1]


def p_beyond(value, *of_limits):
    """Twice the one-sided p that the truth is above a value, and that it is below: the level at which a limit is it.
    of_limits: means, replicates, parts and, where it plays a part, gaffke, as of `limits`."""
    means, replicates, parts, *gaffke = of_limits
    found = []
    for side, sign in ((0, 1), (1, -1)):
        smallest, largest = FLOOR, 0.5
        while largest / smallest > 1 + 1e-7:
            middle = np.sqrt(smallest * largest)
            shown = sign * (limits(means, replicates, parts, middle, *gaffke)[side] - value) > 0
            smallest, largest = (smallest, middle) if shown else (middle, largest)
        found.append(min(1, 2 * largest))
    return found


def p_students(means, parts):
    """The two-sided level at which Student's t of patients and that of trainings, as the sides of a right angle, reach
    from the mean to 0. parts: of `error`."""
    count, (patients_, trainings, df) = len(means), parts

    def short(level):
        reach = stats.t.isf(level / 2, count - 1) ** 2 * patients_
        return reach + (stats.t.isf(level / 2, df) ** 2 * trainings if trainings else 0) - means.mean() ** 2

    if short(2 * FLOOR) <= 0 or short(1 - 1e-12) >= 0:
        return 2 * FLOOR if short(2 * FLOOR) <= 0 else 1.0
    return optimize.brentq(short, 2 * FLOOR, 1 - 1e-12, xtol=1e-12, rtol=1e-9)


def p_signed_rank(means):
    """Wilcoxon's p, both with ties and, as records are rounded, with ties undone: the exact and the normal one."""
    changed = means[np.abs(means) > 1e-12]
    if len(changed) < 2:
        return [1.0]
    undone = changed + np.sign(changed) * 1e-9 * np.arange(len(changed))
    return [stats.wilcoxon(changed).pvalue, stats.wilcoxon(undone).pvalue]


def error(values, tables, groups):
    """Squared standard errors that patients and trainings add to the mean over patients of values (cases,), which were
    taken from the methods' tables (seeds, cases), and Satterthwaite's degrees of freedom of trainings; these are None
    below three trainings of either with scores on the same cases, and nothing is then added."""
    by_patient, groups = patients(values, groups), np.asarray(groups)
    total, twice, parts = by_patient.var(ddof=1) / len(by_patient), 0.0, []
    for table in tables:
        table = table[np.isfinite(table).any(axis=1)]
        whole = np.isfinite(table).all(axis=0)
        if len(table) < 3 or len(set(groups[whole])) < 2:
            return total, 0.0, None
        cells = np.array([patients(row[whole], groups[whole]) for row in table])
        rest = cells - cells.mean(0) - cells.mean(1)[:, None] + cells.mean()
        twice += np.sum(rest**2) / (len(cells) - 1) / (cells.shape[1] - 1) / cells.size
        parts.append((cells.mean(1).var(ddof=1) / len(cells), len(cells) - 1))
    added = sum(part for part, _ in parts)
    df = added**2 / sum(part**2 / f for part, f in parts) if added else 1.0
    return max(total - min(twice, added), 0), added, df


def mean(*tables, groups, bounds=UNBOUNDED):
    """(value, low, high) of the mean over patients of one method, or of the first minus the second."""
    tables = [np.atleast_2d(np.asarray(table, float)) for table in tables]
    return interval(averaged(tables[0]) - (averaged(tables[1]) if len(tables) > 1 else 0), tables, groups, bounds)


def interval(values, tables, groups, bounds=UNBOUNDED):
    """(value, low, high) of the mean over patients of values (cases,). tables: as of `error`."""
    by_patient = patients(values, groups)
    if len(by_patient) < 5:
        return by_patient.mean() if len(by_patient) else np.nan, np.nan, np.nan
    parts, gaffke = error(values, tables, groups), unseen(by_patient, bounds)
    if gaffke is None and np.sqrt(parts[0] + parts[1]) <= 1e-12:
        return by_patient.mean(), np.nan, np.nan
    return by_patient.mean(), *np.clip(limits(by_patient, studentised(by_patient), parts, 0.025, gaffke), *bounds)


def by_seed(values):
    """(seeds, conditions, cases) of that, or of (conditions, cases)."""
    return np.asarray(values) if np.ndim(values) > 2 else np.asarray(values)[None]


def smooth(function, values, groups):
    """(value, low, high) of a function of several means (conditions,), by what each patient adds (jackknife
    pseudo-values). values: (conditions, cases) of one training, or (seeds, conditions, cases)."""
    cells = np.array([[patients(row, groups) for row in rows] for rows in by_seed(values)])
    count, value = cells.shape[2], function(cells.mean(axis=(0, 2)))

    def pseudo(own):
        without = [function(np.delete(own, k, axis=1).mean(axis=1)) for k in range(count)]
        return count * function(own.mean(axis=1)) - (count - 1) * np.array(without)

    own, low, high = interval(pseudo(cells.mean(axis=0)), [np.array([pseudo(own) for own in cells])], np.arange(count))
    return value, low + value - own, high + value - own


def jackknifed(function, seeds, groups):
    """(value, low, high) of a score of all cases together, mean over trainings, by pseudo-values as `smooth`. function:
    of the place of a seed and of weights (cases,) that sum to 1; every patient weighs the same."""
    names, place, cases = np.unique(groups, return_inverse=True, return_counts=True)
    count = len(names)

    def weights(kept):
        return kept[place] / cases[place] / kept.sum()

    whole = np.array([function(seed, weights(np.ones(count))) for seed in range(seeds)])
    without = np.array([[function(seed, weights(1.0 * (np.arange(count) != k))) for k in range(count)]
                        for seed in range(seeds)])  # fmt: skip
    known = np.isfinite(whole)
    if not known.any():
        return np.nan, np.nan, np.nan
    value, pseudo = whole[known].mean(), count * whole[known, None] - (count - 1) * without[known]
    own, low, high = mean(pseudo, groups=np.arange(count)) if np.isfinite(pseudo).all() else (0, np.nan, np.nan)
    return value, low + value - own, high + value - own


def moved(values, groups):
    """(2000, conditions) means of bootstrap samples of patients, as far from the mean as Student's t is, and of
    trainings. values: as `smooth`."""
    cells = np.array([[patients(row, groups) for row in rows] for rows in by_seed(values)])
    seeds, _, count = cells.shape
    centre, trainings = cells.mean(axis=(0, 2)), (seed_shares(seeds) - 1 / seeds) @ cells.mean(axis=2)
    reach = stats.t.isf(0.025, count - 1) / stats.norm.isf(0.025) * np.sqrt(count / (count - 1))
    return centre + reach * (drawn(count) @ cells.mean(axis=0).T / count - centre) + trainings


def tests(first, second, groups, margin=0.01, bounds=(-1, 1)):
    """p of no difference, of not worse and of not better by more than the margin, which one more patient in whom a
    method loses 0.3 may not break; standard error and what Student's t makes its 95 % reach of it; and p that the
    difference would stay where it is with two more patients in whom the method that is ahead loses 0.3."""
    tables = [np.atleast_2d(first), np.atleast_2d(second)]
    values = averaged(first) - averaged(second)
    by_patient, parts = patients(values, groups), error(values, tables, groups)
    of_limits = by_patient, studentised(by_patient), parts, unseen(by_patient, bounds)
    room = margin - 0.3 / (len(by_patient) + 1)
    spread = np.sqrt(parts[0] + parts[1])
    if parts[2] is not None:
        p = max(min(p_beyond(0, *of_limits)), p_students(by_patient, parts))
    else:
        p = p_signed_rank(by_patient)[0]
    reach = stats.t.isf(0.025, len(by_patient) - 1) ** 2 * parts[0]
    reach += stats.t.isf(0.025, parts[2]) ** 2 * parts[1] if parts[1] else 0
    t = np.sqrt(reach) / spread if spread else stats.t.isf(0.025, len(by_patient) - 1)
    if of_limits[3]:
        low, high = limits(*of_limits[:3], 0.025, of_limits[3])
        spread = max(spread, (by_patient.mean() - low) / t, (high - by_patient.mean()) / t)
    not_worse = p_beyond(-room, *of_limits)[0]
    not_better = p_beyond(room, *of_limits)[1]
    two = 0.6 / (len(by_patient) + 2)
    ahead = by_patient.mean() > 0
    lasting = p_beyond(two if ahead else -two, *of_limits)[0 if ahead else 1]
    return p, not_worse, not_better, spread, t, lasting


def ranked(tables, groups):
    """(methods, 2000) ranks by the mean over patients in bootstrap samples of patients and, of three and more, of
    trainings, which are drawn for each method apart. tables: of each method (seeds, cases)."""
    means = np.array([np.sum(samples(table, groups) * seed_shares(len(table), stream).T, axis=0)
                      for stream, table in enumerate(tables)])  # fmt: skip
    return 1 + (means[None] > means[:, None] + 1e-12).sum(axis=1)


def power(difference, spread, df, comparisons, draws=200_000):
    """How often a t test at 0.05 / comparisons finds a true difference, by simulation; the true standard error is what
    a sample of so many degrees of freedom, which gave `spread`, leaves possible."""
    random = np.random.default_rng(0)
    true = spread / np.sqrt(random.chisquare(df, draws) / df)
    t = (difference / true + random.normal(size=draws)) / np.sqrt(random.chisquare(df, draws) / df)
    return np.mean(t > stats.t.isf(0.025 / comparisons, df))


def holm(p_values):
    """Holm's correction (Scand J Statist 6:65, 1979), step by step."""
    count, order, corrected = len(p_values), np.argsort(p_values), np.empty(len(p_values))
    for place, k in enumerate(order):
        corrected[k] = max([(count - place) * p_values[k], *corrected[order[:place]]])
    return np.minimum(corrected, 1)
