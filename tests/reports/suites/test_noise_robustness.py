"""Numbers in the report against numpy on the records alone."""

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.numbers.curves import curve, labels, variants
from reports.paper import style
from reports.suites.noise_robustness import curves_figure
from tests.reports.conftest import Fabricator

SIGMAS = (0, 0.1, 0.2, 0.5)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A finished report with two data sets, a generative and a deterministic method and two seeds."""
    folder = tmp_path_factory.mktemp("numbers")
    fabricate = Fabricator(folder / "runs")
    for dataset, patients in (("phantom_glands", None), ("phantom_echo", 6)):
        for method in ("ldseg", "resunet"):
            for seed in (0, 1):
                fabricate.trial(method, dataset, seed, sigmas=SIGMAS, cases=18, patients=patients, samples=False)
    results = fabricate.results()
    write(results, folder / "report")
    return results.records, folder / "report"


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=True)


def scores(records, dataset, method, steps, sigma, name="all", metric="dsc"):
    """(cases,) in order of the case, averaged over seeds."""
    part = records[
        (records.dataset == dataset) & (records.method == method) & (records.steps == steps)
        & (records.sigma == sigma) & (records["class"] == name)
    ]  # fmt: skip
    return part.groupby("case")[metric].mean().sort_index()


def test_every_mean_by_sigma_is_the_mean_over_cases(report):
    records, folder = report
    for dataset in ("phantom_glands", "phantom_echo"):
        rows = table(folder, f"dsc_by_sigma_{dataset}")
        assert len(rows) == 3 * len(SIGMAS)
        for row in rows.itertuples():
            expected = scores(records, dataset, row.method, row.steps, row.sigma)
            assert row.dsc == pytest.approx(expected.mean(), abs=1e-12)
            assert row.low < row.dsc < row.high
            assert row.cases == 18


def test_the_interval_resamples_patients(report):
    records, folder = report
    row = table(folder, "dsc_by_sigma_phantom_echo").query("method == 'resunet' and sigma == 0.1").iloc[0]
    values = scores(records, "phantom_echo", "resunet", 0, 0.1).to_numpy()
    patient = np.arange(18) % 6
    by_patient = np.array([values[patient == p].mean() for p in range(6)])
    random, t = np.random.default_rng(99), []
    for _ in range(8000):
        drawn = by_patient[random.integers(0, 6, 6)]
        if drawn.std() > 0:
            t.append((drawn.mean() - by_patient.mean()) / drawn.std())
    low, high = by_patient.mean() - np.percentile(t, [97.5, 2.5]) * by_patient.std()
    assert (row.low, row.high) == pytest.approx((low, high), rel=0.02)
    assert row.groups == 6


def test_the_spread_over_seeds_is_that_of_the_seeds_means(report):
    records, folder = report
    row = (
        table(folder, "dsc_by_sigma_phantom_glands").query("method == 'ldseg' and steps == 2 and sigma == 0.2").iloc[0]
    )
    part = records.query("dataset == 'phantom_glands' and method == 'ldseg' and steps == 2 and sigma == 0.2")
    by_seed = part[part["class"] == "all"].groupby("seed").dsc.mean()
    assert row.seed_sd == pytest.approx(by_seed.std(ddof=1))


def test_class_rows_hold_each_class_the_pooled_score_and_the_mean_over_classes(report):
    records, folder = report
    rows = table(folder, "classes_phantom_echo").query("method == 'resunet' and sigma == 0.2").set_index("class")
    assert list(rows.index) == ["LV", "LA", "pooled", "mean over classes"]
    for name, key in (("LV", "LV"), ("LA", "LA"), ("pooled", "all")):
        for metric in ("dsc", "iou", "hd95", "assd"):
            expected = scores(records, "phantom_echo", "resunet", 0, 0.2, key, metric).mean()
            assert rows.loc[name, metric] == pytest.approx(expected)
    both = [scores(records, "phantom_echo", "resunet", 0, 0.2, name).to_numpy() for name in ("LV", "LA")]
    assert rows.loc["mean over classes", "dsc"] == pytest.approx(np.mean(both))


def test_area_and_loss_follow_from_the_mean_curve(report):
    records, folder = report
    row = table(folder, "robustness").query("dataset == 'phantom_glands' and method == 'resunet'").iloc[0]
    curve = np.array([scores(records, "phantom_glands", "resunet", 0, sigma).mean() for sigma in SIGMAS])
    area = sum((SIGMAS[k + 1] - SIGMAS[k]) * (curve[k] + curve[k + 1]) / 2 for k in range(3)) / 0.5
    assert row.area == pytest.approx(area)
    assert row.relative_area == pytest.approx(area / curve[0])
    assert row.sigma_at_loss == pytest.approx(np.interp(0.05 - curve[0], -curve, SIGMAS))


def test_differences_are_taken_case_by_case(report):
    records, folder = report
    rows = table(folder, "differences").query("dataset == 'phantom_echo' and second == 'resunet'").set_index("of")
    difference = {
        sigma: scores(records, "phantom_echo", "ldseg", 2, sigma) - scores(records, "phantom_echo", "resunet", 0, sigma)
        for sigma in (0, 0.2)
    }
    assert rows.loc["dsc at sigma 0", "difference"] == pytest.approx(difference[0].mean())
    assert rows.loc["dsc at sigma 0.2", "difference"] == pytest.approx(difference[0.2].mean())
    change = rows.loc["change of dsc from sigma 0 to 0.2", "difference"]
    assert change == pytest.approx((difference[0.2] - difference[0]).mean())


def test_the_summary_quotes_the_numbers_of_the_tables(report):
    records, folder = report
    text = (folder / "report.md").read_text()
    clean = scores(records, "phantom_glands", "resunet", 0, 0).mean()
    noisy = scores(records, "phantom_glands", "resunet", 0, 0.2).mean()
    summary = text.split("## Summary")[1].split("\n## ")[0]
    assert f"DSC {clean:.3f} [" in summary and f"{noisy:.3f} [" in summary
    assert f"Res-UNet lost {clean - noisy:.3f} [" in summary


def test_records_are_written_complete_and_in_the_contract_s_order(report):
    records, folder = report
    written = pd.read_csv(folder / "records.csv")
    assert list(written.columns[:15]) == [
        "method", "dataset", "seed", "case", "group", "class", "steps", "sampler", "sigma", "image_size", "dsc", "iou",
        "hd95", "assd", "seconds",
    ]  # fmt: skip
    assert len(written) == len(records)
    assert written.dsc.sum() == pytest.approx(records.dsc.sum())


def test_costs_are_those_of_the_trials(report):
    _, folder = report
    row = table(folder, "cost").query("dataset == 'phantom_glands' and steps == 10").iloc[0]
    assert (row.nfe, row.parameters, row.training_seconds) == (9, 1_620_000, 312.4)
    assert row.seconds_median == pytest.approx(0.108)


def test_lines_and_bands_are_the_means_and_their_intervals(fabricate):
    fabricate.trial("ldseg", sigmas=(0, 0.1, 0.2), steps=(2,), samples=False)
    results = fabricate.results()
    found = variants(results)
    line = curve(results, "phantom_glands", found[0])
    figure = curves_figure.draw({"phantom_glands": [line]}, labels(found), style.looks(found))
    ax = figure.axes[0]
    drawn = ax.lines[0]
    np.testing.assert_allclose(drawn.get_xdata(), [0, 0.1, 0.2])
    np.testing.assert_allclose(drawn.get_ydata(), [e.value for e in line.means()])
    band = ax.collections[0].get_paths()[0].get_extents()
    assert band.ymin == pytest.approx(min(e.low for e in line.means()))
    assert band.ymax == pytest.approx(max(e.high for e in line.means()))
    low, high = ax.get_ylim()
    assert low < band.ymin and high > band.ymax


def test_no_band_without_an_interval(fabricate):
    fabricate.trial("resunet", sigmas=(0, 0.1), cases=4, samples=False)
    results = fabricate.results()
    found = variants(results)
    figure = curves_figure.draw({"d": [curve(results, "phantom_glands", found[0])]}, labels(found), style.looks(found))
    assert len(figure.axes[0].collections) == 0
