"""What the reports in docs/results say of one method against another, against the records committed beside them:
differences and their tests, posteriors, ranks, Friedman's test."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.reports.committed import (
    DIGITS,
    collapsed,
    found,
    lowest,
    over_patients,
    records_of,
    scores,
    shown,
    variant,
)
from tests.reports.committed_comparisons import MARGIN, check, pair
from tests.reports.resampling import averaged, patients, ranked


@pytest.fixture
def records(path):
    return records_of(path)


def sigmas(text):
    """The noise level that a row of differences is of, and the one it changed from."""
    *since, sigma = (float(number) for number in re.findall(r"[\d.]+", text))
    return {"sigma": sigma, "since": since[0] if text.startswith("change") else None}


@found("differences")
def test_differences_and_their_tests(path, records):
    rows = pd.read_csv(path)
    pairs = [pair(records, variant(row.first), variant(row.second), **sigmas(row.of)) for row in rows.itertuples()]
    check(rows, pairs, ["dataset", "of"], "low", "high")
    for row in rows.to_dict("records"):
        for side in ("first", "second"):
            assert row[f"{side}_seeds"] == len(scores(records, **variant(row[side]), sigma=lowest(records))[0])


@found("differences")
def test_the_first_method_is_compared_with_every_other(path):
    first, *others = shown(path)
    for _, part in pd.read_csv(path).groupby("of"):
        assert list(map(variant, part["first"])) == [first] * len(others)
        assert list(map(variant, part["second"])) == others


def variant_of(row):
    """The conditions on records that a row of a table is of."""
    return {"method": row.method, "steps": row.steps}


@found("twins")
def test_methods_and_their_twins(path, records):
    rows = pd.read_csv(path)
    pairs = [pair(records, variant_of(row), variant(row.twin), row.sigma) for row in rows.itertuples()]
    check(rows, pairs, ["dataset", "sigma"])


@found("pairs_*")
def test_every_pair_of_methods(path, records):
    rows = pd.read_csv(path)
    pairs = [pair(records, variant(row.first), variant(row.second), lowest(records)) for row in rows.itertuples()]
    check(rows, pairs, None, "low", "high")
    methods = len(shown(path))
    assert len({frozenset(keys) for keys in zip(rows["first"], rows["second"])}) == methods * (methods - 1) / 2


@found("fewest_against_most")
def test_the_fewest_steps_against_the_most(path, records):
    rows, pairs = pd.read_csv(path), []
    for row in rows.itertuples():
        one = pair(records, *({"method": row.method, "steps": steps} for steps in (row.fewest, row.most)), 0)
        steps = records.loc[records["method"] == row.method, "steps"].unique()
        assert (row.fewest, row.most) == (steps.min(), steps.max())
        fell = any(collapsed(records, method=row.method, steps=k) for k in steps)
        pairs.append(one._replace(collapsed=fell).judged())
    check(rows, pairs)


@found("posteriors")
def test_posteriors(path, records):
    rows = pd.read_csv(path)
    for row in rows.to_dict("records"):
        one, two, groups, *_ = pair(records, variant_of(pd.Series(row)), variant(row["other"]), row["sigma"])
        z = np.append(patients(averaged(one) - averaged(two), groups), 0)
        weights = np.random.default_rng(9).dirichlet([1.0] * (len(z) - 1) + [0.5], 20_000)
        sums = np.add.outer(z, z)
        above, below = (np.sum(weights @ (1.0 * side) * weights, axis=1)
                        for side in (sums > 2 * MARGIN, sums < -2 * MARGIN))  # fmt: skip
        likeliest = np.argmax([above, 1 - above - below, below], axis=0)
        told = [row[side] for side in ("better", "equivalent", "worse")]
        assert told == pytest.approx(np.bincount(likeliest, minlength=3) / 20_000, abs=0.015)
        assert (row["margin"], row["groups"]) == (MARGIN, len(z) - 1)
    compared = pd.read_csv(path.with_name("differences.csv")).query("not collapsed and of.str.startswith('dsc')")
    assert len(rows) == len(compared)


def in_order(path, sigma):
    """The methods that are ranked, in the suite's order: no training of theirs collapsed."""
    rows = pd.read_csv(path.with_name("ranks_elsewhere.csv")).query("sigma == @sigma")
    return [variant_of(row) for row in rows.itertuples()]


FEW = 0.002
"""Share of draws by which an end of a range of ranks may be missed."""


def check_ranks(rows, methods, records, sigma):
    """Ranks and how stable they are. rows: of a table, by method; methods: conditions on records."""
    tables, groups = zip(*(scores(records, sigma=sigma, **where) for where in methods))
    means = np.array([patients(averaged(values), groups[0]).mean() for values in tables])
    places = ranked(tables, groups[0])
    for where, mean, sampled in zip(methods, means, places, strict=True):
        row = rows.loc[(where["method"], where["steps"])]
        assert 1 + (means > mean + DIGITS).sum() <= row["rank"] <= (means > mean - DIGITS).sum()
        assert row["dsc"] == pytest.approx(mean, abs=1e-5)
        # Records of five digits let a few draws end in a tie, or no longer.
        below, above = sampled < row["rank_low"], sampled > row["rank_high"]
        assert max(below.mean(), above.mean()) <= 0.025 + FEW
        assert min(np.mean(sampled <= row["rank_low"]), np.mean(sampled >= row["rank_high"])) >= 0.025 - FEW
        for name, share in (("kept", sampled == row["rank"]), ("first", sampled == 1)):
            assert name not in row or row[name] == pytest.approx(np.mean(share), abs=0.01)


@found("ranks")
def test_ranks_and_how_stable_they_are(path, records):
    for sigma, part in pd.read_csv(path).groupby("sigma"):
        methods = in_order(path, sigma)
        assert {(where["method"], where["steps"]) for where in methods} == set(zip(part["method"], part["steps"]))
        check_ranks(part.set_index(["method", "steps"]), methods, records, sigma)


@found("accuracy_*")
def test_ranks_in_tables_of_accuracy(path, records):
    """Those of the table of ranks or, at equal network evaluations, of their own."""
    sigma, rows = lowest(records), pd.read_csv(path).dropna(subset="dsc")
    ranks, own = pd.read_csv(path.with_name("ranks.csv")).query("sigma == @sigma"), rows.dropna(subset="rank")
    columns = ["method", "steps", "rank", "rank_low", "rank_high"]
    if not path.stem.startswith("accuracy_equal_"):
        assert sorted(map(tuple, own[columns].to_numpy())) == sorted(map(tuple, ranks[columns].to_numpy()))
    unranked = rows[rows["rank"].isna()]
    assert all(collapsed(records, **variant_of(row)) for row in unranked.itertuples())
    steps = rows.set_index("method")["steps"]
    order = dict.fromkeys(where["method"] for where in shown(path))
    methods = [{"method": name, "steps": steps[name]} for name in order if name in set(own["method"])]
    check_ranks(own.set_index(["method", "steps"]), methods, records, sigma)


def falling(values, digits):
    """Places of values, of which rounded ones that are equal may have been in any order: (lowest, highest) of each."""
    values = np.asarray(values)
    near = 10.0**-digits
    return [(1 + (values > value + near).sum(), (values > value - near).sum()) for value in values]


def within(told, places):
    return all(low <= place <= high for place, (low, high) in zip(told, places, strict=True))


@found("ranks_elsewhere")
def test_ranks_by_other_summaries_and_metrics(path, records):
    rows = pd.read_csv(path)
    for sigma, part in rows.groupby("sigma"):
        methods = [variant_of(row) | {"sigma": sigma} for row in part.itertuples()]
        by_patient = np.array([over_patients(records, **where) for where in methods])
        assert within(part["mean_dsc"], falling(by_patient.mean(axis=1), 5))
        assert within(part["median"], falling(np.median(by_patient, axis=1), 5))
        ranks = stats.rankdata(-np.round(by_patient, 12), axis=0).mean(axis=1)
        assert within(part["mean_rank"], falling(-ranks, 9))
        if "mean_over_cases" in part:
            means = [averaged(scores(records, **where)[0]).mean() for where in methods]
            assert within(part["mean_over_cases"], falling(means, 5))
        assert ("mean_over_cases" in part) == (records["group"].nunique() < records["case"].nunique())
        for metric in set(part) & set(records) - {"method", "dataset", "steps", "sampler", "ensemble", "sigma"}:
            sign = -1 if metric.startswith(("hd95", "assd", "object_hausdorff")) else 1
            means = [sign * over_patients(records, metric, **where).mean() for where in methods]
            assert within(part[metric], falling(means, 4 if sign < 0 else 5)), metric
    measured = set(records.dropna(axis=1, how="all"))
    assert {"iou", "nsd", "object_f1", "object_dice"} & measured <= set(rows)


def friedman(losses):
    """Chi-squared, p and mean ranks. losses: (methods, patients)."""
    return *stats.friedmanchisquare(*losses), stats.rankdata(losses, axis=0).mean(axis=1)


@found("friedman")
def test_friedman_s_test_and_its_diagram(path, records):
    drawn = pd.read_csv(path.parents[1] / "figures" / "critical_difference.csv")
    for row in pd.read_csv(path).to_dict("records"):
        part = drawn[drawn["sigma"] == row["sigma"]]
        tables, groups = zip(*(scores(records, **variant_of(one), sigma=row["sigma"]) for one in part.itertuples()))
        losses = -np.array([patients(averaged(values), groups[0]) for values in tables])
        methods, blocks = losses.shape
        left_out = str(row["left_out"]).split("; ") if isinstance(row["left_out"], str) else []
        assert (row["methods"], row["groups"]) == (methods, blocks)
        assert methods + len(left_out) == len(shown(path))
        scale = np.sqrt(methods * (methods + 1) / 6 / blocks)
        critical = stats.studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2) * scale
        assert row["critical_difference"] == pytest.approx(critical)
        assert (part["critical_difference"] == row["critical_difference"]).all()
        apart = np.abs(losses[:, None] - losses)[np.triu_indices(methods, 1)]
        if np.mean(apart < 2 * DIGITS) > 0.02:
            # The ranks are of digits that are not there.
            continue
        value, p, means = friedman(losses)
        assert row["chi_squared"] == pytest.approx(value, rel=1e-3)
        assert row["p"] == pytest.approx(p, rel=0.1, abs=1e-300)
        assert row["kendall_w"] == pytest.approx(value / blocks / (methods - 1), rel=1e-3)
        assert part["mean_rank"].tolist() == pytest.approx(means.tolist(), abs=0.02)
        apart = np.abs(means - means.min()) / scale * np.sqrt(2)
        nemenyi = stats.studentized_range.sf(apart, methods, np.inf)
        assert part["p_against_best"].tolist() == pytest.approx(nemenyi.tolist(), abs=0.02)
        if len(tables[0]) > 1:
            check_seeds(row, part, [friedman(-np.array([patients(values[seed], groups[0]) for values in tables]))
                                    for seed in range(len(tables[0]))])  # fmt: skip
        else:
            assert "p_lowest_seed" not in row or np.isnan(row["p_lowest_seed"])


def check_seeds(row, part, by_seed):
    """The same test of each seed alone: from where to where p and mean ranks go."""
    _, p, means = zip(*by_seed)
    assert (row["p_lowest_seed"], row["p_highest_seed"]) == pytest.approx((min(p), max(p)), rel=0.1, abs=1e-300)
    for name, ends_of in (("lowest", np.min), ("highest", np.max)):
        assert part[f"mean_rank_{name}_seed"].tolist() == pytest.approx(ends_of(means, axis=0).tolist(), abs=0.02)


@found("friedman")
def test_methods_without_a_rank_are_those_of_which_a_training_collapsed(path, records):
    ranks = pd.read_csv(path.with_name("ranks.csv"))
    placed = set(zip(ranks["method"], ranks["steps"]))
    for where in shown(path):
        assert ((where["method"], where["steps"]) in placed) == (not collapsed(records, **where))
