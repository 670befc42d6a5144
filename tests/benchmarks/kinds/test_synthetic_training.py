"""suite=synthetic_training: arms that differ in their training images alone, and the reverse probe."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.errors import BadInput
from benchmarks.kinds import synthetic_training
from benchmarks.kinds.registry import checked
from benchmarks.kinds.synthetic_training import SyntheticTraining
from benchmarks.plan.configuration import configure
from benchmarks.plan.sources import prepared
from benchmarks.store.results import Store
from benchmarks.testing.metrics import pooled_dsc
from benchmarks.training import loop
from benchmarks.training.weights import trained_model
from methods.base import Sampling
from methods.synthesis.class_stats import ClassStats
from reports import write

TINY = [
    "suite=synthetic_training", "profile=tiny", "datasets=[phantom_echo]", "methods=[echo_from_noise,med_lsdm,replay]",
    "suite.controls=[replay]", "training.steps=4", "device=cpu", "tracking=none",
    "profile.limit={train: 6, val: 2, test: 5}", "+dataset.phantom_echo.unions={heart: [LV, LA]}",
]  # fmt: skip
KIND = SyntheticTraining()
ARMS = ["real", "synthetic-echo_from_noise", "both-echo_from_noise", "shuffled-echo_from_noise", "synthetic-replay"]
DECLINED = ["synthetic-med_lsdm", "both-med_lsdm", "shuffled-med_lsdm"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """(config, store, results) of a short run."""
    runs = tmp_path_factory.mktemp("runs")
    config = configure([*TINY, f"paths.runs={runs}"])
    return config, Store(runs), KIND.run(config, "")


def arm(results, name):
    return next(view for view in results.trials if view.config.method.name == name)


def of_arms(results):
    return results.records[results.records["tested_on"] == ""]


def test_a_segmenter_is_trained_on_every_arm_or_a_row_says_why_not(suite):
    status = {view.config.method.name: view.status for view in suite[2].trials}
    assert status == dict.fromkeys(ARMS, "ok") | dict.fromkeys(DECLINED, "declined")
    assert set(of_arms(suite[2])["method"]) == set(ARMS)
    assert "published for volumes" in arm(suite[2], DECLINED[0]).reason


def test_arms_differ_in_their_training_images_alone(suite):
    views = [arm(suite[2], name) for name in ARMS]
    assert len({view.key for view in views}) == len(ARMS)
    for part in ("training", "seed", "code"):
        assert len({str(getattr(view.config, part)) for view in views}) == 1
    assert {view.cost["training_steps"] for view in views} == {4}
    cases = [set(of_arms(suite[2]).query("method == @name")["case"]) for name in ARMS]
    assert all(found == cases[0] for found in cases) and len(cases[0]) == 5


def test_an_arm_sees_the_images_that_its_maker_made_of_warped_training_maps(suite):
    config, store, results = suite
    view = arm(results, "synthetic-replay")
    data = prepared(config, view.config.dataset)
    real = prepared(config, arm(results, "real").config.dataset)
    assert len(data.split["train"]) == 6
    # Replay makes training images: every image of the arm is one of them, and the maps are others.
    known = [np.asarray(real.images[index]) for index in real.split["train"]]
    for index in data.split["train"]:
        assert any(np.allclose(data.images[index], image, atol=1e-6) for image in known)
        assert data.ids[index].endswith("~0")
    own = dict(zip(data.ids, range(len(data.ids))))
    moved = [
        not np.array_equal(data.labels[i], data.labels[own[data.ids[i].removesuffix("~0")]])
        for i in data.split["train"]
    ]
    assert any(moved)


def test_the_probe_is_the_real_arms_segmentation_of_synthetic_test_images(suite):
    config, store, results = suite
    view = arm(results, "real")
    probed = results.records[(results.records["tested_on"] != "") & (results.records["class"] == "all")]
    assert set(probed["tested_on"]) == {"real images", "echo_from_noise", "replay"} and set(probed["trial"]) == {
        view.key
    }
    assert probed.groupby("tested_on")["case"].nunique().eq(5).all() and len(probed) == 15
    model = trained_model(view.config, view.path)
    made = next(
        one for one in results.syntheses if "replay" in one.trial and one.made.about["split"] == "test"
    ).made.load()
    for place, case in enumerate(made.ids.astype(str)):
        image = torch.from_numpy((made.images[place : place + 1] + 1) / 2)
        with torch.no_grad():
            found = model.segment(image, Sampling(), [torch.Generator()]).argmax(1)[0].numpy()
        label = np.where(made.maps[place] == 3, 0, made.maps[place])
        row = probed[(probed["tested_on"] == "replay") & (probed["case"] == case)]
        assert row["dsc"].item() == pytest.approx(pooled_dsc(found, label, 2), abs=1e-6)


def test_a_second_run_trains_and_makes_nothing_and_the_report_needs_no_data(suite, monkeypatch):
    config, store, results = suite
    for place, name in ((loop, "train"), (synthetic_training.Probe, "do"), (synthetic_training.Make, "do")):
        monkeypatch.setattr(place, name, lambda *_: pytest.fail("done again"))
    again = KIND.run(config, "")
    pd.testing.assert_frame_equal(again.records, results.records)
    assert not KIND.left(config, store).seconds
    monkeypatch.setattr("datasets.phantom_echo.PhantomEcho.read", lambda *_: pytest.fail("read the data"))
    found = KIND.stored(config, "")
    pd.testing.assert_frame_equal(found.records, results.records)
    assert found.missing == []


def test_its_report_says_what_its_records_say(suite, tmp_path):
    results = KIND.stored(suite[0], "")
    text = write(results, tmp_path / "report").read_text()
    table = pd.read_csv(tmp_path / "report/tables/arms_phantom_echo.csv").set_index("method")
    records = of_arms(results)
    pooled = records[records["class"] == "all"].groupby(["method", "group"])["dsc"].mean().groupby("method").mean()
    for name in ARMS:
        assert table.loc[name, "dsc"] == pytest.approx(pooled[name])
        if name != "real" and pooled["real"]:
            assert table.loc[name, "share_of_real"] == pytest.approx(pooled[name] / pooled["real"])
    probed = pd.read_csv(tmp_path / "report/tables/probe.csv")
    np.testing.assert_allclose(probed["difference"], probed["synthetic"] - probed["real"])
    for words in (
        "declined: Med-LSDM is published for volumes",
        "of what real training images reach",
        "88.6",
        "Context only",
    ):
        assert words in text
    for name in ("dsc_by_arm", "training_images_phantom_echo", "samples_phantom_echo"):
        assert (tmp_path / f"report/figures/{name}.png").exists() and name in text


def test_unions_of_classes_are_scored_beside_them_and_enter_no_mean(suite, tmp_path):
    results = KIND.stored(suite[0], "")
    records = of_arms(results)
    assert set(records["class"]) == {"LV", "LA", "heart", "all"}
    text = write(results, tmp_path / "report").read_text()
    arms = pd.read_csv(tmp_path / "report/tables/arms_phantom_echo.csv").set_index("method")
    images = pd.read_csv(tmp_path / "report/tables/by_image_phantom_echo.csv").set_index("method")
    classes = pd.read_csv(tmp_path / "report/tables/classes_phantom_echo.csv").set_index(["method", "class"])
    for name in ARMS:
        own = records[(records["method"] == name)].set_index(["class", "case"])["dsc"]
        by_group = records[(records["method"] == name) & (records["class"] == "heart")].groupby("group")["dsc"].mean()
        assert arms.loc[name, "dsc heart"] == classes.loc[(name, "heart"), "dsc"] == pytest.approx(by_group.mean())
        assert images.loc[name, "dsc heart"] == pytest.approx(own["heart"].mean())
        assert images.loc[name, "sd heart"] == pytest.approx(own["heart"].std())
        assert images.loc[name, "dsc mean over classes"] <= max(own["LV"].mean(), own["LA"].mean()) + 1e-9
    assert "DSC heart" in text and "mean ± SD over images" in text


def test_arms_of_a_maker_that_failed_are_failures_with_its_reason_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(self, stage, batches):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(ClassStats, "prepare_stage", broken)
    overrides = [*TINY, "methods=[class_stats,replay]", "suite.controls=[class_stats,replay]", f"paths.runs={tmp_path}"]
    results = KIND.run(configure(overrides), "")
    status = {view.config.method.name: view for view in results.trials}
    assert status["real"].status == status["synthetic-replay"].status == "ok"
    assert status["synthetic-class_stats"].status == "failed"
    assert "no images by Class statistics" in status["synthetic-class_stats"].reason


@pytest.mark.parametrize(
    "override, words",
    [
        ("suite.copies=0", "suite.copies=0"), ("suite.bend=2", "suite.bend=2"),
        ("suite.arms=[synthetic]", "suite.arms=.*both, shuffled"), ("suite.controls=[nope]", "suite.controls="),
        ("suite.steps=[3]", "suite.steps=.*two methods could be meant"),
        ("suite.segmenter=class_stats", "suite.segmenter=class_stats: expected a method that segments"),
        ("training.seconds=5", "training.seconds.*equal optimiser steps"),
        ("methods=[resunet]", "resunet segments images"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_by_name(override, words, tmp_path):
    given = [word for word in TINY if not override.startswith(word.partition("=")[0] + "=")]
    given = [word for word in given if not (override.startswith("training.seconds") and "training.steps" in word)]
    with pytest.raises(BadInput, match=words):
        checked([*given, override, f"paths.runs={tmp_path}"])
