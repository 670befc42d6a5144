"""The reports in docs/results as wholes: which there are, that every number of their words is one of their tables, that
every column is recomputed from the records or stands in a list with the reason why not, and their overview."""

import re
import subprocess

import pandas as pd
import pytest

from reports.sections import claims
from tests.reports.committed import METRICS, OBJECTS, RESULTS, found, records_of, scores
from tests.reports.resampling import mean

KEYS = {"dataset", "method", "steps", "sampler", "ensemble", "sigma", "class", "first", "second", "of", "other", "note",
        "image_size", "smallest", "largest", "score", "same_data", "left_out", "twin", "part", "over", "seed", "case",
        "group", "training"}  # fmt: skip
"""Columns that say what a row is of."""
ELSEWHERE = RESULTS / "synthetic_training"
"""Recomputed by test_committed_synthetic_training.py."""
SETTINGS = ("trials", "data_sets", "environment", "method_settings", "training_settings", "training_differences",
            "recipes")  # fmt: skip
"""Tables of what was set and what happened, which come from the trials and not from records."""
OF_TRIALS = {"parameters", "training_seconds", "training_steps", "seconds_median", "seconds_iqr", "repeats",
             "peak_memory_mib", "seconds"}  # fmt: skip
"""Measured once on a trial, which is not committed; where suites of timings have such columns, they are recomputed."""
OF_VALIDATION = {"candidate", "validation_dsc", "cases", "best_val_dsc"}
"""Of validation cases, whose records are not committed: what was made of them is recomputed from these columns."""
TESTS = {"p", "p_holm", "p_not_worse", "p_not_better", "p_equivalent", "p_lasting", "margin", "unseen_failure",
         "family", "attainable", "detectable", "rank_biserial", "d_z", "about", "collapsed", "verdict"}  # fmt: skip


def with_ends(*names):
    """Each name with those of the ends of its interval."""
    return {f"{name}{end}" for name in names for end in ("", "_low", "_high")}


RECOMPUTED = {
    "accuracy_*": {"rank", "rank_low", "rank_high", "undefined_distances", "scores", "seeds", "seed_sd", "nfe"},
    "classes_*": {"undefined_distances", "scores", "both_empty", "run_dsc", "run_dsc_sd"},
    "objects_*": {"cases", *with_ends(*OBJECTS)},
    "chosen_steps": {"chosen", "nfe", "equal_steps", "equal_nfe", *OF_VALIDATION},
    "validation_by_time": {"equal_seconds", "val_dsc_at_equal_time", "val_dsc", "trainings", *OF_VALIDATION},
    "cost": {"nfe"},
    "critical_difference": {"mean_rank", "mean_rank_lowest_seed", "mean_rank_highest_seed", "p_against_best",
                            "critical_difference"},
    "differences": {"difference", "low", "high", "cases", "groups", "first_seeds", "second_seeds", "error", "df",
                    *TESTS},
    "differences_by_patient": {"difference", "low", "high", "cases", "groups", "first_seeds", "second_seeds", "error",
                               "df", *TESTS},
    "pairs_*": {"difference", "low", "high", "cases", *TESTS},
    "twins": {*with_ends("difference"), *TESTS},
    "dsc_by_method": {*with_ends("dsc"), "published"},
    "dsc_by_s*": {"dsc", "low", "high", "cases", "groups", "seeds", "seed_sd", "nfe"},
    "dsc_by_time": {*with_ends("dsc"), "low", "high", "nfe", "front"},
    "fewest_against_most": {"fewest", "most", *with_ends("difference"), *TESTS},
    "friedman": {"methods", "groups", "chi_squared", "p", "p_lowest_seed", "p_highest_seed", "kendall_w",
                 "critical_difference"},
    "posteriors": {"better", "equivalent", "worse", "margin", "groups"},
    "published": {"published", "ours", "difference", "low", "high"},
    "published_steps*": {"published_best", "enough", "best"},
    "ranks": {"rank", "rank_low", "rank_high", "kept", "first", "dsc"},
    "ranks_elsewhere": {"mean_dsc", "median", "mean_over_cases", "mean_rank", *METRICS, *OBJECTS},
    "robustness": {"sigma_from", "sigma_to", "nfe", *with_ends("area", "relative_area", "sigma_at_loss")},
    "steps_needed": {"enough", "enough_low", "enough_high", "best_steps", "best_low", "best_high", "best_dsc",
                     "best_minus_fewest", "low", "high", "nfe"},
    "image_size": {"nfe", "first_seconds", "seconds_q1", "seconds_q3", "calls"},
    "scaling": {"sizes", "exponent", "low", "high", "rounds", "exponent_last", "last_low", "last_high",
                "memory_exponent", "verdict"},
    "runs_*": {"runs", "nfe", *with_ends("dsc", "run_dsc", "run_dsc_sd", "mean_sd", "energy_distance", "gain")},
    "error_prediction_*": {"undefined", "scores", "constant", "collapsed", *with_ends(
        "auroc", "auroc_confidence", "spearman", "aurc_images", "aurc_pixels", "error_rate")},
    "calibration_*": with_ends("brier", *(f"{region}{name}" for region in ("", "foreground_", "boundary_")
                                          for name in ("ece", "overconfidence"))),
    "uncertainty_differences": {*with_ends("difference"), *TESTS},
    "reliability": {"share_of_pixels", "confidence", "accuracy"},
    "risk_coverage": {"coverage", "risk"},
    "sd_by_error": {"mean_sd", "dsc"},
}  # fmt: skip
"""By table, the columns that tests named test_committed_* compute from the records alone."""


def test_there_are_results_of_three_data_sets():
    assert {path.parent.name for path in RESULTS.glob("*/accuracy")} == {"glas", "camus", "hippocampus"}


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
        # A column for each structure, too.
        known |= with_ends(*METRICS)
        known |= {name for name in pd.read_csv(path, nrows=0) if name.startswith("dsc_")}
    assert set(pd.read_csv(path, nrows=0)) - known - KEYS - OF_TRIALS == set()


def test_the_verdicts_of_the_overview_are_those_of_the_reports(capsys):
    claims.main([str(RESULTS)])
    assert capsys.readouterr().out.strip() in (RESULTS / "README.md").read_text()


@pytest.mark.parametrize("dataset", ["glas", "camus"])
def test_scores_and_budgets_of_the_overview_are_those_of_the_reports(dataset):
    """Mean, SD over trainings and rise of the validation DSC in the last fifth, of every method of the report."""
    tables = RESULTS / dataset / "accuracy" / "tables"
    scored = pd.read_csv(tables / f"accuracy_{dataset}.csv").set_index("method")
    rises = pd.read_csv(tables / "trials.csv").groupby("method")["rise_in_last_fifth"].mean()
    expected = {
        f"{row.dsc:.3f} [{row.dsc_low:.3f}, {row.dsc_high:.3f}] | {row.seed_sd:.3f} | {rises[method]:+.3f}"
        for method, row in scored.iterrows()
    }
    text = (RESULTS / "README.md").read_text().replace("\u2212", "-")
    assert {line for line in expected if line not in text} == set()


def test_every_interval_that_the_overview_quotes_is_one_of_a_table():
    text = (RESULTS / "README.md").read_text().replace("\u2212", "-")
    number = r"([+-]?\d+\.\d+)"
    triples = re.findall(rf"{number}\s+\[{number}, {number}\]", text)
    quoted = {tuple(part.lstrip("+") for part in parts) for parts in triples}
    assert len(quoted) > 25
    known = set()
    for path in RESULTS.rglob("tables/*.csv"):
        table = pd.read_csv(path)
        for column in table.columns:
            stem = column.removeprefix("exponent_")  # last_low belongs to exponent_last
            for ends_of in ([f"{stem}_low", f"{stem}_high"], ["low", "high"]):
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


def losses(records):
    """What every method lost from sigma 0 to 0.2, which reports on noise say and have in no table."""
    found = set()
    for (name, steps), part in records[records["class"] == "all"].groupby(["method", "steps"]):
        if (part["sigma"] == 0.2).any():
            (clean, groups), (noisy, _) = (scores(records, method=name, steps=steps, sigma=sigma) for sigma in (0, 0.2))
            found.add(tuple(mean(clean - noisy, groups=groups, bounds=(-1, 1))))
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
            stem = column.removeprefix("exponent_")  # last_low belongs to exponent_last
            for ends_of in ([f"{stem}_low", f"{stem}_high"], ["low", "high"]):
                if set(ends_of) < set(table.columns) and table[column].dtype == float:
                    known |= {tuple(values) for values in table[[column, *ends_of]].dropna().to_numpy()}
    known |= losses(records_of(path.parent / "tables" / "any.csv"))
    known |= {(-value, -high, -low) for value, low, high in known}
    written = {tuple(f"{part:.{places}f}" for part in values) for values in known for places in (1, 2, 3, 4)}
    assert len(quoted) > 5 and quoted - written == set()
    assert levels - ps == set()


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
    every = {f"{row.dsc:.3f} [{row.dsc_low:.3f}, {row.dsc_high:.3f}]" for row in pooled.itertuples()}
    assert set(re.findall(r"\d\.\d{3} \[.*?\]", highest)) <= every
