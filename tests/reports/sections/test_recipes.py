"""The report sets the recipe that was used beside the published one."""

from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.plan.configuration import names
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from reports import write
from reports.sections import published
from reports.sections.recipes import FIELDS, used

TRIAL = TrialConfig(
    MethodConfig("nnunet", loss="cross entropy + Dice"),
    DatasetConfig("glas", augmentation={"flips": [0, 1], "rotations": True, "intensity": 0.05, "probability": 0}),
    TrainingConfig(
        1200, batch_size=8, learning_rate=0.1, lr_schedule="poly", optimizer="nesterov", momentum=0.9,
        weight_decay=3e-5, clip=12.0,
    ),
    0,
)  # fmt: skip


def test_a_recipe_is_told_in_words():
    assert used(TRIAL) == {
        "optimiser": "SGD, Nesterov, momentum 0.9, decay 3e-05, norm of the gradient at most 12",
        "rate": "0.1",
        "schedule": "polynomial, power 0.9",
        "batch": "8",
        "steps": "1,200",
        "augmentation": "flips along axis 0 and 1, quarter turns, intensity 0.05",
        "loss": "cross entropy + Dice",
    }


@pytest.mark.parametrize(
    "settings, field, said",
    [
        ({"optimizer": None, "momentum": 0.0, "weight_decay": 0.0, "clip": None}, "optimiser", "the class's own"),
        ({"clip": 1.0, "clip_by": "max"}, "optimiser", "largest gradient at most 1"),
        ({"lr_schedule": "step", "lr_drops": (0.4, 0.8)}, "schedule", "divided by 10 at 40% and 80%"),
        ({"lr_schedule": "cosine", "warmup": 0.1}, "schedule", "linear warm-up over 0.1 of a stage, cosine"),
        ({"steps": None, "seconds": 90.0}, "steps", "as many as fit into 1 min 30 s"),
        ({"noise": 0.2}, "augmentation", "noise up to 0.2"),
    ],
)
def test_every_setting_that_matters_is_told(settings, field, said):
    assert said in used(replace(TRIAL, training=replace(TRIAL.training, **settings)))[field]


def test_every_method_has_its_published_recipe():
    """Twins have that of their method; controls of synthesis learn nothing."""
    for method in set(names("method")) - {"class_stats", "replay"}:
        if not method.endswith("_direct"):
            assert set(published.recipe(method)) == {*FIELDS, "source"}, method
    assert published.recipe("ldseg_ld") == published.recipe("ldseg")
    assert published.recipe("a_class_of_mine") is None


def test_the_accuracy_report_has_both_in_one_table(fabricate, tmp_path):
    for dataset in ("glas", "camus"):
        fabricate.trial("ldseg", dataset, sigmas=(0,), steps=(2,), cases=8, samples=False)
    fabricate.trial("ldseg_direct", "glas", sigmas=(0,), steps=(2,), cases=8, samples=False, twin_of="ldseg")
    fabricate.trial("mine", "glas", sigmas=(0,), steps=(), cases=8, samples=False)
    text = write(fabricate.results(name="accuracy", report="accuracy"), tmp_path / "report").read_text()
    rows = pd.read_csv(tmp_path / "report" / "tables" / "recipes.csv")
    assert "Recipes: how every method was trained here" in text
    told = rows.groupby("method", sort=False)["recipe"].agg(list)
    assert [len(found) for found in told] == [2, 2, 1]
    assert told.iloc[0][0] == "here, glas and camus" and told.iloc[0][1].startswith("published (arXiv 2407.12952")
    assert told.iloc[1][1].startswith("published for ldseg")
    ldseg = rows[rows["method"] == "LDSeg"].set_index("recipe")
    assert ldseg.loc["here, glas and camus", "steps"] == "800"
