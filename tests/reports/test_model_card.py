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


def said(view):
    return model_card.text(view).split("## Scores")[1].split("Test, means")[0]


def test_the_validation_score_of_any_method_comes_with_its_interval(fabricated):
    for method, more in (("resunet", {}), ("ldseg", {"steps": (2,)})):
        view = fabricated(method, **more)
        frame = pd.DataFrame({"case": list("abcdefgh"), "group": list("ppqqrstu"), "dsc": np.linspace(0.8, 0.9, 8)})
        frame.to_parquet(view.path / "validation.parquet")
        estimate = statistics.mean(frame["dsc"].to_numpy()[None], frame["group"].to_numpy(), bounds=(0, 1))
        assert estimate.has_interval
        assert f"Validation: mean DSC {words.with_interval(estimate)} over 8 cases" in said(view)


def test_without_the_scores_of_single_cases_it_says_that_there_is_no_interval(fabricated):
    view = fabricated("resunet")
    count = min(view.config.training.val_cases, view.config.dataset.cases["val"])
    assert f"mean DSC 0.880 over {count} case" in said(view) and "so there is no interval" in said(view)


def test_of_a_method_that_makes_images_the_loss_is_said_and_that_it_chose_nothing(fabricated):
    view = fabricated("resunet")
    history = view.history.assign(metric=view.history["metric"].replace("dsc", "total"))
    history.to_parquet(view.path / "history.parquet")
    last = history[(history["split"] == "val") & (history["metric"] == "total")]["value"].iloc[-1]
    assert f"Validation: loss {last:.3f}" in said(view) and "DSC" not in said(view)


def test_a_method_that_keeps_no_validation_score_says_so(fabricated):
    view = fabricated("resunet")
    path = view.path / "done.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"best_val_dsc": None}))
    assert "no score is stored" in said(type(view).load(view.path))


def test_where_the_scores_of_validation_cases_are_stored_it_has_an_interval(fabricated):
    view = fabricated("ldseg", steps=(2,))
    (view.path / "validation").mkdir()
    random = np.random.default_rng(0)
    for steps in (2, 10):
        frame = pd.DataFrame({"class": "all", "steps": steps, "dsc": random.uniform(0.7, 0.9, 12)})
        frame["group"] = [f"patient{k // 2}" for k in range(12)]
        frame.to_parquet(view.path / "validation" / f"sigma0-ddim{steps}.parquet")
    estimate = statistics.mean(frame["dsc"].to_numpy()[None], frame["group"].to_numpy(), bounds=(0, 1))
    assert estimate.has_interval and f"10 steps {words.with_interval(estimate)}" in said(view)
    assert "12 cases" in said(view) and said(view).index("2 steps") < said(view).index("10 steps")
