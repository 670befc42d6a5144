"""Costs in reports: only what was timed side by side stands side by side."""

import json

from reports.numbers.study import study
from reports.sections import accuracy_table, cost
from reports.suites.noise_robustness import tables
from reports.suites.sampling_steps.curves_by_steps import step_curves
from reports.suites.sampling_steps.report import _enough


def timed(trial, *rows):
    path = trial.path / "cost.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inference": list(rows)}))


def row(comparison, seconds, steps=None, ensemble=None):
    sampler = "ddim" if steps else None
    return {"comparison": comparison, "seconds_median": seconds, "steps": steps, "sampler": sampler, "nfe": 1,
            "ensemble": ensemble, "seconds_iqr": 0.0, "repeats": 3, "peak_memory_mib": 1.0}  # fmt: skip


def seconds(results, dataset="phantom_glands"):
    return {(c.variant.method, c.variant.steps): cost.cost(results, c).seconds for c in study(results).curves[dataset]}


def test_times_of_another_comparison_are_left_out(fabricate):
    ldseg = fabricate.trial("ldseg", sigmas=(0,), steps=(2, 10), cases=6)
    resunet = fabricate.trial("resunet", sigmas=(0,), cases=6)
    timed(ldseg, row("both", 1.0, 2, 1), row("both", 5.0, 10, 1), row("alone", 0.1, 2, 1))
    timed(resunet, row("both", 2.0))
    assert seconds(fabricate.results()) == {("ldseg", 2): 1.0, ("ldseg", 10): 5.0, ("resunet", 0): 2.0}


def test_of_two_comparisons_of_the_same_the_latest_counts(fabricate):
    trial = fabricate.trial("resunet", sigmas=(0,), cases=6)
    timed(trial, row("first", 1.0), row("second", 3.0))
    assert seconds(fabricate.results()) == {("resunet", 0): 3.0}


def test_samplings_that_differ_in_the_number_of_samples_are_told_apart(fabricate):
    trial = fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=6)
    timed(trial, row("one", 1.0, 2, ensemble=5))
    assert seconds(fabricate.results()) == {("ldseg", 2): None}


def test_every_table_that_compares_methods_by_accuracy_carries_what_the_accuracy_cost(fabricate):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, sigmas=(0, 0.1, 0.2), steps=(2, 10), cases=6)
    it = study(fabricate.results())
    curves = {"phantom_glands": step_curves(it, "phantom_glands")}
    for table in (accuracy_table.table(it, "phantom_glands"), tables.robustness(it), _enough(it, curves)):
        assert [column for column in table.frame if column in cost.COLUMNS] == list(cost.COLUMNS), table.name
        for row in table.data.to_dict("records"):
            steps = row["enough"] if "enough" in row else row["steps"]
            own = [
                c for c in it.curves["phantom_glands"] if (c.variant.method, c.variant.steps) == (row["method"], steps)
            ]
            for name, value in cost.values(cost.cost(it.results, own[0])).items():
                assert row[name] == value is not None, (table.name, name)
