"""The intervals and tests of the reports once more, with numpy and scipy alone, for tests that recompute a report.

Scores of a method are (seeds, cases), or (cases,) where it was trained once; groups: the patient of each case.
"""

import numpy as np
import pandas as pd
from scipy import stats

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


def bootstrap(means):
    """Interval of the mean of patients after one training: bootstrap-t below 40 patients."""
    count, found = len(means), []
    if count >= 40:
        return ends(drawn(count) @ means / count)
    for times in drawn(count):
        sample = np.repeat(means, times)
        if sample.std() > 1e-12:
            found.append((sample.mean() - means.mean()) / (sample.std(ddof=0) / np.sqrt(count - 1)))
    if not found:
        return means.mean(), means.mean()
    furthest = 2 * stats.t.ppf(0.975, count - 1)
    low, high = np.clip(ends(found), -furthest, furthest)
    error = means.std(ddof=1) / np.sqrt(count)
    return means.mean() - error * high, means.mean() - error * low


def error(values, tables, groups):
    """Standard error and degrees of freedom of the mean over patients of values (cases,), which were taken from the
    methods' tables (seeds, cases): 1 / df is the mean of that of patients and Satterthwaite's of trainings, weighted by
    what each adds to the variance."""
    by_patient = patients(values, groups)
    count = len(by_patient)
    total, twice, parts = by_patient.var(ddof=1) / count, 0.0, []
    if all(len(table) > 2 for table in tables):
        for table in tables:
            whole = np.isfinite(table).all(axis=0)
            cells = np.array([patients(row[whole], np.asarray(groups)[whole]) for row in table])
            rest = cells - cells.mean(0) - cells.mean(1)[:, None] + cells.mean()
            twice += np.sum(rest**2) / (len(cells) - 1) / (cells.shape[1] - 1) / cells.size
            parts.append((cells.mean(1).var(ddof=1) / len(cells), len(cells) - 1))
    added = sum(part for part, _ in parts)
    own = max(total - min(twice, added), 0)
    if not added:
        return np.sqrt(own), count - 1
    of_trainings = added**2 / sum(part**2 / f for part, f in parts)
    return np.sqrt(own + added), (own + added) / (own / (count - 1) + added / of_trainings)


def mean(*tables, groups):
    """(value, low, high) of the mean over patients of one method, or of the first minus the second."""
    tables = [np.atleast_2d(table) for table in tables]
    values = averaged(tables[0]) - (averaged(tables[1]) if len(tables) > 1 else 0)
    by_patient = patients(values, groups)
    if len(by_patient) < 5:
        return by_patient.mean(), np.nan, np.nan
    if any(len(table) < 3 for table in tables):
        return by_patient.mean(), *bootstrap(by_patient)
    spread, df = error(values, tables, groups)
    return by_patient.mean(), *(by_patient.mean() + spread * stats.t.ppf([0.025, 0.975], df))


def tests(first, second, groups, margin=0.01):
    """p of no difference, and of the one-sided tests against -margin and margin; standard error and its df."""
    tables = [np.atleast_2d(first), np.atleast_2d(second)]
    values = averaged(first) - averaged(second)
    spread, df = error(values, tables, groups)
    by_patient = patients(values, groups)
    value = by_patient.mean()
    several = all(len(table) > 2 for table in tables)
    p = 2 * stats.t.sf(abs(value) / spread, df) if several else stats.wilcoxon(by_patient).pvalue
    return p, stats.t.sf((value + margin) / spread, df), stats.t.cdf((value - margin) / spread, df), spread, df


def power(difference, spread, df, comparisons, draws=200_000):
    """How often a t test at 0.05 / comparisons finds a true difference, by simulation."""
    random = np.random.default_rng(0)
    t = (difference / spread + random.normal(size=draws)) / np.sqrt(random.chisquare(df, draws) / df)
    return np.mean(t > stats.t.isf(0.025 / comparisons, df))


def holm(p_values):
    """Holm's correction (Scand J Statist 6:65, 1979), step by step."""
    count, order, corrected = len(p_values), np.argsort(p_values), np.empty(len(p_values))
    for place, k in enumerate(order):
        corrected[k] = max([(count - place) * p_values[k], *corrected[order[:place]]])
    return np.minimum(corrected, 1)
