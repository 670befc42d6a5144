"""Many samples of one image: what they say together, against plain numpy, and how they are stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.kinds import suites, uncertainty
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan
from benchmarks.plan.trials import Condition, Trial
from benchmarks.seeding import generator_for
from benchmarks.testing import spread
from benchmarks.testing.metrics import score
from methods.base import Sampling, Segmenter
from reports import write
from tests.benchmarks.test_evaluate import prepared, ragged

CPU = torch.device("cpu")


def collected(probabilities) -> spread.Runs:
    runs = spread.Runs()
    for probability in probabilities:
        runs.add(probability)
    return runs


def random_runs(count=7, classes=3, size=(5, 6), seed=0) -> np.ndarray:
    raw = np.random.default_rng(seed).random((count, classes, *size)).astype(np.float32)
    return raw / raw.sum(1, keepdims=True)


def test_mean_and_sd_are_those_of_numpy_and_the_sd_of_two_classes_is_that_of_the_foreground():
    many = random_runs()
    runs = collected(many)
    assert np.allclose(runs.mean, many.astype(float).mean(0))
    assert np.allclose(runs.sd, many.astype(float).std(0).sum(0) / 2)
    assert np.array_equal(runs.labels, many.argmax(1))
    two = random_runs(classes=2)
    assert np.allclose(collected(two).sd, two[:, 1].astype(float).std(0))


def test_equal_runs_have_no_spread_and_what_is_not_finite_is_refused():
    many = np.repeat(random_runs(1), 9, axis=0)
    assert not collected(many).sd.any()
    assert not collected(many + np.float32(3e-8) * np.arange(9, dtype=np.float32)[:, None, None, None]).sd.any()
    many[4, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="run 4 gave probabilities that are not finite"):
        collected(many)


def test_auroc_is_the_share_of_pairs_in_the_right_order_and_undefined_without_pairs():
    random = np.random.default_rng(1)
    sd, error = random.integers(0, 5, (8, 8)) / 4, random.random((8, 8)) < 0.3
    wrong, right = sd[error], sd[~error]
    pairs = (wrong[:, None] > right).mean() + 0.5 * (wrong[:, None] == right).mean()
    assert spread.auroc(sd, error) == pytest.approx(pairs)
    assert spread.auroc(np.zeros((8, 8)), error) == 0.5
    assert np.isnan(spread.auroc(sd, np.zeros((8, 8), bool))) and np.isnan(spread.auroc(sd, np.ones((8, 8), bool)))


def test_calibration_bins_give_the_expected_calibration_error():
    mean, label = collected(random_runs(size=(20, 20))).mean, np.random.default_rng(2).integers(0, 3, (20, 20))
    count, confidence, correct = spread.calibration(mean, label)
    sure, right = mean.max(0).ravel(), (mean.argmax(0) == label).ravel()
    ece = 0.0
    for b in range(15):
        inside = (sure >= b / 15) & (sure < (b + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert np.abs(correct - confidence).sum() / count.sum() == pytest.approx(ece)
    certain = np.stack([np.ones((2, 2)), np.zeros((2, 2))])
    assert spread.calibration(certain, np.zeros((2, 2), int))[0][-1] == 4  # a confidence of 1 is in the last bin


def test_risks_of_equal_scores_are_those_of_a_random_order():
    random = np.random.default_rng(3)
    sd, error = random.integers(0, 4, (6, 10)) / 3, random.random((6, 10)) < 0.4
    expected = []
    for _ in range(3000):
        order = np.lexsort((random.random(60), sd.ravel()))
        errors = np.cumsum(error.ravel()[order])
        expected.append([errors[round(60 * c) - 1] / (60 * c) for c in spread.COVERAGES])
    assert np.allclose(spread.risks(sd, error), np.mean(expected, axis=0), atol=0.02)
    assert spread.risks(sd, error)[-1] == pytest.approx(error.mean())
    assert np.allclose(spread.risks(np.zeros((6, 10)), error), error.mean())


def test_energy_distance_is_that_of_all_pairs_by_the_iou_of_the_scores():
    random = np.random.default_rng(4)
    runs, raters = random.integers(0, 3, (4, 6, 6)), random.integers(0, 3, (2, 6, 6))

    def far(first, second):
        return np.mean([[1 - score(a, b, ["x", "y"], None)[-1]["iou"] for b in second] for a in first])

    expected = 2 * far(runs, raters) - far(runs, runs) - far(raters, raters)
    assert spread.energy_distance(runs, raters, 2) == pytest.approx(expected)
    assert spread.energy_distance(raters, raters, 2) == pytest.approx(0)
    empty = np.zeros((1, 6, 6), int)
    assert spread.energy_distance(empty, empty, 2) == 0 and spread.energy_distance(empty, raters, 2) > 0.5


class Noisy(Segmenter):
    """A segmentation drawn from the generator alone, which adds what is embedded of the image."""

    generative = True

    def __init__(self):
        super().__init__()
        self.embedded, self.batches = 0, []

    def embed(self, image):
        self.embedded += 1
        return image.mean(1)

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        self.batches.append(len(image))
        embedding = image.mean(1) if embedding is None else embedding
        noise = torch.stack([torch.randn(image.shape[2:], generator=generator) for generator in generators])
        foreground = torch.sigmoid(4 * embedding - 2 + noise)
        return torch.stack([1 - foreground, foreground], dim=1)


def sampled(data, runs=7, batch=None, model=None):
    condition = Condition(0.0, Sampling(2), data.image_size, "none")
    trial = Trial({"method": {"name": "noisy"}, "dataset": {"name": data.name}, "seed": 3, "code": "c"}, ())
    image = np.array(data.images[1])
    return uncertainty.sampled(trial, model or Noisy(), data, condition, image, 1, runs, CPU, batch)[0]


def test_runs_depend_neither_on_the_batch_nor_on_how_many_there_are():
    images, labels = ragged([(8, 8), (8, 8)])
    data = prepared(images, labels, image_size=(8, 8), spacing=[None] * 2)
    whole, model = sampled(data), Noisy()
    in_parts = sampled(data, batch=3, model=model)
    assert model.batches == [3, 3, 1] and model.embedded == 1
    assert np.array_equal(whole.mean, in_parts.mean) and np.array_equal(whole.sd, in_parts.sd)
    assert np.array_equal(whole.labels[:4], sampled(data, runs=4).labels)
    generator = generator_for("sampling", data.name, data.ids[1], 3, 5)  # how a case is tested with Sampling(seed=5)
    image = torch.from_numpy(images[1])[None]
    alone = Noisy().segment(image, Sampling(2, seed=5), [generator])[0].argmax(0).numpy()
    assert np.array_equal(whole.labels[5], alone)


@pytest.mark.parametrize("shape", [(8, 8, 8), (12, 8, 9)])
def test_volumes_are_sampled_run_by_run_on_their_own_grid(shape):
    images, labels = ragged([shape, shape])
    data, model = prepared(images, labels, fit="pad"), Noisy()
    runs = sampled(data, runs=3, model=model)
    assert runs.sd.shape == shape and set(model.batches) == {1} and runs.sd.max() > 0
    assert np.array_equal(runs.sd, sampled(data, runs=3).sd)
    rows = uncertainty.scores(runs, data, 1)
    assert rows[-1]["pixels"] == np.prod(shape) and rows[-1]["runs"] == 3


def test_an_image_without_foreground_is_scored_and_its_auroc_left_open():
    data = prepared([np.zeros((1, 8, 8), np.float32)], [np.zeros((8, 8), np.uint8)], image_size=(8, 8), spacing=[None])
    empty = collected([np.stack([np.ones((8, 8)), np.zeros((8, 8))])] * 3)
    pooled = uncertainty.scores(empty, data, 0)[-1]
    assert pooled["dsc"] == pooled["run_dsc"] == 1 and pooled["empty"] == "both" and np.isnan(pooled["auroc"])
    assert pooled["mean_sd"] == pooled["errors"] == pooled["energy_distance"] == 0


TINY = ["suite=uncertainty", "profile=tiny", "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "training.steps=4",
        "device=cpu", "tracking=none", "profile.limit={train: 4, val: 2, test: 6}", "suite.pictures=2"]  # fmt: skip


def run(runs: Path, *overrides, action=suites.run):
    words = [*TINY, f"paths.runs={runs}", *overrides]
    return action(configure(words), words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("uncertainty") / "runs"
    return runs, run(runs)


def compared(records: pd.DataFrame) -> pd.DataFrame:
    return records.drop(columns=["seconds"])


def test_a_suite_samples_what_generates_and_declines_the_rest_without_training_it(finished):
    runs, results = finished
    assert set(results.records["method"]) == {"ldseg"} and results.records["runs"].eq(4).all()
    assert results.records["case"].nunique() == 5  # of 6, profile.uncertainty.most_cases
    view = next(trial for trial in results.trials if trial.config["method"]["name"] == "resunet")
    assert view.status == "declined" and "no spread to measure" in view.reason
    assert not (view.path / "weights.safetensors").exists()
    (stored,) = results.uncertainty.values()
    first, last = stored.pictures()
    assert first.id != last.id and first.sd.shape == first.mean.shape == first.label.shape == (32, 32)
    pooled = results.records[results.records["class"] == "all"].set_index("case")
    assert first.sd.mean() == pytest.approx(pooled.loc[first.id, "mean_sd"], rel=1e-5)
    text = write(results, runs / "report").read_text()
    assert "Res-UNet** has no result here (declined" in text and "maps_phantom_glands_ldseg" in text


def test_an_interrupted_run_samples_only_the_missing_cases_and_the_records_are_the_same(finished, monkeypatch):
    runs, results = finished
    chunks = sorted(runs.glob("uncertainty/*/records*.parquet"))
    assert len(chunks) == 2
    kept = chunks[0].stat().st_mtime_ns
    chunks[1].unlink()
    with_gap = run(runs, action=suites.stored)
    assert with_gap.records.empty and "not all test cases" in with_gap.trials[0].reason
    monkeypatch.setattr(runner, "train", lambda *_: pytest.fail("trained again"))
    again = run(runs)
    assert chunks[0].stat().st_mtime_ns == kept
    pd.testing.assert_frame_equal(compared(again.records), compared(results.records))
    pd.testing.assert_frame_equal(run(runs, action=suites.stored).records, again.records)


def test_the_plan_says_how_much_is_left_to_sample(finished):
    runs, _ = finished

    def left(*overrides):
        config = configure([*TINY, f"paths.runs={runs}", *overrides])
        return [uncertainty.outlook(config, trial) for trial in make_plan(config)]

    assert left() == [("there already", 0), ("-", 0)]
    (words, seconds), _ = left("profile.uncertainty.most_runs=8")
    assert words == "5 cases x 8 runs" and seconds > 0


def test_other_settings_are_other_results(finished):
    runs, results = finished
    more = run(runs, "profile.uncertainty.most_runs=6", "profile.uncertainty.most_cases=2")
    assert more.records["runs"].eq(6).all() and more.records["case"].nunique() == 2
    pd.testing.assert_frame_equal(compared(run(runs, action=suites.stored).records), compared(results.records))


def test_a_failure_while_sampling_is_named_and_the_next_run_tries_again(finished, monkeypatch):
    runs, _ = finished
    with monkeypatch.context() as patch:
        patch.setattr(uncertainty, "sampled", lambda *_: (_ for _ in ()).throw(MemoryError("too large")))
        failed = run(runs, "profile.uncertainty.most_runs=3")
    assert failed.records.empty and failed.trials[0].status == "failed"
    assert failed.trials[0].reason == "sampling failed: MemoryError: too large"
    assert run(runs, "profile.uncertainty.most_runs=3").trials[0].status == "ok"


@pytest.mark.parametrize("override, message", [
    ("suite.runs=1", "suite.runs=1: expected a whole number from 2"),
    ("suite.sigmas=[0,0.1]", "samples at one noise level"),
    ("suite.pictures=-1", "suite.pictures=-1"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(override, message):
    with pytest.raises(BadInput, match=message.replace("[", r"\[")):
        configure([*TINY, override])
