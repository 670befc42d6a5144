"""The intervals and tests of the reports once more, with numpy and scipy alone, for tests that recompute a report.

Scores of a method are (seeds, cases), or (cases,) where it was trained once; groups: the patient of each case.
"""

import numpy as np
import pandas as pd
from scipy import optimize, stats

RESAMPLES = 2000


def table(records, metric="dsc", name="all", **where):
    """(seeds, cases) scores of a class, in order of seed and case, and the patient of each case."""
    part = records[records["class"] == name]
    for column, value in where.items():
        part = part[part[column] == value]
    wide = part.pivot_table(index="seed", columns="case", values=metric, dropna=False)
    return wide.to_numpy(), part.drop_duplicates("case").sort_values("case")["group"].to_numpy()


def averaged(values):
    """(cases,) over the seeds in which a case is defined."""
    return pd.DataFrame(np.atleast_2d(values)).mean().to_numpy()


def patients(values, groups):
    """(patients,) mean over the defined cases of each, those without any left out. values: (cases,)."""
    return pd.Series(np.asarray(values, float)).groupby(np.asarray(groups)).mean().dropna().to_numpy()


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


def studentised(means):
    """How many standard errors of its own the mean of each bootstrap sample of patients lies above theirs."""
    count = len(means)
    picked = np.repeat(np.tile(np.arange(count), RESAMPLES), drawn(count).ravel()).reshape(RESAMPLES, count)
    spread = means[picked].std(axis=1)
    own = (means[picked].mean(axis=1) - means.mean()) / np.where(spread > 1e-12, spread / np.sqrt(count - 1), 1)
    return own[spread > 1e-12]


def limits(means, replicates, parts, tail):
    """Both limits of the mean of patients at a one-sided level: bootstrap-t for patients and Student's t for trainings,
    the root of the sum of squares. parts: of `error`."""
    count, (patients_, trainings, df) = len(means), parts
    near = max(tail, 0.005)
    further = stats.t.isf(tail, count - 1) / stats.t.isf(near, count - 1)
    error_ = means.std(ddof=1) / np.sqrt(count)
    furthest = 2 * stats.t.isf(near, count - 1)
    low, high = np.clip(ends(replicates, 1 - 2 * near), -furthest, furthest) if len(replicates) else (0, 0)
    if not trainings:
        return means.mean() - error_ * further * high, means.mean() - error_ * further * low
    own = np.array([max(high, 0), max(-low, 0)]) * further * np.sqrt(patients_)
    both = np.sqrt(own**2 + stats.t.isf(tail, df) ** 2 * trainings)
    return means.mean() - both[0], means.mean() + both[1]


def p_beyond(value, means, replicates, parts):
    """Twice the one-sided p that the truth is above a value, and that it is below: the level at which a limit is it."""
    found = []
    for side, sign in ((0, 1), (1, -1)):
        smallest, largest = 1e-9, 0.5
        while largest / smallest > 1 + 1e-7:
            middle = np.sqrt(smallest * largest)
            shown = sign * (limits(means, replicates, parts, middle)[side] - value) > 0
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

    return optimize.brentq(short, 1e-12, 1 - 1e-12, xtol=1e-12, rtol=1e-9)


def error(values, tables, groups):
    """Squared standard errors that patients and trainings add to the mean over patients of values (cases,), which were
    taken from the methods' tables (seeds, cases), and Satterthwaite's degrees of freedom of trainings."""
    by_patient = patients(values, groups)
    total, twice, parts = by_patient.var(ddof=1) / len(by_patient), 0.0, []
    if all(len(table) > 2 for table in tables):
        for table in tables:
            whole = np.isfinite(table).all(axis=0)
            cells = np.array([patients(row[whole], np.asarray(groups)[whole]) for row in table])
            rest = cells - cells.mean(0) - cells.mean(1)[:, None] + cells.mean()
            twice += np.sum(rest**2) / (len(cells) - 1) / (cells.shape[1] - 1) / cells.size
            parts.append((cells.mean(1).var(ddof=1) / len(cells), len(cells) - 1))
    added = sum(part for part, _ in parts)
    df = added**2 / sum(part**2 / f for part, f in parts) if added else None
    return max(total - min(twice, added), 0), added, df


def mean(*tables, groups):
    """(value, low, high) of the mean over patients of one method, or of the first minus the second."""
    tables = [np.atleast_2d(table) for table in tables]
    values = averaged(tables[0]) - (averaged(tables[1]) if len(tables) > 1 else 0)
    by_patient = patients(values, groups)
    if len(by_patient) < 5:
        return by_patient.mean(), np.nan, np.nan
    return by_patient.mean(), *limits(by_patient, studentised(by_patient), error(values, tables, groups), 0.025)


def bounded(values, groups, bounds):
    """(value, low, high) of the mean over patients of one training's scores (cases,) between bounds: as `mean`, but
    Gaffke's limits the more patients, from a quarter to a half, have the same score."""
    own, found = patients(values, groups), mean(values, groups=groups)
    widths = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
    same = [max(np.sum((own >= x) & (own <= x + width)) for x in own) for width in widths]
    weight = np.clip(4 * ((np.mean(same) - 1) / (len(own) - 1) - 0.25), 0, 1)
    shares = np.random.default_rng(0).dirichlet(np.ones(len(own) + 1), RESAMPLES)
    low, high = (ends(shares[:, 0] * bound + shares[:, 1:] @ own)[k] for k, bound in enumerate(bounds))
    limits_ = [(1 - weight) * t + weight * gaffke for t, gaffke in zip(found[1:], (low, high))] if weight else found[1:]
    return found[0], *np.clip(limits_, *bounds)


def smooth(function, values, groups):
    """(value, low, high) of a function of several means (conditions,), by what each patient adds (jackknife
    pseudo-values). values: (conditions, cases) of one training."""
    cells = np.array([patients(row, groups) for row in values])
    count, value = cells.shape[1], function(cells.mean(axis=1))
    pseudo = np.array([count * value - (count - 1) * function(np.delete(cells, k, axis=1).mean(axis=1))
                       for k in range(count)])  # fmt: skip
    own, low, high = mean(pseudo, groups=np.arange(count))
    return value, low + value - own, high + value - own


def moved(values, groups):
    """(2000, conditions) means of bootstrap samples, as far from the mean as Student's t is. values: as `smooth`."""
    cells = np.array([patients(row, groups) for row in values])
    count, centre = cells.shape[1], cells.mean(axis=1)
    reach = stats.t.isf(0.025, count - 1) / stats.norm.isf(0.025) * np.sqrt(count / (count - 1))
    return centre + reach * (drawn(count) @ cells.T / count - centre)


def tests(first, second, groups, margin=0.01):
    """p of no difference, of not worse and of not better by more than the margin, which one more patient in whom a
    method loses 0.3 may not break; standard error and what Student's t makes its 95 % reach of it; and p that the
    difference would stay where it is with two more patients in whom the method that is ahead loses 0.3."""
    tables = [np.atleast_2d(first), np.atleast_2d(second)]
    values = averaged(first) - averaged(second)
    by_patient, parts = patients(values, groups), error(values, tables, groups)
    replicates = studentised(by_patient)
    several = all(len(table) > 2 for table in tables)
    room = margin - 0.3 / (len(by_patient) + 1)
    spread = np.sqrt(parts[0] + parts[1])
    if several:
        p = max(min(p_beyond(0, by_patient, replicates, parts)), p_students(by_patient, parts))
    else:
        p = stats.wilcoxon(by_patient).pvalue
    reach = stats.t.isf(0.025, len(by_patient) - 1) ** 2 * parts[0]
    reach += stats.t.isf(0.025, parts[2]) ** 2 * parts[1] if parts[1] else 0
    not_worse = p_beyond(-room, by_patient, replicates, parts)[0]
    not_better = p_beyond(room, by_patient, replicates, parts)[1]
    two = 0.6 / (len(by_patient) + 2)
    ahead = by_patient.mean() > 0
    lasting = p_beyond(two if ahead else -two, by_patient, replicates, parts)[0 if ahead else 1]
    return p, not_worse, not_better, spread, np.sqrt(reach) / spread, lasting


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
