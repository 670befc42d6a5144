"""Trajectories: what is recorded is what the methods do, at the times at which they do it."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.errors import BadInput
from benchmarks.kinds import trajectories
from benchmarks.kinds.registry import checked
from benchmarks.plan import building
from benchmarks.plan.configuration import configure
from benchmarks.plan.sources import prepared
from benchmarks.seeding import generator_for
from benchmarks.store.results import Store
from benchmarks.testing import watching
from benchmarks.tracking import runs
from benchmarks.training.weights import trained_model
from methods.base import Sampling, Segmenter
from methods.diffusion.schedule import cosine_alpha_bar, linear_alpha_bar
from methods.ldseg import LDSeg
from methods.lsegdiff import LSegDiff
from methods.medsegdiff import MedSegDiff
from methods.sdf_ddpm import SDFDDPM

TINY = [
    "suite=diffusion_process", "profile=tiny", "datasets=[phantom_glands]", "methods=[ldseg,sdf_ddpm,resunet]",
    "training.steps=4", "device=cpu", "tracking=none", "profile.limit={train: 4, val: 2, test: 3}",
    "suite.steps=[4,2]",
]  # fmt: skip


KIND = trajectories.Trajectories()


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """(config, store, results) of a short run."""
    runs = tmp_path_factory.mktemp("runs")
    config = configure([*TINY, f"paths.runs={runs}"])
    return config, Store(runs), KIND.run(config, "")


def process(results, method, direction, steps):
    records = results.records
    part = records[(records.method == method) & (records.direction == direction) & (records.steps == steps)]
    return part[part["class"] == "all"].sort_values(["case", "index"])


@pytest.mark.parametrize(
    "method, steps, times",
    [("ldseg", 4, np.linspace(999, 0, 4)), ("ldseg", 2, [999, 0]), ("sdf_ddpm", 4, np.linspace(999, -1, 5)),
     ("sdf_ddpm", 2, [999, 499, -1])],
)  # fmt: skip
def test_states_are_kept_at_every_time_of_the_grid(suite, method, steps, times):
    alpha_bar = {"ldseg": cosine_alpha_bar, "sdf_ddpm": linear_alpha_bar}[method]
    reverse, forward = process(suite[2], method, "reverse", steps), process(suite[2], method, "forward", 0)
    assert reverse.case.nunique() == forward.case.nunique() == 2
    for _, case in reverse.groupby("case"):
        np.testing.assert_allclose(case.t, times)
        np.testing.assert_allclose(case.alpha_bar, alpha_bar(torch.tensor(case.t.to_numpy())))
    longest = process(suite[2], method, "reverse", 4)
    assert forward.t.tolist() == pd.concat([case.t[::-1] for _, case in longest.groupby("case")]).tolist()


def test_every_dsc_is_that_of_the_stored_segmentation(suite):
    results, checked = suite[2], 0
    for case in results.trajectories:
        for (direction, steps), masks in case.decoded.items():
            records = results.records
            part = records[(records.trial == case.trial) & (records.case == case.case) & (records["class"] == "all")]
            part = part[(part.direction == direction) & (part.steps == steps)].sort_values("index")
            overlap = [2 * np.sum((m > 0) & (case.label > 0)) / (np.sum(m > 0) + np.sum(case.label > 0)) for m in masks]
            np.testing.assert_allclose(part.dsc, overlap)
            np.testing.assert_allclose(part.iou, part.dsc / (2 - part.dsc))
            assert len(case.states[direction, steps]) == len(masks)
            checked += 1
    assert checked == 2 * 2 * 3  # methods, cases, processes


def test_the_last_segmentation_is_what_the_method_segments_in_any_other_test(suite):
    config, store, results = suite
    for view in results.trials:
        if view.config.method.name == "resunet":
            continue
        model = trained_model(view.config, view.path)
        data = prepared(config, view.config.dataset)
        for case in (case for case in results.trajectories if case.trial == view.key):
            image = torch.from_numpy(np.array(data.images[data.ids.index(case.case)]))[None]
            generator = generator_for("sampling", data.name, case.case, 0, 0)
            found = model.segment(image, Sampling(steps=4), [generator]).argmax(1)[0]
            assert np.array_equal(found, case.decoded["reverse", 4][-1])


def test_the_forward_process_adds_one_and_the_same_noise(suite):
    for case in suite[2].trajectories:
        states = case.states["forward", 0].astype(float)
        records = suite[2].records
        part = records[(records.trial == case.trial) & (records.case == case.case) & (records.direction == "forward")]
        alpha_bar = part[part["class"] == "all"].sort_values("index").alpha_bar.to_numpy()
        assert alpha_bar[0] == 1
        noise = [(x - a**0.5 * states[0]) / (1 - a) ** 0.5 for x, a in zip(states[1:], alpha_bar[1:], strict=True)]
        np.testing.assert_allclose(noise[0], noise[-1], atol=1e-4)
        assert 0.7 < np.std(noise) < 1.3


def test_a_second_run_records_nothing_and_the_report_finds_it_without_data(suite, monkeypatch):
    config, _, results = suite
    monkeypatch.setattr(watching, "watch", lambda *_: pytest.fail("recorded again"))
    again = KIND.run(config, "")
    pd.testing.assert_frame_equal(again.records, results.records)
    monkeypatch.setattr("datasets.phantom_glands.PhantomGlands.read", lambda *_: pytest.fail("read the data"))
    found = KIND.stored(config, "")
    pd.testing.assert_frame_equal(found.records, results.records)
    assert [case.case for case in found.trajectories] == [case.case for case in results.trajectories]


def test_tracked_are_the_scores_of_the_last_states_alone(suite):
    run = next(run for run in runs.trial_runs(suite[2]) if run.tags["diffseg.method"] == "ldseg")
    last = process(suite[2], "ldseg", "reverse", 4).groupby("case").dsc.last()
    values = {point.name: point.value for point in run.points if point.name.startswith("test")}
    assert values["test/dsc"] == pytest.approx(last.mean())
    assert not any("0_steps" in name or "forward" in name for name in values)


def test_a_deterministic_method_is_declined_and_not_trained(suite):
    view = next(view for view in suite[2].trials if view.config.method.name == "resunet")
    assert view.status == "declined" and "no diffusion to watch" in view.reason
    assert not (view.path / "weights.safetensors").exists()


def test_a_failed_recording_fails_its_trial_alone_and_is_tried_again(suite, monkeypatch):
    config, store, _ = suite
    config = config.copy()
    config.suite.cases = 1  # nothing is recorded with this setting yet
    real = LDSeg.process
    monkeypatch.setattr(LDSeg, "process", lambda it: real(it)._replace(noised=lambda x, t, noise: x / 0))
    status = {view.config.method.name: view for view in KIND.run(config, "").trials}
    assert status["ldseg"].status == "failed" and "is not finite" in status["ldseg"].reason
    assert status["sdf_ddpm"].status == "ok"
    assert store.trial(status["ldseg"].key).status == "ok", "the training itself did not fail"
    monkeypatch.setattr(LDSeg, "process", real)
    results = KIND.run(config, "")
    assert [view.status for view in results.trials] == ["ok", "ok", "declined"]
    assert len(results.trajectories) == 2


MODELS = [
    (LDSeg, {}), (LDSeg, {"label_input": "onehot"}), (LDSeg, {"label_downsampling": True}), (LSegDiff, {}),
    (LSegDiff, {"postprocess": "none"}), (MedSegDiff, {}), (MedSegDiff, {"class_encoding": "fg_channels"}),
    (SDFDDPM, {"per_class_sdf": True}), (SDFDDPM, {"per_class_sdf": True, "process": "ve"}),
]  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind, arguments", MODELS, ids=lambda it: it.__name__ if isinstance(it, type) else str(it))
@torch.inference_mode()
def test_the_last_state_says_the_segmentation(kind, arguments, classes):
    torch.manual_seed(0)
    model = kind(spatial_dims=2, in_channels=1, classes=classes, image_size=(32, 32), size="tiny", **arguments).eval()
    states = []
    found = model.segment(
        torch.rand(1, 1, 32, 32), Sampling(steps=3), [torch.Generator().manual_seed(0)],
        callback=lambda _, t, x: states.append(x.clone()),
    )  # fmt: skip
    torch.testing.assert_close(model.process().decode(states[-1]).argmax(1), found.argmax(1))


def test_of_a_volume_the_slice_of_the_latent_lies_where_that_of_the_label_does():
    latent = torch.arange(64.0).reshape(1, 4, 4, 4)
    shown = watching._slice(latent, (1, 20), (32, 32, 32), 1)  # the third of four planes holds voxel 20 of 32
    np.testing.assert_array_equal(shown, latent[0, :, 2].numpy().T[::-1])


@pytest.mark.parametrize("channels, classes, place", [(1, 1, 0), (1, 2, 0), (2, 2, 0), (3, 2, 1)])
def test_of_several_channels_that_of_the_first_foreground_class_is_kept(channels, classes, place):
    state = torch.rand(channels, 4, 4)
    np.testing.assert_array_equal(watching._slice(state, None, (4, 4), classes), state[place].numpy())


def test_a_generative_method_that_does_not_say_what_it_diffuses_is_declined():
    class Own(Segmenter):
        generative = True

    assert "Own does not say how its diffusion is shown" in trajectories.refusal(building.traits_of(Own))
    assert trajectories.refusal(building.traits_of(type("Better", (LDSeg,), {}))) is None


@pytest.mark.parametrize("cases, count, expected", [(1, 2, [0]), (10, 1, [5]), (10, 2, [2, 7]), (3, 5, [0, 1, 2])])
def test_cases_are_spread_evenly(cases, count, expected):
    assert watching.evenly_spread(np.arange(cases), count).tolist() == expected


@pytest.mark.parametrize("override", ["suite.cases=0", "suite.cases=some"])
def test_a_number_of_cases_that_cannot_be_is_refused(override):
    with pytest.raises(BadInput, match="suite.cases="):
        checked(["suite=diffusion_process", override])
