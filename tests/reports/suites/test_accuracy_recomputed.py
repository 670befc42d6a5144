"""Every number that the accuracy report takes from test cases, computed again from its records.csv with numpy and scipy
alone: tables of scores, ranks, differences and tests, and the numbers behind figures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports import write
from tests.reports.conftest import Fabricator
from tests.reports.resampling import ends, holm, samples

METHODS = ("ldseg", "lsegdiff", "resunet", "unet")
DATASETS = {"glas": ("all",), "camus": ("LV", "wall", "LA", "all")}
METRICS = ("dsc", "iou", "hd95", "assd")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Folder and records.csv of a report: two data sets, one with several images of a patient, two seeds, distances
    that are undefined in some cases."""
    folder = tmp_path_factory.mktemp("recomputed")
    fabricate = Fabricator(folder / "runs")
    for dataset, patients in (("glas", None), ("camus", 7)):
        for method in METHODS:
            for seed in (0, 1):
                fabricate.trial(
                    method, dataset, seed, sigmas=(0,), steps=(2,), cases=17, patients=patients, samples=False
                )
    missed = fabricate.frames[2].case.isin(["case003", "case004"])
    fabricate.frames[2].loc[missed, ["hd95", "assd"]] = np.nan
    write(fabricate.results(name="accuracy", title="Accuracy"), folder / "report")
    return folder / "report", pd.read_csv(folder / "report" / "records.csv")


def table(folder, name, kind="tables"):
    return pd.read_csv(folder / kind / f"{name}.csv")


def scores(records, dataset, method, metric="dsc", name="all"):
    """(cases,) mean over seeds, in order of the case; and the patient of each."""
    part = records[(records.dataset == dataset) & (records.method == method) & (records["class"] == name)]
    by_case = part.groupby("case")[metric].mean().sort_index()
    return by_case.to_numpy(), part.drop_duplicates("case").sort_values("case")["group"].to_numpy()


def check(row, name, values, groups, low=None, high=None):
    assert row[name] == pytest.approx(np.nanmean(values)), name
    expected = ends(samples(values, groups))
    assert (row[low or f"{name}_low"], row[high or f"{name}_high"]) == pytest.approx(expected), name


@pytest.mark.parametrize("dataset", DATASETS)
def test_scores_of_the_accuracy_table(report, dataset):
    folder, records = report
    rows = table(folder, f"accuracy_{dataset}")
    assert sorted(rows.method) == sorted(METHODS)
    for row in rows.to_dict("records"):
        for metric in METRICS:
            check(row, metric, *scores(records, dataset, row["method"], metric))
        for name in DATASETS[dataset][:-1]:
            check(row, f"dsc_{name}", *scores(records, dataset, row["method"], "dsc", name))
        part = records[(records.dataset == dataset) & (records.method == row["method"]) & (records["class"] == "all")]
        assert row["seed_sd"] == pytest.approx(part.groupby("seed").dsc.mean().std(ddof=1))
        assert row["undefined_distances"] == part.hd95.isna().sum() and row["scores"] == len(part)


@pytest.mark.parametrize("dataset", DATASETS)
def test_scores_per_class(report, dataset):
    folder, records = report
    rows = table(folder, f"classes_{dataset}")
    for row in rows.to_dict("records"):
        names = {"pooled": ["all"], "gland": ["all"], "mean over classes": DATASETS[dataset][:-1]}
        for metric in METRICS:
            parts = [
                scores(records, dataset, row["method"], metric, name)
                for name in names.get(row["class"], [row["class"]])
            ]
            check(row, metric, np.mean([values for values, _ in parts], axis=0), parts[0][1])
    assert len(rows) == len(METHODS) * (1 if dataset == "glas" else 5)


@pytest.mark.parametrize("dataset", DATASETS)
def test_ranks_and_how_stable_they_are(report, dataset):
    folder, records = report
    values, groups = zip(*(scores(records, dataset, method) for method in METHODS))
    own = len(METHODS) + 1 - stats.rankdata(np.mean(values, axis=1), method="max")
    replicates = np.stack([samples(v, g) for v, g in zip(values, groups)])
    sampled = len(METHODS) + 1 - stats.rankdata(replicates, axis=0, method="max")
    ranks = table(folder, "ranks").query("dataset == @dataset").set_index("method")
    rows = table(folder, f"accuracy_{dataset}").set_index("method")
    for k, method in enumerate(METHODS):
        low, high = ends(sampled[k])
        assert tuple(ranks.loc[method, ["rank", "rank_low", "rank_high"]]) == (own[k], low, high)
        assert tuple(rows.loc[method, ["rank", "rank_low", "rank_high"]]) == (own[k], low, high)
        assert ranks.loc[method, "kept"] == pytest.approx(np.mean(sampled[k] == own[k]))
        assert ranks.loc[method, "first"] == pytest.approx(np.mean(sampled[k] == 1))
        assert ranks.loc[method, "dsc"] == pytest.approx(values[k].mean())


@pytest.mark.parametrize("dataset", DATASETS)
def test_differences_their_tests_and_effect_sizes(report, dataset):
    folder, records = report
    rows = table(folder, "differences").query("dataset == @dataset")
    own, groups = scores(records, dataset, "ldseg")
    p_values = []
    for row, other in zip(rows.to_dict("records"), METHODS[1:], strict=True):
        assert row["second"].partition("-")[0] == other and row["first"] == "ldseg-2"
        difference = own - scores(records, dataset, other)[0]
        check(row, "difference", difference, groups, "low", "high")
        by_patient = pd.Series(difference).groupby(groups).mean().to_numpy()
        assert row["cases"] == len(difference) and row["groups"] == len(by_patient)
        p_values.append(stats.wilcoxon(by_patient).pvalue)
        ranked = stats.rankdata(abs(by_patient))
        favour, against = ranked[by_patient > 0].sum(), ranked[by_patient < 0].sum()
        assert row["rank_biserial"] == pytest.approx((favour - against) / (favour + against))
        assert row["d_z"] == pytest.approx(by_patient.mean() / by_patient.std(ddof=1))
    assert rows.p.tolist() == pytest.approx(p_values)
    assert rows.p_holm.tolist() == pytest.approx(holm(p_values))


@pytest.mark.parametrize("dataset", DATASETS)
def test_friedman_s_test_and_the_numbers_behind_its_diagram(report, dataset):
    folder, records = report
    by_patient = [pd.Series(values).groupby(groups).mean().to_numpy()
                  for values, groups in (scores(records, dataset, method) for method in METHODS)]  # fmt: skip
    k, n = len(METHODS), len(by_patient[0])
    row = table(folder, "friedman").set_index("dataset").loc[dataset]
    value, p = stats.friedmanchisquare(*by_patient)
    assert (row.methods, row.patients) == (k, n)
    assert (row.chi_squared, row.p, row.kendall_w) == pytest.approx((value, p, value / (n * (k - 1))))
    error = np.sqrt(k * (k + 1) / (6 * n))
    critical = stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * error
    assert row.critical_difference == pytest.approx(critical)
    mean_ranks = stats.rankdata(-np.array(by_patient), axis=0).mean(axis=1)
    drawn = table(folder, "critical_difference", "figures").query("dataset == @dataset").set_index("method")
    for rank, method in zip(mean_ranks, METHODS):
        assert drawn.loc[method, "mean_rank"] == pytest.approx(rank)
        q = (rank - mean_ranks.min()) / error * np.sqrt(2)
        expected = 1.0 if q == 0 else stats.studentized_range.sf(q, k, np.inf)
        assert drawn.loc[method, "p_against_best"] == pytest.approx(expected)


@pytest.mark.parametrize("figure", ["dsc_by_method", "dsc_by_time"])
def test_the_numbers_behind_the_figures(report, figure):
    folder, records = report
    rows = table(folder, figure, "figures")
    assert len(rows) == len(METHODS) * len(DATASETS)
    for row in rows.to_dict("records"):
        check(row, "dsc", *scores(records, row["dataset"], row["method"]))
        if figure == "dsc_by_time":
            assert row["seconds"] == pytest.approx(0.012)


def test_the_summary_says_what_the_table_of_differences_holds(report):
    folder, _ = report
    text = (folder / "report.md").read_text().replace("\u2212", "-")
    for row in table(folder, "differences").itertuples():
        title = {"resunet": "Res-UNet", "unet": "U-Net", "lsegdiff-2": "LSegDiff (2 steps)"}[row.second]
        p = "p < 0.001" if row.p_holm < 0.001 else f"p = {row.p_holm:.3f}"
        if row.p_holm < 0.05 and row.low > 0:
            said = f"**LDSeg (2 steps)** is better than **{title}** by {row.difference:.3f} DSC"
            said += f" [{row.low:.3f}, {row.high:.3f}], {p} after Holm."
        elif row.p_holm < 0.05 and row.high < 0:
            said = f"**LDSeg (2 steps)** is worse than **{title}** by {-row.difference:.3f} DSC"
            said += f" [{-row.high:.3f}, {-row.low:.3f}], {p} after Holm."
        else:
            said = f"No difference shown between LDSeg (2 steps) and {title}: {row.difference:+.3f} DSC"
            said += f" [{row.low:+.3f}, {row.high:+.3f}], {p} after Holm"
        assert said in text
