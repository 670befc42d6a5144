"""Every number that the accuracy report takes from test cases, computed again from its records.csv with numpy and scipy
alone: tables of scores, ranks, differences and tests, and the numbers behind figures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports import write
from tests.reports import resampling
from tests.reports.conftest import Fabricator
from tests.reports.resampling import averaged, ends, holm, patients, samples, seed_shares

METHODS = ("ldseg", "lsegdiff", "resunet", "unet")
DATASETS = {"glas": ("all",), "camus": ("LV", "wall", "LA", "all")}
METRICS = ("dsc", "iou", "hd95", "assd")
MARGIN = 0.02


@pytest.fixture(scope="module", params=[1, 3], ids=["one seed", "three seeds"])
def report(tmp_path_factory, request):
    """Folder and records.csv of a report: two data sets, one with several images of a patient, one or three seeds,
    distances that are undefined in some cases."""
    folder = tmp_path_factory.mktemp("recomputed")
    fabricate = Fabricator(folder / "runs")
    for dataset, count in (("glas", None), ("camus", 7)):
        for method in METHODS:
            for seed in range(request.param):
                # What a training adds to all of its scores, beside what it adds to each.
                moved = 0.012 * np.sin(7 * seed + len(method))
                fabricate.trial(
                    method, dataset, seed, sigmas=(0,), steps=(2,), cases=17, patients=count, samples=False, shift=moved
                )
    missed = fabricate.frames[2].case.isin(["case003", "case004"])
    fabricate.frames[2].loc[missed, ["hd95", "assd"]] = np.nan
    write(fabricate.results(name="accuracy", title="Accuracy", margin=MARGIN), folder / "report")
    return folder / "report", pd.read_csv(folder / "report" / "records.csv")


def table(folder, name, kind="tables"):
    return pd.read_csv(folder / kind / f"{name}.csv")


def scores(records, dataset, method, metric="dsc", name="all"):
    """(seeds, cases) in order of the case; and the patient of each case."""
    return resampling.table(records, metric, name, dataset=dataset, method=method)


def check(row, name, values, groups, low=None, high=None):
    """A mean over patients and its interval, which ends where scores end."""
    value, *bounds = resampling.mean(values, groups=groups)
    bounds = np.clip(bounds, 0, np.inf if "hd95" in name or "assd" in name else 1)
    assert row[name] == pytest.approx(value), name
    assert (row[low or f"{name}_low"], row[high or f"{name}_high"]) == pytest.approx(tuple(bounds)), name


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
        by_patient = part.groupby(["seed", "group"]).dsc.mean()
        spread = by_patient.groupby("seed").mean().std(ddof=1)
        assert row["seed_sd"] == pytest.approx(spread, nan_ok=True)
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
    found = [scores(records, dataset, method) for method in METHODS]
    means = [patients(averaged(values), groups).mean() for values, groups in found]
    own = len(METHODS) + 1 - stats.rankdata(means, method="max")
    replicates = [
        np.sum(samples(values, groups) * seed_shares(len(values), stream).T, axis=0)
        for stream, (values, groups) in enumerate(found)
    ]
    sampled = len(METHODS) + 1 - stats.rankdata(replicates, axis=0, method="max")
    ranks = table(folder, "ranks").query("dataset == @dataset").set_index("method")
    rows = table(folder, f"accuracy_{dataset}").set_index("method")
    for k, method in enumerate(METHODS):
        low, high = ends(sampled[k])
        assert tuple(ranks.loc[method, ["rank", "rank_low", "rank_high"]]) == (own[k], low, high)
        assert tuple(rows.loc[method, ["rank", "rank_low", "rank_high"]]) == (own[k], low, high)
        assert ranks.loc[method, "kept"] == pytest.approx(np.mean(sampled[k] == own[k]))
        assert ranks.loc[method, "first"] == pytest.approx(np.mean(sampled[k] == 1))
        assert ranks.loc[method, "dsc"] == pytest.approx(means[k])


@pytest.mark.parametrize("dataset", DATASETS)
def test_ranks_under_other_metrics_and_aggregations(report, dataset):
    folder, records = report
    rows = table(folder, "ranks_elsewhere").query("dataset == @dataset").set_index("method").loc[list(METHODS)]

    def falling(values):
        return stats.rankdata(-np.round(values, 12), method="min").tolist()

    def over_patients(metric, summary):
        return [summary(patients(averaged(v), g)) for v, g in (scores(records, dataset, m, metric) for m in METHODS)]

    assert rows["mean_dsc"].tolist() == falling(over_patients("dsc", np.mean))
    assert rows["median"].tolist() == falling(over_patients("dsc", np.median))
    for metric in ("iou", "hd95_penalised", "assd_penalised"):
        sign = 1 if metric == "iou" else -1
        assert rows[metric].tolist() == falling(sign * np.array(over_patients(metric, np.mean)))
    by_patient = over_patients("dsc", np.asarray)
    within = stats.rankdata(-np.round(by_patient, 12), axis=0).mean(axis=1)
    assert rows["mean_rank"].tolist() == falling(-within)
    if dataset == "camus":
        of_images = [np.mean(averaged(scores(records, dataset, method)[0])) for method in METHODS]
        assert rows["mean_over_cases"].tolist() == falling(of_images)


@pytest.mark.parametrize("dataset", DATASETS)
def test_differences_their_tests_and_effect_sizes(report, dataset):
    folder, records = report
    rows = table(folder, "differences").query("dataset == @dataset")
    own, groups = scores(records, dataset, "ldseg")
    tests, several = [], len(own) > 1
    for row, other in zip(rows.to_dict("records"), METHODS[1:], strict=True):
        assert row["second"].partition("-")[0] == other and row["first"] == "ldseg-2"
        theirs, _ = scores(records, dataset, other)
        expected = resampling.mean(own, theirs, groups=groups)
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(expected)
        by_patient = patients(averaged(own) - averaged(theirs), groups)
        assert row["cases"] == own.shape[1] and row["groups"] == len(by_patient)
        tests.append(resampling.tests(own, theirs, groups, MARGIN))
        assert (row["error"], stats.t.isf(0.025, row["df"])) == pytest.approx(tests[-1][3:5])
        ranked = stats.rankdata(abs(by_patient))
        favour, against = ranked[by_patient > 0].sum(), ranked[by_patient < 0].sum()
        assert row["rank_biserial"] == pytest.approx((favour - against) / (favour + against))
        assert row["d_z"] == pytest.approx(by_patient.mean() / by_patient.std(ddof=1))
        assert (row["first_seeds"], row["second_seeds"], row["margin"]) == (len(own), len(theirs), MARGIN)
        assert row["about"] == ("methods" if several else "trainings")
        assert row["attainable"] == (0 if several else min(1, 3 * 2 / 2 ** len(by_patient)))
        assert resampling.power(row["detectable"], row["error"], row["df"], 3) == pytest.approx(0.8, abs=0.005)
    p, low, high, lasting = (np.array([one[k] for one in tests]) for k in (0, 1, 2, 5))
    assert rows.p.tolist() == pytest.approx(p.tolist(), rel=1e-4)
    for name, expected in (("p_holm", p), ("p_not_worse", low), ("p_not_better", high), ("p_lasting", lasting),
                           ("p_equivalent", np.maximum(low, high))):  # fmt: skip
        assert rows[name].tolist() == pytest.approx(holm(expected), rel=1e-4), name


@pytest.mark.parametrize("dataset", DATASETS)
def test_posteriors_of_the_bayesian_signed_rank_test(report, dataset):
    folder, records = report
    own, groups = scores(records, dataset, "ldseg")
    rows = table(folder, "posteriors").query("dataset == @dataset")
    for row, other in zip(rows.to_dict("records"), METHODS[1:], strict=True):
        z = np.append(patients(averaged(own) - averaged(scores(records, dataset, other)[0]), groups), 0)
        weights = np.random.default_rng(9).dirichlet([1.0] * (len(z) - 1) + [0.5], 4000)
        sums = np.add.outer(z, z)
        above, below = (np.einsum("ni,nj,ij->n", weights, weights, 1.0 * side)
                        for side in (sums > 2 * MARGIN, sums < -2 * MARGIN))  # fmt: skip
        likeliest = np.argmax([above, 1 - above - below, below], axis=0)
        found = [row[name] for name in ("better", "equivalent", "worse")]
        assert found == pytest.approx(np.bincount(likeliest, minlength=3) / 4000, abs=0.03)
        assert row["groups"] == len(z) - 1


@pytest.mark.parametrize("dataset", DATASETS)
def test_friedman_s_test_and_the_numbers_behind_its_diagram(report, dataset):
    folder, records = report
    by_patient = [patients(averaged(v), g) for v, g in (scores(records, dataset, method) for method in METHODS)]
    k, n = len(METHODS), len(by_patient[0])
    row = table(folder, "friedman").set_index("dataset").loc[dataset]
    value, p = stats.friedmanchisquare(*by_patient)
    assert (row.methods, row.groups) == (k, n)
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
        p, equivalent, not_worse, not_better = (
            "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
            for value in (row.p_holm, row.p_equivalent, row.p_not_worse, row.p_not_better)
        )
        of = "" if row.about == "methods" else "this training of "
        first, second = f"{of}**LDSeg (2 steps)**", f"{of}**{title}**"
        signed = f"{row.difference:+.3f} DSC [{row.low:+.3f}, {row.high:+.3f}]"
        if row.p_holm < 0.05 and row.low * row.high > 0:
            verb = {(1, 1): "is better", (1, 0): "is worse", (0, 1): "scored higher", (0, 0): "scored lower"}[
                not of, int(row.difference > 0)
            ]
            so_far = " so far" if row.p_lasting >= 0.05 else ""
            low, high = sorted([abs(row.low), abs(row.high)])
            amount = f"{abs(row.difference):.3f} DSC [{low:.3f}, {high:.3f}]"
            said = f"{first} {verb}{so_far} than {second} by {amount}, {p} after Holm"
            assert row.verdict == ("better" if row.difference > 0 else "worse") + so_far
        elif row.p_equivalent < 0.05:
            verb = "scored alike" if of else "are equivalent"
            said = f"{first} and {second} {verb} within 0.02 DSC: {signed}, {equivalent} after Holm."
            assert row.verdict == "equivalent"
        elif row.p_not_worse < 0.05 or row.p_not_better < 0.05:
            lower, verdict = row.p_not_worse < 0.05, "not worse" if row.p_not_worse < 0.05 else "not better"
            verb = f"did not score {'lower' if lower else 'higher'}" if of else f"is {verdict}"
            said = f"{first} {verb} than {second} by more than 0.02 DSC: {signed}, {not_worse if lower else not_better}"
            assert row.verdict == verdict
        else:
            said = f"undecided between {first} and {second}: {signed}, {p} after Holm"
            amount = "no difference that DSC can have"
            if row.detectable <= 1:
                amount = f"a difference of {row.detectable:.3f} DSC"
            assert row.verdict == "undecided" and f"this design finds {amount}" in text
        assert said[0].upper() + said[1:] in text
    few = "sentences speak of these trainings and claim nothing about the method"
    assert (few in text) == (table(folder, "differences").about == "trainings").any()
