"""The report of suite=uncertainty: its numbers against numpy on its records alone, its pictures, and odd results."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from benchmarks.store import records
from benchmarks.store.kept import Sampled
from benchmarks.store.results import Results
from reports import write
from reports.numbers.spread import _correlation, _risks, spreads
from reports.numbers.statistics import Estimate
from reports.numbers.study import study
from reports.suites.uncertainty import findings, maps_figure, tables
from tests.reports import resampling

COVERAGES = [5 * k for k in range(1, 21)]


def sampled(fabricate, tmp_path, constant=(), pictures=0, **suite) -> Results:
    """What suite=uncertainty would hold of the fabricated trials; runs of the methods in `constant` are all alike."""
    for number, frame in enumerate(fabricate.frames):
        random, pooled = np.random.default_rng(number), frame["class"] == "all"
        count, spread = int(pooled.sum()), 0.0 if frame["method"].iloc[0] in constant else 1.0
        frame["runs"] = 20
        frame["run_dsc"] = frame["dsc"] - 0.02 * spread * random.random(len(frame))
        frame["run_dsc_sd"] = 0.01 * spread
        errors = random.integers(50, 400, count)
        held = random.dirichlet(np.ones(8), count) * 4096
        values = {
            "mean_sd": spread * random.uniform(0.01, 0.1, count), "pixels": 4096.0, "errors": errors,
            "auroc": random.uniform(0.7, 0.95, count) if spread else 0.5,
            "auroc_confidence": random.uniform(0.6, 0.9, count), "energy_distance": random.uniform(0.1, 0.5, count),
            "raters": 1, "brier": random.uniform(0.01, 0.2, count),
        }  # fmt: skip
        for region, share in (("", 1.0), ("foreground_", 0.3), ("boundary_", 0.1)):
            for b in range(15):
                pixels = share * held[:, b - 7] if b >= 7 else np.zeros(count)
                of_bin = f"{region}bin{b + 1:02d}"
                values |= {f"{of_bin}_count": pixels, f"{of_bin}_confidence": pixels * (b + 0.5) / 15,
                           f"{of_bin}_correct": pixels * random.uniform(share / 2, 1, count)}  # fmt: skip
        values |= {f"risk{c:03d}": errors / 4096 * (c / 100) ** (2 * spread) for c in COVERAGES}
        frame[list(values)] = np.nan
        for name, value in values.items():
            frame.loc[pooled, name] = value
    results = fabricate.results(name="uncertainty", title="Uncertainty", question="Does it?", **suite)
    if pictures:
        for number, frame in enumerate(fabricate.frames):
            folder = tmp_path / f"maps{number}"
            kept = frame["case"].unique()[:pictures]
            maps(folder, kept, 0.0 if frame["method"].iloc[0] in constant else 0.2)
            results.uncertainty[records.tested(frame.iloc[0])] = Sampled(folder)
    return results


def maps(folder, cases, height, size=(48, 64)):
    folder.mkdir()
    y, x = np.mgrid[: size[0], : size[1]]
    content = {"ids": np.array(cases, dtype=str)}
    for n, _ in enumerate(cases):
        label = (((x - 30) ** 2 + (y - 20) ** 2) < 150).astype(np.uint8)
        ring = np.exp(-((np.hypot(x - 30, y - 20) - 12) ** 2) / 4)
        content |= {f"image_{n}": (200 - 90 * label)[None].astype(np.uint8), f"label_{n}": label,
                    f"prediction_{n}": np.roll(label, 2, 1), f"mean_{n}": label.astype(np.float32),
                    f"sd_{n}": (height * ring).astype(np.float32)}  # fmt: skip
    np.savez(folder / "maps0000.npz", **content)


@pytest.fixture
def report(fabricate, tmp_path):
    """Writes the fabricated results and returns (text of report.md, folder)."""

    def written(**how):
        folder = tmp_path / "report"
        return write(sampled(fabricate, tmp_path, **how), folder).read_text(), folder

    return written


def summary(results: Results) -> str:
    """The report's words alone, which take no drawing."""
    it = study(results)
    found = {dataset: spreads(it, dataset) for dataset in it.datasets}
    parts = findings.summary(it, found)
    return " ".join(text for part in parts for text in getattr(part, "items", [getattr(part, "text", "")]))


def calibration(records, region="", cases=slice(None)) -> tuple[float, float]:
    """Expected calibration error and mean confidence minus accuracy of one training, from its records alone."""
    count, sure, right = (
        records[[f"{region}bin{b:02d}_{k}" for b in range(1, 16)]].to_numpy()[cases].sum(axis=0)
        for k in ("count", "confidence", "correct")
    )
    return np.abs(sure - right).sum() / count.sum(), (sure - right).sum() / count.sum()


def predictions(results: Results):
    """The table of error prediction on phantom_glands."""
    it = study(results)
    return tables.error_prediction(it, "phantom_glands", spreads(it, "phantom_glands"))


def test_every_number_of_the_tables_is_that_of_the_records(fabricate, report):
    for seed in (0, 1):
        for method in ("ldseg", "lsegdiff"):
            fabricate.trial(method, "phantom_echo", seed, sigmas=(0,), steps=(2,), cases=18, patients=6)
    text, folder = report()
    records = pd.read_csv(folder / "records.csv")
    pooled = records[records["class"] == "all"]
    for row in pd.read_csv(folder / "tables" / "error_prediction_phantom_echo.csv").itertuples():
        seeds = [part for _, part in pooled[pooled.method == row.method].sort_values("case").groupby("seed")]
        of = pooled[pooled.method == row.method]
        assert len(seeds) == 2
        assert row.auroc == pytest.approx(of.auroc.mean()) and row.auroc_low < row.auroc < row.auroc_high
        assert row.auroc_confidence == pytest.approx(of.auroc_confidence.mean())
        assert row.error_rate == pytest.approx((of.errors / of.pixels).mean())
        assert row.spearman == pytest.approx(np.mean([spearmanr(s.mean_sd, 1 - s.dsc).statistic for s in seeds]))
        # Of six patients no formula holds the truth as often as it says.
        assert np.isnan(row.spearman_low) and np.isnan(row.spearman_high)
        kept = [(1 - s.dsc).to_numpy()[np.argsort(s.mean_sd.to_numpy())] for s in seeds]
        assert row.aurc_images == pytest.approx(np.mean([np.cumsum(k) / np.arange(1, 19) for k in kept]))
        risks = of[[f"risk{c:03d}" for c in COVERAGES]].mean().to_numpy()
        assert row.aurc_pixels == pytest.approx(np.trapezoid(risks, np.array(COVERAGES) / 100) / 0.95)
        assert (row.undefined, row.scores) == (0, 36)
        assert f"{row.auroc:.3f} [{row.auroc_low:.3f}, {row.auroc_high:.3f}]" in text.split("## Does")[0]
    for row in pd.read_csv(folder / "tables" / "calibration_phantom_echo.csv").to_dict("records"):
        of = pooled[pooled.method == row["method"]]
        assert row["brier"] == pytest.approx(of.brier.mean()) and row["brier_low"] < row["brier"] < row["brier_high"]
        for region in ("", "foreground_", "boundary_"):
            errors = [calibration(part, region) for _, part in of.groupby("seed")]
            assert [row[f"{region}ece"], row[f"{region}overconfidence"]] == pytest.approx(np.mean(errors, axis=0))
            assert row[f"{region}ece_low"] < row[f"{region}ece"] < row[f"{region}ece_high"]
    for row in pd.read_csv(folder / "tables" / "runs_phantom_echo.csv").itertuples():
        of = pooled[pooled.method == row.method]
        assert row.dsc == pytest.approx(of.dsc.mean()) and row.run_dsc == pytest.approx(of.run_dsc.mean())
        assert row.gain == pytest.approx((of.dsc - of.run_dsc).mean())
        assert row.mean_sd == pytest.approx(of.mean_sd.mean())
        assert row.energy_distance == pytest.approx(of.energy_distance.mean())
        assert row.seconds == pytest.approx(of.seconds.mean() * 20)
    for row in pd.read_csv(folder / "tables" / "classes_phantom_echo.csv").to_dict("records"):
        of = records[(records.method == row["method"]) & (records["class"] == row["class"])]
        assert row["dsc"] == pytest.approx(of.dsc.mean()) and row["run_dsc"] == pytest.approx(of.run_dsc.mean())
    images = pd.read_csv(folder / "figures" / "sd_by_error.csv")
    assert images.groupby("method").mean_sd.mean().to_dict() == pytest.approx(
        pooled.groupby("method").mean_sd.mean().to_dict()
    )
    assert len(pd.read_csv(folder / "figures" / "risk_coverage.csv")) == 2 * (20 + 18)
    shares = pd.read_csv(folder / "figures" / "reliability.csv").groupby("method").share_of_pixels.sum()
    assert shares.tolist() == pytest.approx([1, 1])


def test_scores_are_taken_of_each_training_and_not_of_what_trainings_have_together(fabricate, tmp_path):
    """One training too sure of itself where the other is not sure enough: together they would seem calibrated."""
    for seed in (0, 1):
        fabricate.trial("ldseg", seed=seed, sigmas=(0,), steps=(2,), cases=8)
    results = sampled(fabricate, tmp_path)
    frame, sign = results.records, 1 - 2 * results.records["seed"]
    for b in range(1, 16):
        frame[f"bin{b:02d}_correct"] = frame[f"bin{b:02d}_confidence"] - 0.1 * sign * frame[f"bin{b:02d}_count"]
    # The SD orders the images rightly in one training and wrongly in the other.
    frame["mean_sd"] = 0.05 + 0.05 * sign * (1 - frame["dsc"])
    (spread,) = spreads(study(results), "phantom_glands")
    assert spread.ece().value == pytest.approx(0.1) and spread.overconfidence().value == pytest.approx(0, abs=1e-12)
    assert spread.spearman.value == pytest.approx(0, abs=1e-12)
    # Two trainings are too few to speak of the method.
    assert spread.ece().seeds == 1


def test_intervals_of_scores_over_all_images_are_those_of_jackknife_pseudo_values(fabricate, tmp_path):
    """Once more with a loop over the patients left out."""
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=24, patients=8)
    results = sampled(fabricate, tmp_path)
    (spread,) = spreads(study(results), "phantom_glands")
    part = results.records[results.records["class"] == "all"].sort_values("case")
    group = part["group"].to_numpy()
    whole = calibration(part)[0]
    without = [calibration(part, cases=group != name)[0] for name in np.unique(group)]
    pseudo = 8 * whole - 7 * np.array(without)
    low, high = (
        np.array(resampling.limits(pseudo, resampling.studentised(pseudo), (0, 0, None), 0.025)) + whole - pseudo.mean()
    )
    found = spread.ece()
    assert (found.value, found.low, found.high) == pytest.approx((whole, low, high), abs=1e-9)


def test_no_interval_of_a_score_or_spread_leaves_the_values_there_can_be(fabricate, tmp_path):
    """A method that fails: one patient with a low score, the others with next to none, and as little spread."""
    for seed in range(3):
        fabricate.trial("ldseg", seed=seed, sigmas=(0,), steps=(2,), cases=6, samples=False)
    results = sampled(fabricate, tmp_path)
    low = np.where(results.records["case"] == "case000", 0.1, 0.001 * (1 + results.records["seed"]))
    names = ("dsc", "run_dsc", "run_dsc_sd", "mean_sd")
    for name in names:
        results.records[name] = low
    results.records["energy_distance"] = 2 - low
    (spread,) = spreads(study(results), "phantom_glands")
    for name in names:
        found = spread.mean(name)
        assert 0 == found.low < found.value < found.high < 1, name
    assert spread.mean("energy_distance").high == 2
    # As everywhere else in the report.
    assert spread.mean("dsc") == spread.curve.mean(0.0)


def test_a_correlation_has_an_interval_from_eight_patients_on(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=24, patients=8)
    (spread,) = spreads(study(sampled(fabricate, tmp_path)), "phantom_glands")
    assert spread.spearman.low < spread.spearman.value < spread.spearman.high


@pytest.mark.parametrize(
    "low, high, words",
    [
        (-0.01, 0.02, "which may be 0"), (0.01, 0.02, "over-confident there by"),
        (-0.02, -0.01, "under-confident there by 0.015 [0.010, 0.020]"), (None, None, "there +0.020, which may be 0"),
    ],
)  # fmt: skip
def test_which_of_confidence_and_accuracy_is_larger_is_said_where_it_is_known(low, high, words):
    value = 0.02 if low is None else (low + high) / 2
    assert words in findings._confident(Estimate(value, low, high, 20, 20))


def test_records_from_before_the_regions_are_shown_without_them(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=8)
    results = sampled(fabricate, tmp_path)
    old = [name for name in results.records if name.startswith(("foreground_", "boundary_", "brier"))]
    results.records = results.records.drop(columns=old)
    it = study(results)
    row = tables.calibration(it, "phantom_glands", spreads(it, "phantom_glands"))
    assert row.data["ece"].notna().all() and row.data[["foreground_ece", "boundary_ece", "brier"]].isna().all(axis=None)
    assert "along the boundaries" not in summary(results)


def test_weighted_statistics_are_those_of_the_cases_repeated():
    random = np.random.default_rng(0)
    sd, loss, counts = random.integers(0, 6, 12) / 5, random.random(12), random.integers(0, 4, 12)
    weights = (counts / counts.sum())[None]
    expected = spearmanr(np.repeat(sd, counts), np.repeat(loss, counts)).statistic
    assert _correlation(sd, loss, weights)[0] == pytest.approx(expected)
    assert np.isnan(_correlation(np.ones(12), loss, weights)[0])
    many, cost = np.repeat(sd, counts), np.repeat(loss, counts)
    expected = [cost[many <= value].mean() for value in many]
    assert np.repeat(_risks(sd, loss, weights)[0], counts) == pytest.approx(expected)


def test_the_most_uncertain_places_are_apart_and_in_order():
    y, x = np.mgrid[:60, :60]
    sd = sum(height * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b, height in
             ((10, 10, 0.2), (13, 12, 0.19), (40, 15, 0.4), (30, 50, 0.3), (55, 55, 0.1)))  # fmt: skip
    found = maps_figure.places(sd)
    assert np.abs(found - [(40, 15), (30, 50), (11, 11)]).max() <= 1
    assert len(maps_figure.places(np.zeros((60, 60)))) == 0


def test_maps_are_drawn_by_method_and_by_case(fabricate, report):
    for method in ("ldseg", "lsegdiff"):
        fabricate.trial(method, "phantom_echo", sigmas=(0,), steps=(2,), cases=6)
    text, folder = report(constant=("ldseg",), pictures=2)
    names = {path.stem for path in (folder / "figures").glob("maps_*.png")}
    assert names == {"maps_phantom_echo", "maps_phantom_echo_ldseg-2-ddim", "maps_phantom_echo_lsegdiff-2-ddim"}
    assert "test case `case00" in text and "ringed and numbered" in text


def test_runs_that_are_all_alike_are_said_to_predict_nothing(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=8)
    fabricate.trial("lsegdiff", sigmas=(0,), steps=(2,), cases=8)
    results = sampled(fabricate, tmp_path, constant=("ldseg",))
    said, table = summary(results), predictions(results)
    assert "All runs of LDSeg (2 steps) are alike" in said and "AUROC: LSegDiff" in said
    assert "LDSeg (2 steps) undefined" in said
    assert "(no spread)" in table.frame.iloc[0, 1] and "(no spread)" not in table.frame.iloc[1, 1]
    assert table.data.constant.tolist() == [True, False] and np.isnan(table.data.spearman[0])
    fabricate.trials.pop(), fabricate.frames.pop()
    assert "No method's runs spread" in summary(sampled(fabricate, tmp_path, constant=("ldseg",)))


def test_an_auroc_that_is_undefined_is_counted_and_not_averaged(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=8)
    results = sampled(fabricate, tmp_path)
    places = results.records.index[results.records["class"] == "all"]
    results.records.loc[places[:3], "auroc"] = np.nan
    assert "The AUROC is undefined in 3 of 8 segmentations" in summary(results)
    table = predictions(results)
    assert table.frame.iloc[0]["undefined"] == "3 of 8"
    assert table.data.iloc[0].auroc == pytest.approx(results.records.loc[places[3:], "auroc"].mean())
    results.records["auroc"] = np.nan
    assert "no AUROC to compare" in summary(results)


def test_chance_is_called_chance(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=8)
    fabricate.trial("lsegdiff", sigmas=(0,), steps=(2,), cases=8)
    results = sampled(fabricate, tmp_path)
    mine = results.records["method"] == "ldseg"
    results.records.loc[mine, "auroc"] -= results.records.loc[mine, "auroc"].mean() - 0.5
    assert "Not shown to be better than chance, AUROC 0.5: LDSeg (2 steps) (0.500" in summary(results)


def test_a_single_case_is_drawn_and_has_no_interval(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=1)
    text, folder = report(pictures=1)
    assert "No interval is given: 1 independent group cannot carry one." in text
    for path in (folder / "tables").glob("*_phantom_glands.csv"):
        assert pd.read_csv(path).filter(regex="_low$|_high$").isna().all(axis=None), path.name


def test_four_cases_have_values_without_intervals(fabricate, tmp_path):
    for method in ("ldseg", "lsegdiff"):
        fabricate.trial(method, sigmas=(0,), steps=(2,), cases=4)
    said = summary(sampled(fabricate, tmp_path))
    assert "4 independent groups cannot carry one" in said and "[" not in said


def test_failed_declined_and_missing_trials_are_rows_with_their_reason(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=6)
    fabricate.trial("lsegdiff", status="failed", reason="sampling failed: out of memory", records=False)
    fabricate.trial("resunet", status="declined", reason="no spread")
    results = sampled(fabricate, tmp_path, methods=["ldseg", "lsegdiff", "resunet", "medsegdiff"])
    assert "**LSegDiff** has no result here (failed: sampling failed: out of memory.)" in summary(results)
    reasons = ["failed: sampling failed: out of memory", "declined: no spread",
               "not run: the store holds no trial of it"]  # fmt: skip
    it = study(results)
    for table in (tables.error_prediction, tables.runs):
        rows = table(it, "phantom_glands", spreads(it, "phantom_glands"))
        assert rows.data["note"].dropna().tolist() == reasons and len(rows.frame) == 4


def test_a_method_of_which_a_training_collapsed_is_marked(fabricate, tmp_path):
    for seed, shift in enumerate((0, -0.3, 0)):
        fabricate.trial("ldseg", seed=seed, sigmas=(0,), steps=(2,), cases=6, shift=shift)
    fabricate.trial("lsegdiff", sigmas=(0,), steps=(2,), cases=6)
    rows = predictions(sampled(fabricate, tmp_path)).data
    assert dict(zip(rows["method"], rows["collapsed"])) == {"ldseg": True, "lsegdiff": False}


def test_nothing_measured_still_gives_a_report(fabricate, tmp_path):
    fabricate.trial("ldseg", status="failed", reason="broken file", records=False)
    results = fabricate.results(name="uncertainty", title="Uncertainty")
    text = write(results, tmp_path / "report").read_text()
    assert "failed: broken file" in text and not list((tmp_path / "report").glob("figures/maps*"))


def test_two_numbers_of_steps_of_one_method_are_told_apart(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2, 10), cases=6)
    results = sampled(fabricate, tmp_path)
    first, second = spreads(study(results), "phantom_glands")
    assert (first.nfe, second.nfe) == (1, 9) and not np.array_equal(first.of("mean_sd"), second.of("mean_sd"))
    assert "LDSeg (2 steps)" in summary(results) and "LDSeg (10 steps)" in summary(results)
