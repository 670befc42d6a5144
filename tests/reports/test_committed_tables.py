"""What test_committed_results.py leaves of the numbers in docs/results: counts, ranks, Friedman's test, effect sizes,
verdicts, figures, times; and that each number is recomputed somewhere, or stands in a list with the reason why not."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from tests.reports import resampling
from tests.reports.committed import METRICS, RESULTS, found, measured, records_of, same, samples, scores
from tests.reports.resampling import ends, ends_of_rounds, patients

KEYS = {"dataset", "method", "steps", "sampler", "ensemble", "sigma", "class", "first", "second", "of", "other", "note",
        "image_size", "smallest", "largest", "score", "same_data", "left_out"}  # fmt: skip
"""Columns that say what a row is of."""
ELSEWHERE = RESULTS / "synthetic_training"
"""Recomputed by test_committed_synthetic_training.py."""
SETTINGS = ("trials", "data_sets", "environment", "method_settings", "training_settings", "training_differences")
"""Tables of what was set and what happened, which come from the trials and not from records."""
OF_TRIALS = {"parameters", "training_seconds", "training_steps", "seconds_median", "seconds_iqr", "repeats",
             "peak_memory_mib", "seconds"}  # fmt: skip
"""Measured once on a trial, which is not committed; where suites of timings have such columns, they are recomputed."""
TESTS = {"p", "p_holm", "p_not_worse", "p_not_better", "p_equivalent", "p_lasting", "margin", "unseen_failure",
         "family", "attainable", "detectable", "rank_biserial", "d_z", "about", "collapsed", "verdict"}  # fmt: skip
MEAN = {"dsc", "dsc_low", "dsc_high"}
RECOMPUTED = {
    "accuracy_*": {"rank", "rank_low", "rank_high", "undefined_distances", "scores", "seeds", "seed_sd", "nfe"},
    "classes_*": {"undefined_distances", "scores", "both_empty"},
    "cost": {"nfe"},
    "critical_difference": {"mean_rank", "p_against_best", "critical_difference"},
    "differences*": {"difference", "low", "high", "cases", "groups", "first_seeds", "second_seeds", "error", "df",
                     *TESTS},
    "dsc_by_method": {*MEAN, "published"},
    "dsc_by_s*": {"dsc", "low", "high", "cases", "groups", "seeds", "seed_sd", "nfe"},
    "dsc_by_time": {*MEAN, "low", "high", "nfe"},
    "fewest_against_most": {"fewest", "most", "difference", "difference_low", "difference_high", *TESTS},
    "friedman": {"methods", "groups", "chi_squared", "p", "kendall_w", "critical_difference"},
    "posteriors": {"better", "equivalent", "worse", "margin", "groups"},
    "published": {"published", "ours", "difference", "low", "high"},
    "published_steps": {"published_best", "enough", "best"},
    "ranks": {"rank", "rank_low", "rank_high", "kept", "first", "dsc"},
    "ranks_elsewhere": {"mean_dsc", "median", "mean_over_cases", "mean_rank", "iou", "hd95", "assd"},
    "robustness": {"sigma_from", "sigma_to", *(f"{n}{e}" for n in ("area", "relative_area", "sigma_at_loss")
                                               for e in ("", "_low", "_high"))},
    "steps_needed": {"enough", "enough_low", "enough_high", "best_steps", "best_low", "best_high", "best_dsc",
                     "best_minus_fewest", "low", "high", "nfe"},
    "image_size": {"nfe", "first_seconds", "seconds_q1", "seconds_q3", "calls"},
    "scaling": {"sizes", "exponent", "low", "high", "rounds", "exponent_last", "last_low", "last_high",
                "memory_exponent"},
}  # fmt: skip
"""By table, the columns that this file or test_committed_results.py computes from the records alone."""
PUBLISHED = yaml.safe_load((RESULTS.parents[1] / "reports" / "sections" / "published.yaml").read_text())


@pytest.fixture
def records(path):
    return records_of(path)


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*.csv")), ids=lambda path: str(path.relative_to(RESULTS)))
def test_every_column_is_recomputed_or_said_not_to_be(path):
    if path.name == "records.csv" or path.stem in SETTINGS or path.stem.startswith("training_"):
        return
    if ELSEWHERE in path.parents:
        return
    stem = "image_size" if path.stem == "cost_by_size" else path.stem
    fitting = [columns for name, columns in RECOMPUTED.items() if re.fullmatch(name.replace("*", ".*"), stem)]
    known = set().union(*fitting)
    assert known, f"nothing recomputes {path.name}"
    if stem.startswith(("accuracy_", "classes_")):
        known |= {f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")}
        known |= {name for name in pd.read_csv(path, nrows=0) if name.startswith("dsc_")}
    assert set(pd.read_csv(path, nrows=0)) - known - KEYS - OF_TRIALS == set()


@found("accuracy_*")
def test_counts_and_ranks_of_the_table_of_accuracy(path, records):
    ranks = pd.read_csv(path.with_name("ranks.csv")).set_index(["method", "steps"])
    for row in measured(path):
        part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"]) & (records.sigma == 0)]
        part = part[part["class"] == "all"]
        assert (row["scores"], row["undefined_distances"]) == (len(part), part["hd95"].isna().sum())
        assert (row["seeds"], row["nfe"]) == (part["seed"].nunique(), part["nfe"].iloc[0])
        by_seed = part.groupby("seed")["dsc"].mean()
        assert row["seed_sd"] == pytest.approx(by_seed.std(), abs=1e-5, nan_ok=True)
        placed = ranks.loc[(row["method"], row["steps"])]
        assert all(row[name] == placed[name] for name in ("rank", "rank_low", "rank_high"))


@found("classes_*")
def test_counts_of_the_table_by_class(path, records):
    names = set(records["class"]) - {"all"}
    for row in measured(path):
        part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"])]
        part = part[np.isclose(part["sigma"], row["sigma"])]
        own = part[part["class"] == (row["class"] if row["class"] in names and len(names) > 1 else "all")]
        assert row["scores"] == len(own)
        if row["class"] != "mean over classes":
            assert row["undefined_distances"] == own["hd95"].isna().sum()
            # Records without the column are of data sets in which no case is without foreground.
            assert row["both_empty"] == ((own["empty"] == "both").sum() if "empty" in own else 0)


@found("dsc_by_s*")
def test_counts_of_curves(path, records):
    for row in measured(path):
        part = records[(records["class"] == "all") & (records["method"] == row["method"])]
        part = part[(part["steps"] == row["steps"]) & np.isclose(part["sigma"], row.get("sigma", 0))]
        counted = {"cases": part["case"].nunique(), "groups": part["group"].nunique(), "seeds": part["seed"].nunique(),
                   "nfe": part["nfe"].iloc[0]}  # fmt: skip
        assert all(row[name] == value for name, value in counted.items() if name in row)


@pytest.mark.parametrize("folder, name", [("figures", "dsc_by_method"), ("figures", "dsc_by_time")])
def test_what_figures_show_is_what_tables_say(folder, name):
    paths = sorted(RESULTS.glob(f"*/*/{folder}/{name}.csv"))
    assert paths
    for path in paths:
        records = records_of(path)
        for row in pd.read_csv(path).to_dict("records"):
            ends_of = ("low", "high") if "low" in row else (None, None)
            same(row, "dsc", *scores(records, method=row["method"], steps=row["steps"], sigma=0), *ends_of)
            if not np.isnan(row.get("published", np.nan)):
                assert row["published"] in numbers(PUBLISHED)


def numbers(tree):
    """All numbers in a tree of dictionaries and lists."""
    if isinstance(tree, dict | list):
        return {number for part in (tree.values() if isinstance(tree, dict) else tree) for number in numbers(part)}
    return {tree} if isinstance(tree, int | float) else set()


@found("published")
def test_published_values_stand_beside_ours(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        assert row["published"] in numbers(PUBLISHED)
        metric, _, name = row["score"].partition(" ")
        sigma = row.get("sigma", 0)
        name = name if name in set(records["class"]) else "all"
        values = scores(records, metric.lower(), name, method=row["method"], steps=row["steps"], sigma=sigma)
        same(row, "ours", *values, "low", "high")
        assert row["difference"] == pytest.approx(row["ours"] - row["published"], abs=1e-9)


@found("ranks")
def test_ranks_and_how_stable_they_are(path, records):
    rows = pd.read_csv(path)
    for sigma, part in rows.groupby("sigma"):
        values = [scores(records, method=row.method, steps=row.steps, sigma=sigma) for row in part.itertuples()]
        means = np.array([value.mean() for value, _ in values])
        drawn = samples(np.stack([value for value, _ in values]), values[0][1])
        places = 1 + (drawn[None] > drawn[:, None] + 1e-12).sum(axis=1)
        own = 1 + (means[None] > means[:, None] + 1e-12).sum(axis=1)
        for row, place, where, mean in zip(part.to_dict("records"), own, places, means, strict=True):
            assert (row["rank"], row["rank_low"], row["rank_high"]) == (place, *ends(where))
            assert row["dsc"] == pytest.approx(mean, abs=1e-5)
            # Records of five digits let a few draws end in a tie, or no longer.
            assert row["kept"] == pytest.approx(np.mean(where == place), abs=0.01)
            assert row["first"] == pytest.approx(np.mean(where == 1), abs=0.01)


@found("ranks_elsewhere")
def test_ranks_by_other_summaries_and_distances(path, records):
    rows = pd.read_csv(path)
    for sigma, part in rows.groupby("sigma"):
        where = [dict(method=row.method, steps=row.steps, sigma=sigma) for row in part.itertuples()]
        by_patient = [patients(*scores(records, **one)) for one in where]
        within = stats.rankdata(-np.round(by_patient, 12), axis=0).mean(axis=1)
        assert part["mean_rank"].tolist() == stats.rankdata(np.round(within, 9), method="min").tolist()
        if "mean_over_cases" in part:
            means = [scores(records, **one)[0].mean() for one in where]
            assert part["mean_over_cases"].tolist() == stats.rankdata(-np.round(means, 6), method="min").tolist()
        for metric in ("hd95", "assd"):
            means = [patients(*scores(records, metric, **one)).mean() for one in where]
            assert part[metric].tolist() == stats.rankdata(np.round(means, 5), method="min").tolist()


@found("friedman")
def test_friedman_s_test_and_its_diagram(path, records):
    drawn = pd.read_csv(path.parents[1] / "figures" / "critical_difference.csv")
    for row in pd.read_csv(path).to_dict("records"):
        part = drawn[drawn["sigma"] == row["sigma"]]
        losses = -np.array([patients(*scores(records, method=one.method, steps=one.steps, sigma=row["sigma"]))
                            for one in part.itertuples()])  # fmt: skip
        methods, blocks = losses.shape
        assert (row["methods"], row["groups"]) == (methods, blocks)
        value, p = stats.friedmanchisquare(*losses)
        assert row["chi_squared"] == pytest.approx(value, rel=1e-3)
        assert row["p"] == pytest.approx(p, rel=0.1, abs=1e-300)
        assert row["kendall_w"] == pytest.approx(value / blocks / (methods - 1), rel=1e-3)
        scale = np.sqrt(methods * (methods + 1) / 6 / blocks)
        critical = stats.studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2) * scale
        assert row["critical_difference"] == pytest.approx(critical) == part["critical_difference"].iloc[0]
        means = stats.rankdata(losses, axis=0).mean(axis=1)
        assert part["mean_rank"].tolist() == pytest.approx(means.tolist(), abs=0.02)
        apart = np.abs(means - means.min()) / scale * np.sqrt(2)
        nemenyi = stats.studentized_range.sf(apart, methods, np.inf)
        assert part["p_against_best"].tolist() == pytest.approx(nemenyi.tolist(), abs=0.02)


@found("differences")
def test_effect_sizes_counts_and_verdicts(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        sigma = [float(number) for number in re.findall(r"[\d.]+", row["of"])][-1]
        values = []
        for side in ("first", "second"):
            name, _, steps = row[side].partition("-")
            part = records[(records["method"] == name) & (records["steps"] == int(steps or 0))]
            assert row[f"{side}_seeds"] == part["seed"].nunique()
            value, groups = scores(part, sigma=sigma)
            values.append(value - (scores(part, sigma=0)[0] if row["of"].startswith("change") else 0))
        means = patients(values[0] - values[1], groups)
        assert (row["cases"], row["groups"]) == (len(values[0]), len(means))
        ranked = stats.rankdata(np.abs(means)) * (np.abs(means) > 1e-12)
        assert row["rank_biserial"] == pytest.approx(np.sum(ranked * np.sign(means)) / ranked.sum(), abs=2e-3)
        assert row["d_z"] == pytest.approx(means.mean() / means.std(ddof=1), abs=2e-3)
        assert row["verdict"] == verdict(row)


def verdict(row):
    """Of trainings: the interval and the ranks have to point the same way for better and worse, and two failures more
    may not undo it."""
    side = (row["low"] > 0) - (row["high"] < 0)
    if row["p_holm"] < 0.05 and side and side * row["rank_biserial"] > 0:
        return ("better" if side > 0 else "worse") + " so far" * (row["p_lasting"] >= 0.05)
    names = {"p_equivalent": "equivalent", "p_not_worse": "not worse", "p_not_better": "not better"}
    return next((name for column, name in names.items() if row[column] < 0.05), "undecided")


def test_times_and_exponents_come_from_the_rounds():
    folder = RESULTS / "image_size"
    records = pd.read_csv(folder / "records.csv")
    called = records[records["status"] == "ok"]
    for path in (folder / "tables" / "image_size.csv", folder / "figures" / "cost_by_size.csv"):
        for row in pd.read_csv(path).query("calls > 0").to_dict("records"):
            part = called[(called["method"] == row["method"]) & (called["image_size"] == row["image_size"])]
            seconds = part.loc[~part["first"], "seconds"]
            assert row["first_seconds"] == pytest.approx(part.loc[part["first"], "seconds"].iloc[0])
            expected = [np.median(seconds), *np.percentile(seconds, [25, 75])]
            assert [row[f"seconds_{name}"] for name in ("median", "q1", "q3")] == pytest.approx(expected)
            assert (row["calls"], row["nfe"]) == (len(seconds), part["nfe"].iloc[0])
            assert row["peak_memory_mib"] == pytest.approx(part["peak_memory_mib"].max())
    for row in pd.read_csv(folder / "tables" / "scaling.csv").to_dict("records"):
        part = called[(called["method"] == row["method"]) & ~called["first"]]
        wide = part.assign(side=part["image_size"].str.split("x").str[0].astype(int))
        wide = wide.pivot(index="call", columns="side", values="seconds").dropna()
        x, count = np.log(wide.columns.to_numpy(float)), len(wide)
        assert (row["sizes"], row["rounds"]) == (len(x), count)
        drawn = np.random.default_rng(count).integers(0, count, (2000, count))
        sampled = np.log(np.median(wide.to_numpy()[drawn], axis=1))
        for last, names in ((0, ("exponent", "low", "high")), (-2, ("exponent_last", "last_low", "last_high"))):
            fitted = np.polyfit(x[last:], sampled[:, last:].T, 1)[0]
            value = np.polyfit(x[last:], np.log(wide.median().to_numpy()[last:]), 1)[0]
            if last:  # Of the rounds that the two largest sizes share.
                both = part.assign(side=part["image_size"].str.split("x").str[0].astype(int))
                both = both[both["side"].isin(wide.columns[-2:])].pivot(index="call", columns="side", values="seconds")
                assert len(both.dropna()) == count
            assert [row[name] for name in names] == pytest.approx([value, *ends_of_rounds(fitted, count)], abs=1e-6)


def losses(records):
    """What every method lost from sigma 0 to 0.2, which reports on noise say and have in no table."""
    found = set()
    for (name, steps), part in records[records["class"] == "all"].groupby(["method", "steps"]):
        if (part["sigma"] == 0.2).any():
            (clean, groups), (noisy, _) = (scores(records, method=name, steps=steps, sigma=sigma) for sigma in (0, 0.2))
            found.add(tuple(resampling.mean(clean - noisy, groups=groups)))
    return found


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*/report.md")), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_every_interval_and_p_of_a_report_is_one_of_its_tables(path):
    text = path.read_text().replace("\u2212", "-")
    text = text.partition("## Differences by patient")[0]
    number = r"([+-]?\d+\.\d+)"
    quoted = {tuple(part.lstrip("+") for part in parts)
              for parts in re.findall(rf"{number}(?: DSC)? \[{number}, {number}\]", text)}  # fmt: skip
    levels = set(re.findall(r"p = (\d\.\d+)", text))
    known, ps = set(), set()
    for file in path.parent.rglob("*.csv"):
        if file.name == "records.csv":
            continue
        table = pd.read_csv(file)
        ps |= {f"{value:.3f}" for name in table if name.startswith("p") and table[name].dtype == float
               for value in table[name].dropna()}  # fmt: skip
        for column in table.columns:
            for ends_of in ([f"{column}_low", f"{column}_high"], ["low", "high"]):
                if set(ends_of) < set(table.columns) and table[column].dtype == float:
                    known |= {tuple(values) for values in table[[column, *ends_of]].dropna().to_numpy()}
    known |= losses(records_of(path.parent / "tables" / "any.csv"))
    known |= {(-value, -high, -low) for value, low, high in known}
    written = {tuple(f"{part:.{places}f}" for part in values) for values in known for places in (1, 2, 3)}
    assert len(quoted) > 5 and quoted - written == set()
    assert levels - ps == set()
