"""The uncertainty reports in docs/results against the records committed beside them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.reports.committed import DIGITS, alike, collapsed, found, records_of, same, scores, variant
from tests.reports.committed_comparisons import Pair, check
from tests.reports.resampling import jackknifed, mean

REGIONS = ("", "foreground_", "boundary_")
UNBOUNDED = (-np.inf, np.inf)
MIN_RANKED = 8
"""Of fewer patients a correlation has no interval."""


@pytest.fixture
def records(path):
    return records_of(path)


def of(records, row, columns):
    """(seeds, cases, columns) and the patient of each case. row: of a table, with method and steps."""
    part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"])]
    tables = [scores(part, column) for column in columns]
    return np.stack([values for values, _ in tables], axis=-1), tables[0][1]


def rows_of(path):
    """Rows of a table without those of methods that were declined or failed."""
    rows = pd.read_csv(path)
    return (rows[rows["note"].isna()] if "note" in rows else rows).to_dict("records")


def numbered(records, beginning, ending=""):
    """Columns that are called so and numbered, in order."""
    own = [name for name in records if name.startswith(beginning) and name.endswith(ending)]
    return sorted(name for name in own if name[len(beginning)].isdigit())


def constant(records, row):
    """Whether all runs of every image are alike."""
    return not (of(records, row, ["mean_sd"])[0] > 0).any()


def bounds(records, row, highest):
    """Of a score between 0 and `highest`; where runs are all alike they tell nothing in any patient."""
    return UNBOUNDED if constant(records, row) else (0, highest)


@found("runs_*")
def test_what_the_runs_are(path, records):
    for row in rows_of(path):
        for name in ("dsc", "run_dsc"):
            same(row, name, *scores(records, name, method=row["method"], steps=row["steps"]))
        for name in ("run_dsc_sd", "mean_sd", "energy_distance"):
            values, groups = scores(records, name, method=row["method"], steps=row["steps"])
            same(row, name, values, groups, bounds=(0, 2) if name == "energy_distance" else (0, np.inf))
        both, groups = of(records, row, ["dsc", "run_dsc", "seconds", "runs", "nfe"])
        same(row, "gain", both[..., 0] - both[..., 1], groups, bounds=(-1, 1))
        seconds, _, _ = mean(both[..., 2], groups=groups)
        # A time of five digits may be one of three.
        assert row["seconds"] == pytest.approx(seconds * row["runs"], rel=1e-3)
        assert {row["runs"]} == set(both[..., 3].ravel()) and {row["nfe"]} == set(both[..., 4].ravel())


@found("error_prediction_*")
def test_whether_the_spread_tells_the_error(path, records):
    for row in rows_of(path):
        for name in ("auroc", "auroc_confidence"):
            values, groups = scores(records, name, method=row["method"], steps=row["steps"])
            same(row, name, values, groups, bounds=bounds(records, row, 1))
            if name == "auroc":
                assert (row["undefined"], row["scores"]) == (np.isnan(values).sum(), values.size)
        assert row["constant"] == constant(records, row)
        assert row.get("collapsed", False) == collapsed(records, method=row["method"], steps=row["steps"])
        counts, groups = of(records, row, ["errors", "pixels"])
        same(row, "error_rate", counts[..., 0] / counts[..., 1], groups)
        both, groups = of(records, row, ["mean_sd", "dsc"])
        sd, loss = both[..., 0], 1 - both[..., 1]

        def correlation(seed, weights, sd=sd, loss=loss):
            return weighted_spearman(sd[seed], loss[seed], weights)

        def over_images(seed, weights, sd=sd, loss=loss):
            return weights @ risks(sd[seed], loss[seed], weights)

        value, low, high = np.clip(jackknifed(correlation, len(sd), groups), -1, 1)
        low, high = (low, high) if len(set(groups)) >= MIN_RANKED else (np.nan, np.nan)
        near = 10 * (ties(sd).sum() + ties(loss).sum()) / sd.size / sd.shape[1]
        alike(row, "spearman", (value, low, high), tolerance=5e-5 + near)
        near = 2 * ties(sd).sum() / sd.size / sd.shape[1]
        alike(row, "aurc_images", np.clip(jackknifed(over_images, len(sd), groups), 0, 1), tolerance=5e-5 + near)
        names = numbered(records, "risk")
        wrong, coverage = of(records, row, names)[0], np.array([int(name[4:]) / 100 for name in names])

        def over_pixels(seed, weights, wrong=wrong, coverage=coverage):
            return np.trapezoid(weights @ wrong[seed], coverage) / (coverage[-1] - coverage[0])

        alike(row, "aurc_pixels", np.clip(jackknifed(over_pixels, len(sd), groups), 0, 1))


def ties(values):
    """(seeds, cases - 1) whether sorted values follow one another so closely that rounding may have turned them round.
    values: (seeds, cases)."""
    return np.diff(np.sort(values), axis=1) < 1.5 * DIGITS


def risks(sd, loss, weights):
    """(cases,) mean loss of the images whose SD is no higher than that of each."""
    return np.array([np.average(loss[sd <= x], weights=weights[sd <= x]) if weights[sd <= x].any() else 0 for x in sd])


def weighted_spearman(first, second, weights):
    """Rank correlation of images that weigh so much."""
    ranks = [[weights[values < x].sum() + weights[values == x].sum() / 2 for x in values] for values in (first, second)]
    matrix = np.cov(ranks, aweights=weights, ddof=0)
    scale = np.sqrt(matrix[0, 0] * matrix[1, 1])
    return matrix[0, 1] / scale if scale > 1e-15 else np.nan


@found("calibration_*")
def test_whether_confidence_is_what_it_says(path, records):
    for row in rows_of(path):
        values, groups = scores(records, "brier", method=row["method"], steps=row["steps"])
        same(row, "brier", values, groups, bounds=bounds(records, row, 2))
        for region in REGIONS:
            count, sure, right = (of(records, row, numbered(records, f"{region}bin", end))[0]
                                  for end in ("_count", "_confidence", "_correct"))  # fmt: skip

            def excess(seed, weights, sure=sure, right=right, count=count):
                return np.sum(weights @ (sure[seed] - right[seed])) / np.sum(weights @ count[seed])

            def error(seed, weights, sure=sure, right=right, count=count):
                return np.sum(np.abs(weights @ (sure[seed] - right[seed]))) / np.sum(weights @ count[seed])

            alike(row, f"{region}ece", np.clip(jackknifed(error, len(count), groups), 0, 1))
            alike(row, f"{region}overconfidence", np.clip(jackknifed(excess, len(count), groups), -1, 1))


@found("uncertainty_differences")
def test_comparisons_of_spread_and_error(path, records):
    rows, pairs = pd.read_csv(path), []
    for row in rows.to_dict("records"):
        where = [variant(row[side]) for side in ("first", "second") if isinstance(row[side], str)]
        between = row["of"] == "AUROC of the SD"
        columns = {"AUROC of the SD": "auroc auroc", "AUROC of the SD − of 1 − confidence": "auroc auroc_confidence",
                   "DSC of the mean − of one run": "dsc run_dsc"}[row["of"]].split()  # fmt: skip
        (one, groups), (two, _) = (scores(records, column, **which) for column, which in
                                   zip(columns, where if between else 2 * where, strict=True))  # fmt: skip
        if not between:
            # What a training adds to both cancels, seed by seed.
            one, two = one - two, 0 * two
        fell = any(collapsed(records, **which) for which in where)
        pairs.append(Pair(one, two, groups, collapsed=fell).judged())
    check(rows, pairs, ["dataset", "of"])
    methods = records.drop_duplicates(["method", "steps"]).to_dict("records")
    told = [row for row in methods if not constant(records, row)]
    assert rows["of"].value_counts().to_dict() == {name: count for name, count in (
        ("AUROC of the SD", len(told) - 1), ("AUROC of the SD − of 1 − confidence", len(told)),
        ("DSC of the mean − of one run", len(methods))) if count > 0}  # fmt: skip


@found("classes_*")
def test_single_runs_by_class(path, records):
    for row in rows_of(path):
        if "run_dsc" in row:
            part = records[(records["class"] == row["class"]) & (records["method"] == row["method"])]
            part = part[part["steps"] == row["steps"]]
            assert row["run_dsc"] == pytest.approx(part["run_dsc"].mean(), abs=1e-5)
            assert row["run_dsc_sd"] == pytest.approx(part["run_dsc_sd"].mean(), abs=1e-5)


@found("reliability", "figures")
def test_reliability(path, records):
    rows = pd.read_csv(path)
    for (method, steps), part in rows.groupby(["method", "steps"]):
        row = {"method": method, "steps": steps}
        sums = [of(records, row, numbered(records, "bin", end))[0].sum(axis=(0, 1))
                for end in ("_count", "_confidence", "_correct")]  # fmt: skip
        count, sure, right = (values[sums[0] > 0] for values in sums)
        for name, expected in (("share_of_pixels", count / count.sum()), ("confidence", sure / count),
                               ("accuracy", right / count)):  # fmt: skip
            assert part[name].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert len(rows.groupby(["method", "steps"])) == len(records.groupby(["method", "steps"]))


@found("risk_coverage", "figures")
def test_risk_by_coverage(path, records):
    rows, names = pd.read_csv(path), numbered(records, "risk")
    for (method, steps), part in rows.groupby(["method", "steps"]):
        row = {"method": method, "steps": steps}
        pixels, images = part[part["over"] == "pixels"], part[part["over"] == "images"]
        for name, told in zip(names, pixels.to_dict("records"), strict=True):
            assert told["coverage"] == pytest.approx(int(name[4:]) / 100)
            values, groups = scores(records, name, **row)
            assert told["risk"] == pytest.approx(mean(values, groups=groups)[0], abs=1e-5)
        both, _ = of(records, row, ["mean_sd", "dsc"])
        # Each training in the order of its own SD.
        expected = np.mean([risks(sd, 1 - dsc, np.ones(len(sd)))[np.argsort(sd)] for sd, dsc in
                            np.moveaxis(both, -1, 1)], axis=0)  # fmt: skip
        clear = np.append(~ties(both[..., 0]).any(axis=0), True)
        assert images["risk"][clear].tolist() == pytest.approx(expected[clear].tolist(), abs=1e-5)
        assert images["coverage"].tolist() == pytest.approx(np.arange(1, len(expected) + 1) / len(expected))


@found("sd_by_error", "figures")
def test_spread_and_error_by_image_are_the_records(path, records):
    keys = ["method", "steps", "seed", "case"]
    rows = pd.read_csv(path).set_index(keys).sort_index()
    known = records[records["class"] == "all"].set_index(keys).sort_index()
    assert rows.index.equals(known.index)
    for name in ("mean_sd", "dsc"):
        assert rows[name].tolist() == pytest.approx(known[name].tolist(), abs=1e-5)
    assert (rows["group"] == known["group"]).all()


def test_a_weighted_rank_correlation_is_spearman_s_of_images_that_occur_so_often():
    first, second, often = [3, 1, 4, 1, 5], [2, 7, 1, 8, 3], [1, 2, 1, 3, 2]
    repeated = stats.spearmanr(np.repeat(first, often), np.repeat(second, often)).statistic
    weights = np.array(often) / sum(often)
    assert weighted_spearman(np.array(first), np.array(second), weights) == pytest.approx(repeated)
