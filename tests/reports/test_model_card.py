"""What a model card says of validation."""

import json

import numpy as np
import pandas as pd
import pytest

from reports import model_card
from reports.numbers import statistics
from reports.paper import words


@pytest.fixture
def fabricated(fabricate):
    def trial(*arguments, **more):
        view = fabricate.trial(*arguments, sigmas=(0,), cases=6, **more)
        path = view.path / "cost.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"best_step": 760}))
        return view

    return trial


def test_the_validation_score_comes_with_its_number_of_cases(fabricated):
    view = fabricated("resunet")
    said = model_card.text(view).split("## Scores")[1].split("Test, means")[0]
    count = min(view.config.training.val_cases, view.config.dataset.cases["val"])
    assert f"mean DSC 0.880 over {count} case" in said and "interval" not in said


def test_where_the_scores_of_validation_cases_are_stored_it_has_an_interval(fabricated):
    view = fabricated("ldseg", steps=(2,))
    (view.path / "validation").mkdir()
    random = np.random.default_rng(0)
    for steps in (2, 10):
        frame = pd.DataFrame({"class": "all", "steps": steps, "dsc": random.uniform(0.7, 0.9, 12)})
        frame["group"] = [f"patient{k // 2}" for k in range(12)]
        frame.to_parquet(view.path / "validation" / f"sigma0-ddim{steps}.parquet")
    said = model_card.text(view).split("## Scores")[1].split("Test, means")[0]
    estimate = statistics.mean(frame["dsc"].to_numpy()[None], frame["group"].to_numpy(), bounds=(0, 1))
    assert estimate.has_interval and f"10 steps {words.with_interval(estimate)}" in said
    assert "12 cases" in said and said.index("2 steps") < said.index("10 steps")
