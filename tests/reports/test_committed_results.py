"""The reports in docs/results against the records committed beside them, and their overview against the reports.

Committed records are rounded to five digits, so scores agree to about 1e-5 and distances to about 1e-4 of their size.
"""

import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from datasets.glas import read_patients
from tests.reports import resampling
from tests.reports.committed import METRICS, RESULTS, found, measured, records_of, same, scores
from tests.reports.resampling import drawn, ends, holm, patients

GRADES = RESULTS.parents[2] / "shared" / "data" / "glas" / "Grade.csv"


@pytest.fixture
def records(path):
    return records_of(path)


def test_there_are_results_of_three_data_sets():
    assert {path.parent.name for path in RESULTS.glob("*/accuracy")} == {"glas", "camus", "hippocampus"}


@found("accuracy_*")
def test_accuracy(path, records):
    rows = measured(path)
    assert {row["method"] for row in rows} == set(records.method)
    means = [scores(records, method=row["method"], sigma=0, steps=row["steps"])[0].mean() for row in rows]
    for row in rows:
        where = {"method": row["method"], "sigma": 0, "steps": row["steps"]}
        for metric in METRICS:
            same(row, metric, *scores(records, metric, **where))
        for column in row:
            if (name := column.removeprefix("dsc_")) in set(records["class"]) and column != name:
                same(row, column, *scores(records, "dsc", name, **where))
        assert row["rank"] == 1 + sum(other > row["dsc"] + 1e-5 for other in means)


@found("classes_*")
def test_scores_per_class(path, records):
    names = [name for name in records["class"].unique() if name != "all"]
    for row in measured(path):
        where = {"method": row["method"], "sigma": row["sigma"], "steps": row["steps"]}
        single = {"pooled": ["all"], "mean over classes": names}.get(row["class"], [row["class"]])
        single = ["all"] if single[0] not in names and single != ["all"] else single
        for metric in METRICS:
            parts = [scores(records, metric, name, **where) for name in single]
            same(row, metric, np.mean([values for values, _ in parts], axis=0), parts[0][1])


@found("dsc_by_s*")
def test_curves_over_sigma_or_steps(path, records):
    axis = "sigma" if "sigma" in path.stem else "steps"
    rows = measured(path)
    for row in rows:
        where = {"method": row["method"], "steps": row["steps"], "sigma": row.get("sigma", 0)}
        same(row, "dsc", *scores(records, **where), "low", "high")
    assert len(rows) == len(records.groupby(["method", "steps", "sigma"])) and axis in rows[0]


@found("robustness")
def test_areas_and_losses(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        part = records[(records.method == row["method"]) & (records.steps == row["steps"])]
        sigmas = np.sort(part.sigma.unique())
        values, groups = zip(*(scores(part, sigma=sigma) for sigma in sigmas))

        def area(curve, sigmas=sigmas):
            return np.sum(np.diff(sigmas) * (curve[1:] + curve[:-1]) / 2) / (sigmas[-1] - sigmas[0])

        def lost(curve, sigmas=sigmas):
            if not (below := np.flatnonzero(curve <= curve[0] - 0.05)).size:
                return np.inf
            k = below[0]
            share = (curve[k - 1] - curve[0] + 0.05) / (curve[k - 1] - curve[k])
            return sigmas[k - 1] + share * (sigmas[k] - sigmas[k - 1])

        def relative(curve):
            return area(curve) / curve[0]

        expected = {name: resampling.smooth(function, values, groups[0])
                    for name, function in (("area", area), ("relative_area", relative))}  # fmt: skip
        drawn = resampling.moved(values, groups[0])
        expected["sigma_at_loss"] = lost(np.mean(values, axis=1)), *ends([lost(curve) for curve in drawn])
        # Rounded scores are divided by their small difference.
        for name, tolerance in (("area", 5e-5), ("relative_area", 2e-4), ("sigma_at_loss", 1e-3)):
            found = row[name], row[f"{name}_low"], row[f"{name}_high"]
            assert found == pytest.approx(expected[name], abs=tolerance), name


def recomputed(rows, row, first, second, groups):
    """p, p not worse, p not better and p lasting, before Holm, of (cases,) scores; and what a table says beside."""
    p, not_worse, not_better, error, _, lasting = resampling.tests(first, second, groups)
    by_patient = patients(first - second, groups)
    family = int(row["family"])
    if "error" in row:
        assert row["error"] == pytest.approx(error, rel=1e-3) and row["df"] == pytest.approx(len(by_patient) - 1)
    assert resampling.power(row["detectable"], error, len(by_patient) - 1, family) == pytest.approx(0.8, abs=0.01)
    differing = np.count_nonzero(np.abs(by_patient) > 1e-12)
    assert row["attainable"] <= min(1, family * 2 / 2**differing) * 1.001
    assert row["about"] == "trainings" and row["margin"] == 0.01
    return p, not_worse, not_better, lasting


def check_tests(rows, found):
    """After Holm, within each family."""
    names = ["p_holm", "p_not_worse", "p_not_better", "p_lasting", "p_equivalent"]
    for place, family in rows.groupby(["dataset", *(["of"] if "of" in rows else [])], sort=False).groups.items():
        own = np.array([found[index] for index in family])
        for name, p in zip(names, [*own.T, own[:, 1:3].max(axis=1)], strict=True):
            # Scores of five digits move a p that is the level of a discrete draw.
            close = pytest.approx(holm(p).tolist(), rel=0.1, abs=2e-3)
            assert rows.loc[family, name].tolist() == close, (place, name)


@found("differences")
def test_differences_and_their_tests(path, records):
    rows, tests = pd.read_csv(path), {}
    for index, row in rows.iterrows():
        (first, second), sigma = [
            (key.rpartition("-") if "-" in key else (key, "", "0"))[::2] for key in (row["first"], row["second"])
        ], [float(number) for number in re.findall(r"[\d.]+", row["of"])][-1]  # fmt: skip
        both = [scores(records, method=name, steps=int(steps), sigma=sigma) for name, steps in (first, second)]
        (one, groups), (two, _) = both
        if row["of"].startswith("change"):
            clean = [scores(records, method=name, steps=int(steps), sigma=0)[0] for name, steps in (first, second)]
            one, two = one - clean[0], two - clean[1]
        same(row, "difference", one - two, groups, "low", "high", changes=row["of"].startswith("change"))
        tests[index] = recomputed(rows, row, one, two, groups)
    assert rows.p.tolist() == pytest.approx([p for p, *_ in tests.values()], rel=0.05)
    check_tests(rows, tests)


@found("posteriors")
def test_posteriors(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        name, _, steps = row["other"].partition("-")
        where = {"sigma": row["sigma"]}
        one, groups = scores(records, method=row["method"], steps=row["steps"], **where)
        two, _ = scores(records, method=name, steps=int(steps or 0), **where)
        z = np.append(patients(one - two, groups), 0)
        weights = np.random.default_rng(9).dirichlet([1.0] * (len(z) - 1) + [0.5], 2000)
        sums = np.add.outer(z, z)
        above, below = (np.einsum("ni,nj,ij->n", weights, weights, 1.0 * side, optimize=True)
                        for side in (sums > 0.02, sums < -0.02))  # fmt: skip
        likeliest = np.argmax([above, 1 - above - below, below], axis=0)
        found = [row[side] for side in ("better", "equivalent", "worse")]
        assert found == pytest.approx(np.bincount(likeliest, minlength=3) / 2000, abs=0.04)


@found("ranks_elsewhere")
def test_ranks_elsewhere(path, records):
    rows = pd.read_csv(path)
    for _, part in rows.groupby("sigma") if "sigma" in rows else [(0, rows)]:
        sigma = part["sigma"].iloc[0] if "sigma" in part else 0

        def ranked(metric, summary, part=part, sigma=sigma):
            values = [
                summary(patients(*scores(records, metric, method=row.method, steps=row.steps, sigma=sigma)))
                for row in part.itertuples()
            ]
            return stats.rankdata(-np.round(values, 6), method="min").tolist()

        assert part["mean_dsc"].tolist() == ranked("dsc", np.mean)
        assert part["median"].tolist() == ranked("dsc", np.median)
        assert part["iou"].tolist() == ranked("iou", np.mean)


@found("fewest_against_most")
def test_the_fewest_steps_against_the_most(path, records):
    rows, tests = pd.read_csv(path), {}
    for index, row in rows.iterrows():
        (few, groups), (many, _) = (
            scores(records, method=row["method"], steps=row[which], sigma=0) for which in ("fewest", "most")
        )
        same(row, "difference", few - many, groups)
        tests[index] = recomputed(rows, row, few, many, groups)
    check_tests(rows, tests)


@found("differences_by_patient")
def test_differences_by_patient(path, records):
    """Mean and Wilcoxon's p of the patients' differences, the patients being those of the release's table."""
    if not GRADES.is_file():
        pytest.skip("Grade.csv of the real glas data is not in ../shared/data")
    patient = read_patients(GRADES)
    rows = pd.read_csv(path)
    for row in rows.to_dict("records"):
        values = {}
        for side in ("first", "second"):
            name, _, steps = row[side].partition("-")
            part = records[(records["class"] == "all") & (records.method == name) & (records.steps == int(steps or 0))]
            table = part.pivot(index="case", columns="sigma", values="dsc")
            sigma = [float(number) for number in re.findall(r"[\d.]+", row["of"])][-1]
            values[side] = table[sigma] - (table[0] if row["of"].startswith("change") else 0)
        means = (values["first"] - values["second"]).groupby(patient).mean()
        assert (row["groups"], row["cases"]) == (len(means), len(values["first"])) == (12, 80)
        assert row["difference"] == pytest.approx(means.mean(), abs=2e-5)
        assert row["p"] == pytest.approx(stats.wilcoxon(means).pvalue, rel=0.05)
        _, low, high = resampling.mean(means.to_numpy(), groups=np.arange(12))
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-4)
        # Of twelve patients no margin of 0.01 holds out against one failure that was not seen.
        assert row["verdict"] in ("better", "worse", "better so far", "worse so far", "undecided")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*/report.md")), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_report_on_records_of_a_former_version_says_so_first(path):
    (file,) = path.parent.glob("records.csv*")
    records = pd.read_csv(file, low_memory=False)
    beginning = path.read_text().partition("## Summary")[0]
    assert "unit" in records or "former" in beginning
    if (records["dataset"] == "glas").all() and (records["group"] == records["case"]).all():
        assert "By images, not by patients" in beginning and "Nobody knows" not in path.read_text()
        assert "patient" not in " ".join(path.read_text().partition("## Differences by patient")[0].split("## ")[1:])


@found("steps_needed")
def test_steps_that_suffice(path, records):
    for row in pd.read_csv(path).to_dict("records"):
        part = records[(records.method == row["method"]) & (records.sigma == 0)]
        steps = np.sort(part.steps.unique())
        values, groups = zip(*(scores(part, steps=k) for k in steps))
        means = np.mean(values, axis=1)

        def enough(curve, steps=steps):
            return steps[np.flatnonzero(curve >= curve.max() - 0.005)[0]]

        moved = resampling.moved(values, groups[0])
        expected = (enough(means), *ends([enough(curve) for curve in moved]))
        assert (row["enough"], row["enough_low"], row["enough_high"]) == expected
        assert row["best_steps"] == steps[means.argmax()] and row["best_dsc"] == pytest.approx(means.max(), abs=2e-5)
        # The best number is chosen on the patients of a bootstrap sample and judged on those that are not in it.
        gain = np.array([patients(value - values[0], groups[0]) for value in values])
        weights = drawn(gain.shape[1])
        highest = (weights @ np.array([patients(value, groups[0]) for value in values]).T).argmax(axis=1)
        gained = [gain[best, times == 0].mean() for best, times in zip(highest, weights)]
        expected = (np.mean(gained), *ends(gained))
        assert (row["best_minus_fewest"], row["low"], row["high"]) == pytest.approx(expected, abs=5e-5)
        assert (row["best_low"], row["best_high"]) == ends(steps[moved.argmax(axis=1)])


def test_every_interval_that_the_overview_quotes_is_one_of_a_table():
    text = (RESULTS / "README.md").read_text().replace("\u2212", "-")
    number = r"([+-]?\d+\.\d+)"
    triples = re.findall(rf"{number}\s+\[{number}, {number}\]", text)
    quoted = {tuple(part.lstrip("+") for part in parts) for parts in triples}
    assert len(quoted) > 25
    known = {both_with_two_steps()}
    for path in RESULTS.rglob("tables/*.csv"):
        table = pd.read_csv(path)
        for column in table.columns:
            for ends_of in ([f"{column}_low", f"{column}_high"], ["low", "high"]):
                if set(ends_of) < set(table.columns) and table[column].dtype == float:
                    known |= {tuple(values) for values in table[[column, *ends_of]].dropna().to_numpy()}
    known |= {(-value, -high, -low) for value, low, high in known}
    written = {tuple(f"{part:.{places}f}" for part in values) for values in known for places in (2, 3)}
    assert quoted - written == set()


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*.md")), ids=lambda path: str(path.relative_to(RESULTS)))
def test_every_relative_link_leads_to_a_committed_file(path):
    root = RESULTS.parents[1]
    listed = subprocess.run(["git", "ls-files", "-z", "docs", "README.md"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    committed = {root / name for name in listed.stdout.split("\0")}
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if "://" not in target]
    assert targets
    missing = {target for target in targets if (path.parent / target.partition("#")[0]).resolve() not in committed}
    assert not missing


def both_with_two_steps():
    """LDSeg less LSegDiff on GlaS, each with 2 steps: quoted, but of no table."""
    records = pd.read_csv(RESULTS / "glas" / "sampling_steps" / "records.csv")
    (first, groups), (second, _) = (scores(records, method=name, steps=2) for name in ("ldseg", "lsegdiff"))
    return resampling.mean(first - second, groups=groups)


@found("ranks")
def test_a_score_has_one_interval_in_the_whole_report(path):
    """That of the table by class, in the table of ranks and in the sentence on the highest mean, too."""
    classes = pd.concat([pd.read_csv(table) for table in path.parent.glob("classes_*.csv")] or [pd.DataFrame()])
    if classes.empty:
        classes = pd.concat([pd.read_csv(table) for table in path.parent.glob("accuracy_*.csv")])
        classes = classes.assign(sigma=0.0, **{"class": "pooled"})
    pooled = classes[(classes["class"] == "pooled") | (classes["class"].nunique() == 1)]
    by_rank = pd.read_csv(path).merge(pooled, on=["method", "steps", "sigma"], suffixes=("_ranked", ""), how="left")
    expected = [f"{row.dsc:.3f} [{row.dsc_low:.3f}, {row.dsc_high:.3f}]" for row in by_rank.itertuples()]
    text = (path.parents[1] / "report.md").read_text()
    rows = text.partition("keeps its rank | is first |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert [re.search(r"\d\.\d{3} \[.*?\]", row)[0] for row in rows] == expected
    highest = "".join(re.findall("Highest mean DSC: .*", text))
    assert set(re.findall(r"\d\.\d{3} \[.*?\]", highest)) <= set(expected)
