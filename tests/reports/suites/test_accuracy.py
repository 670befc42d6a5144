"""The accuracy report: its numbers against numpy on the records, and what it says of thin or missing results."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from reports import write
from reports.numbers.study import study
from reports.sections import published
from reports.suites.accuracy import findings
from tests.reports.conftest import Fabricator

SUITE = {"name": "accuracy", "title": "Segmentation accuracy", "question": "Which is best?"}
METHODS = ("ldseg", "lsegdiff", "resunet", "unet")


def summary(text):
    return text.split("## Summary")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Records, text and folder of a report on two data sets with two seeds."""
    folder = tmp_path_factory.mktemp("accuracy")
    fabricate = Fabricator(folder / "runs")
    for dataset, patients in (("glas", None), ("camus", 6)):
        for method in METHODS:
            for seed in (0, 1):
                fabricate.trial(method, dataset, seed, sigmas=(0,), steps=(2,), cases=18, patients=patients)
    results = fabricate.results(**SUITE)
    text = write(results, folder / "report").read_text()
    return results.records, text, folder / "report"


def by_case(records, dataset, method, name="all", metric="dsc"):
    part = records[(records.dataset == dataset) & (records.method == method) & (records["class"] == name)]
    return part.groupby("case")[metric].mean().sort_index()


@pytest.mark.parametrize("dataset, classes", [("glas", []), ("camus", ["LV", "wall", "LA"])])
def test_every_score_is_the_mean_over_cases(whole, dataset, classes):
    records, _, folder = whole
    rows = pd.read_csv(folder / "tables" / f"accuracy_{dataset}.csv")
    assert sorted(rows.method) == sorted(METHODS)
    for row in rows.to_dict("records"):
        for metric in ("dsc", "iou", "hd95", "assd"):
            assert row[metric] == pytest.approx(by_case(records, dataset, row["method"], metric=metric).mean())
        for name in classes:
            assert row[f"dsc_{name}"] == pytest.approx(by_case(records, dataset, row["method"], name).mean())
        assert row["dsc_low"] < row["dsc"] < row["dsc_high"]
        one = records[(records.dataset == dataset) & (records.method == row["method"]) & (records["class"] == "all")]
        assert row["seed_sd"] == pytest.approx(one.groupby("seed").dsc.mean().std(ddof=1))


def test_rows_fall_by_score_and_ranks_count_them(whole):
    _, _, folder = whole
    rows = pd.read_csv(folder / "tables" / "accuracy_glas.csv")
    assert rows.dsc.is_monotonic_decreasing and rows["rank"].tolist() == [1, 2, 3, 4]
    assert (rows.rank_low <= rows["rank"]).all() and (rows["rank"] <= rows.rank_high).all()


def test_the_range_of_a_rank_is_that_over_resampled_patients(whole):
    records, _, folder = whole
    rows = pd.read_csv(folder / "tables" / "accuracy_camus.csv")
    values = np.stack([by_case(records, "camus", method) for method in rows.method])
    patient = np.arange(18) % 6
    random, ranks = np.random.default_rng(5), []
    for _ in range(2000):
        drawn = np.concatenate([np.flatnonzero(patient == p) for p in random.integers(0, 6, 6)])
        ranks.append((-values[:, drawn].mean(axis=1)).argsort().argsort() + 1)
    low, high = np.percentile(ranks, [2.5, 97.5], axis=0)
    assert np.abs(low - rows.rank_low).max() <= 1 and np.abs(high - rows.rank_high).max() <= 1


def test_differences_are_tested_and_corrected(whole):
    records, _, folder = whole
    rows = pd.read_csv(folder / "tables" / "differences.csv").query("dataset == 'glas'")
    p = {}
    for row in rows.itertuples():
        second = row.second.split("-")[0]
        difference = by_case(records, "glas", "ldseg") - by_case(records, "glas", second)
        assert row.difference == pytest.approx(difference.mean())
        p[second] = wilcoxon(difference).pvalue
        # Of two trainings each: the test is one of patients alone, and speaks of these trainings.
        assert row.about == "trainings" and row.p == pytest.approx(p[second])
    smallest = min(p, key=p.get)
    found = rows[rows.second.str.startswith(smallest)].p_holm.iloc[0]
    assert found == pytest.approx(min(1.0, 3 * p[smallest]))


def test_published_values_of_the_same_data_stand_in_the_figure_and_the_table(whole):
    _, text, folder = whole
    rows = pd.read_csv(folder / "tables" / "published.csv")
    row = rows[(rows.dataset == "glas") & (rows.method == "resunet") & (rows.score == "DSC")].iloc[0]
    assert row.published == published.load()["accuracy"]["glas"]["methods"]["resunet"][0] == 0.86
    assert row.difference == pytest.approx(row.ours - 0.86)
    assert not rows[rows.dataset == "camus"].same_data.any()


def test_all_pictures_are_there(whole):
    _, text, folder = whole
    for name in ("dsc_by_method", "dsc_by_time", "samples_glas", "samples_camus", "training_glas"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 2000 and f"figures/{name}.png" in text


def test_what_has_no_result_keeps_its_row_and_says_why(fabricate, tmp_path):
    fabricate.trial("ldseg", "camus", sigmas=(0,), steps=(2,))
    fabricate.trial("sdf_ddpm", "camus", status="declined", reason="binary only, per_class_sdf=true opts in")
    fabricate.trial("unet", "camus", status="failed", reason="the loss became nan", records=False)
    text = write(fabricate.results(**SUITE), tmp_path / "report").read_text()
    assert "binary only, per_class_sdf=true opts in" in summary(text) and "the loss became nan" in summary(text)
    rows = pd.read_csv(tmp_path / "report" / "tables" / "accuracy_camus.csv")
    assert len(rows) == 3 and rows.note.notna().sum() == 2


@pytest.mark.parametrize("cases", [1, 4])
def test_few_cases_have_ranks_without_range_and_no_interval(fabricate, tmp_path, cases):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=cases)
    text = write(fabricate.results(**SUITE), tmp_path / "report").read_text()
    rows = pd.read_csv(tmp_path / "report" / "tables" / "accuracy_glas.csv")
    assert rows.dsc_low.isna().all() and (rows.rank_low == rows["rank"]).all()
    assert "No interval is given" in summary(text)


def test_one_method_alone_and_nothing_at_all(fabricate, tmp_path):
    empty = write(fabricate.results(**SUITE, datasets=["glas"], methods=["ldseg"]), tmp_path / "empty").read_text()
    assert "Nothing was measured" in empty or "has no result here" in empty
    fabricate.trial("resunet", "glas", sigmas=(0,))
    text = write(fabricate.results(**SUITE), tmp_path / "one").read_text()
    assert "Highest mean DSC: Res-UNet" in text and "Differences\n" not in text


def test_a_highest_mean_on_part_of_the_cases_says_so(fabricate):
    fabricate.trial("resunet", "glas", sigmas=(0,), cases=24, samples=False)
    fabricate.trial("unet", "glas", sigmas=(0,), cases=10, samples=False, shift=0.05)
    it = study(fabricate.results(name="accuracy"))
    text = findings._leader(it, it.curves["glas"])
    assert (
        text.startswith("Highest mean DSC: U-Net with 0.9") and "on 10 of 24 cases, followed by Res-UNet with" in text
    )
