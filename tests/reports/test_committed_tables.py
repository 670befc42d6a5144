"""Tables and figures of scores in docs/results against the records committed beside them: means with their intervals,
counts, curves, what is chosen from them, published values, times."""

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.reports import resampling
from tests.reports.committed import (
    DIGITS,
    METRICS,
    OBJECTS,
    RESULTS,
    alike,
    classes_of,
    found,
    lowest,
    measured,
    records_of,
    same,
    scores,
    seed_means,
)
from tests.reports.resampling import drawn, ends, ends_of_rounds, patients, seed_shares

PUBLISHED = yaml.safe_load((RESULTS.parents[1] / "reports" / "sections" / "published.yaml").read_text())
LOSS, TOLERANCE = 0.05, 0.005
"""DSC: the loss whose sigma is sought, and how near to the best a number of steps is enough."""


@pytest.fixture
def records(path):
    return records_of(path)


def of(row, **more):
    """The conditions on records that a row of a table is of."""
    return {"method": row["method"], "steps": row["steps"]} | more


@found("accuracy_*")
def test_accuracy(path, records):
    rows, sigma = measured(path), lowest(records)
    assert {row["method"] for row in rows} == set(records.method)
    assert [row["dsc"] for row in rows] == sorted((row["dsc"] for row in rows), reverse=True)
    for row in rows:
        where = of(row, sigma=sigma)
        for metric in METRICS:
            if metric in row:
                same(row, metric, *scores(records, metric, **where))
        for column in row:
            if (name := column.removeprefix("dsc_")) in set(records["class"]) and column != name:
                same(row, column, *scores(records, "dsc", name, **where))
    assert set(METRICS) & set(records) <= set(rows[0])


@found("accuracy_*")
def test_counts_of_the_table_of_accuracy(path, records):
    for row in measured(path):
        part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"])]
        part = part[(part["class"] == "all") & (part["sigma"] == lowest(records))]
        assert (row["scores"], row["undefined_distances"]) == (len(part), part["hd95"].isna().sum())
        assert row["seeds"] == part["seed"].nunique()
        assert np.isnan(row["nfe"]) or {row["nfe"]} == set(part["nfe"])
        means = seed_means(part, **of(row))
        expected = means.std(ddof=1) if len(means) > 1 else np.nan
        assert row["seed_sd"] == pytest.approx(expected, abs=1e-5, nan_ok=True)


@found("classes_*")
def test_scores_per_class(path, records):
    names = classes_of(path)
    for row in measured(path):
        where = of(row, sigma=row.get("sigma", lowest(records)))
        name = {"pooled": "all", "mean over classes": names}.get(row["class"], row["class"])
        # Of a single class it is the pooled score.
        name = "all" if len(names) == 1 else name
        for metric in METRICS:
            if metric in row:
                same(row, metric, *scores(records, metric, name, **where))
        if "scores" in row:
            distances, _ = scores(records, "hd95", name, **where)
            assert (row["scores"], row["undefined_distances"]) == (distances.size, np.isnan(distances).sum())
        if "both_empty" in row and name != names:
            part = records[(records["class"] == name) & np.isclose(records["sigma"], row["sigma"])]
            part = part[(part["method"] == row["method"]) & (part["steps"] == row["steps"])]
            # Records without the column are of data sets in which no case is without foreground.
            assert row["both_empty"] == ((part["empty"] == "both").sum() if "empty" in part else 0)


@found("objects_*")
def test_scores_of_objects(path, records):
    subset = records.drop_duplicates("case").sort_values("case")["subset"].to_numpy()
    for row in pd.read_csv(path).to_dict("records"):
        chosen = subset == row["part"] if row["part"] in set(subset) else np.full(len(subset), True)
        assert row["cases"] == chosen.sum()
        for metric in OBJECTS:
            values, groups = scores(records, metric, **of(row, sigma=lowest(records)))
            same(row, metric, values[:, chosen], groups[chosen])


@found("dsc_by_s*", "*")
def test_curves_over_sigma_or_steps(path, records):
    axis, rows = "sigma" if "sigma" in path.stem else "steps", measured(path)
    for row in rows:
        sigma = row.get("sigma", lowest(records))
        values, groups = scores(records, **of(row, sigma=sigma))
        same(row, "dsc", values, groups, "low", "high")
        part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"])]
        means = seed_means(records, **of(row, sigma=sigma))
        counted = {"cases": values.shape[1], "groups": len(set(groups)), "seeds": len(values),
                   "nfe": part["nfe"].iloc[0]}  # fmt: skip
        assert all(row[name] == value for name, value in counted.items() if name in row)
        if "seed_sd" in row and len(means) > 1:
            assert row["seed_sd"] == pytest.approx(means.std(ddof=1), abs=1e-5)
    # Methods that take no sampling steps have no curve over them.
    every = records if axis == "sigma" else records[records["steps"] > 0]
    assert len(rows) == len(every.groupby(["method", "steps", "sigma"])) and axis in rows[0]


@found("cost")
def test_network_evaluations_in_the_table_of_cost(path, records):
    for row in pd.read_csv(path).dropna(subset="nfe").to_dict("records"):
        part = records[(records["method"] == row["method"]) & (records["steps"] == row["steps"])]
        assert set(part["nfe"]) == {row["nfe"]}


@found("robustness")
def test_areas_and_losses(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        part = records[(records.method == row["method"]) & (records.steps == row["steps"])]
        sigmas = np.sort(part.sigma.unique())
        values, groups = zip(*(scores(part, sigma=sigma) for sigma in sigmas))
        values = np.stack(values, axis=1)
        assert (row["sigma_from"], row["sigma_to"]) == (sigmas[0], sigmas[-1])
        # Not there where nothing was timed.
        assert np.isnan(row.get("nfe", np.nan)) or {row["nfe"]} == set(part["nfe"])

        def area(curve, sigmas=sigmas):
            return np.sum(np.diff(sigmas) * (curve[1:] + curve[:-1]) / 2) / (sigmas[-1] - sigmas[0])

        def lost(curve, sigmas=sigmas):
            if not (below := np.flatnonzero(curve <= curve[0] - LOSS)).size:
                return np.inf
            k = below[0]
            share = (curve[k - 1] - curve[0] + LOSS) / (curve[k - 1] - curve[k])
            return sigmas[k - 1] + share * (sigmas[k] - sigmas[k - 1])

        def relative(curve):
            return area(curve) / curve[0]

        drawn = resampling.moved(values, groups[0])
        alike(row, "area", np.clip(resampling.smooth(area, values, groups[0]), 0, 1))
        # Rounded scores are divided by a small one, or by their small difference.
        near = max(2e-4, 2 * DIGITS / over_patients_of(values, groups[0])[0])
        alike(row, "relative_area", resampling.smooth(relative, values, groups[0]), tolerance=near)
        expected = lost(over_patients_of(values, groups[0])), *ends([lost(curve) for curve in drawn])
        alike(row, "sigma_at_loss", expected, tolerance=1e-3)


def over_patients_of(values, groups):
    """(conditions,) means over patients. values: (seeds, conditions, cases)."""
    return np.array([patients(row, groups).mean() for row in values.mean(axis=0)])


@found("steps_needed")
def test_steps_that_suffice(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        part = records[(records.method == row["method"]) & (records.sigma == lowest(records))]
        steps = np.sort(part.steps.unique())
        values, groups = zip(*(scores(part, steps=k) for k in steps))
        values, groups = np.stack(values, axis=1), groups[0]
        means = over_patients_of(values, groups)

        def enough(curve, steps=steps):
            return steps[np.flatnonzero(curve >= curve.max() - TOLERANCE)[0]]

        moved = resampling.moved(values, groups)
        expected = (enough(means), *ends([enough(curve) for curve in moved]))
        assert (row["enough"], row["enough_low"], row["enough_high"]) == expected
        assert row["nfe"] == part.loc[part.steps == row["enough"], "nfe"].iloc[0]
        assert row["best_steps"] == steps[means.argmax()] and row["best_dsc"] == pytest.approx(means.max(), abs=2e-5)
        assert (row["best_low"], row["best_high"]) == ends(steps[moved.argmax(axis=1)])
        expected = gained(values, groups)
        assert (row["best_minus_fewest"], row["low"], row["high"]) == pytest.approx(expected, abs=5e-5)


def gained(values, groups):
    """What the best number of steps gains over the fewest: chosen on the patients of a bootstrap sample, judged on
    those that are not in it. values: (seeds, steps, cases)."""
    gain = np.array([[patients(row, groups) for row in rows - rows[0]] for rows in values])
    weights, shares = drawn(gain.shape[2]), seed_shares(len(gain))
    judged = []
    for times, share in zip(weights, shares):
        if times.all():
            # Of few patients all may be in a sample: nobody is left to judge on.
            continue
        by_patient = np.tensordot(share, gain, axes=1)
        judged.append(by_patient[(by_patient @ times).argmax(), times == 0].mean())
    return np.mean(judged), *ends(judged)


@found("published_steps*")
def test_published_numbers_of_steps(path):
    needed = pd.read_csv(path.with_name("steps_needed.csv")).set_index("method")
    for row in pd.read_csv(path).to_dict("records"):
        assert row["published_best"] in numbers(PUBLISHED)
        own = needed.loc[row["method"]]
        assert (row["enough"], row["best"]) == (own["enough"], own["best_steps"])


@found("chosen_steps")
def test_steps_chosen_on_validation(path, records):
    """The fewest whose mean over trainings is near the best; and those that bring each method to as many network
    evaluations as the one that chose the most."""
    rows = pd.read_csv(path)
    nfe = records.groupby(["method", "steps"])["nfe"].first()
    for method, part in rows.groupby("method"):
        means = part.groupby("candidate")["validation_dsc"].mean()
        (chosen,), (equal,) = part["chosen"].unique(), part["equal_steps"].unique()
        assert chosen == means.index[means >= means.max() - TOLERANCE - 1e-12][0]
        assert (part["nfe"] == nfe[method, chosen]).all() and (part["equal_nfe"] <= rows["nfe"].max()).all()
        if (method, equal) in nfe:
            assert (part["equal_nfe"] == nfe[method, equal]).all()
    for folder_table, column in (("accuracy_[!e]*", "chosen"), ("accuracy_equal_*", "equal_steps")):
        for table in path.parent.glob(f"{folder_table}.csv"):
            steps = pd.read_csv(table).set_index("method")["steps"]
            told = rows.drop_duplicates("method").set_index("method")[column]
            assert steps[told.index].to_dict() == told.to_dict()


@found("validation_by_time")
def test_who_was_ahead_at_equal_training_time(path):
    """The table against the curves that the figure shows."""
    curves = pd.read_csv(path.parents[1] / "figures" / path.name)
    of_trainings = curves.groupby(["dataset", "method", "training"])
    common = of_trainings["seconds"].max().min()
    for row in pd.read_csv(path).to_dict("records"):
        own = [part for (_, method, _), part in of_trainings if method == row["method"]]
        early = [part.loc[part["seconds"] <= common, "best_val_dsc"].max() for part in own]
        expected = {"equal_seconds": common, "val_dsc_at_equal_time": np.mean(early), "trainings": len(own),
                    "training_seconds": np.mean([part["seconds"].max() for part in own]),
                    "val_dsc": np.mean([part["best_val_dsc"].max() for part in own])}  # fmt: skip
        assert {name: row[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@found("dsc_by_[mt]*", "figures")
def test_what_figures_show_is_what_tables_say(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        ends_of = ("low", "high") if "low" in row else (None, None)
        same(row, "dsc", *scores(records, **of(row, sigma=lowest(records))), *ends_of)
        if "nfe" in row:
            assert row["nfe"] == scores(records, "nfe", **of(row, sigma=lowest(records)))[0].mean()
        if not np.isnan(row.get("published", np.nan)):
            assert row["published"] in numbers(PUBLISHED)


@found("dsc_by_time", "figures")
def test_the_front_of_accuracy_by_time_is_of_what_nothing_beats_in_as_little_time(path):
    rows = pd.read_csv(path)
    for row in rows.to_dict("records") if "front" in rows else ():
        sooner, higher = (rows[name] - row[name] for name in ("seconds_median", "dsc"))
        assert row["front"] != (((sooner < 0) & (higher >= 0)) | ((sooner == 0) & (higher > 0))).any()


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
        name = name if name in set(records["class"]) else "all"
        values = scores(records, metric.lower(), name, **of(row, sigma=row.get("sigma", lowest(records))))
        same(row, "ours", *values, "low", "high")
        assert row["difference"] == pytest.approx(row["ours"] - row["published"], abs=1e-9)


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
        picked = np.random.default_rng(count).integers(0, count, (2000, count))
        sampled = np.log(np.median(wide.to_numpy()[picked], axis=1))
        for last, names in ((0, ("exponent", "low", "high")), (-2, ("exponent_last", "last_low", "last_high"))):
            fitted = np.polyfit(x[last:], sampled[:, last:].T, 1)[0]
            value = np.polyfit(x[last:], np.log(wide.median().to_numpy()[last:]), 1)[0]
            if last:  # Of the rounds that the two largest sizes share.
                both = part.assign(side=part["image_size"].str.split("x").str[0].astype(int))
                both = both[both["side"].isin(wide.columns[-2:])].pivot(index="call", columns="side", values="seconds")
                assert len(both.dropna()) == count
            assert [row[name] for name in names] == pytest.approx([value, *ends_of_rounds(fitted, count)], abs=1e-6)
