"""Testing: the cases' own grids, windows, and frames in the order of time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.plan.trials import Condition
from benchmarks.store.trial import TrialView
from benchmarks.testing.evaluate import evaluate, on_grid
from benchmarks.testing.metrics import score
from benchmarks.testing.objects import object_scores
from datasets.prepared import Ragged
from methods.base import Sampling, Segmenter
from tests.benchmarks.blobs import SIZE, candidate, prepared, ragged


class Bright(Segmenter):
    """Foreground where the image is brighter than 1/2; what it was given is remembered."""

    generative = True

    def __init__(self):
        super().__init__()
        self.seen, self.draws = [], []

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        self.seen.append(tuple(image.shape))
        self.draws += [torch.rand((), generator=generator).item() for generator in generators]
        foreground = (image[:, 0] > 0.5).float()
        return torch.stack([1 - foreground, foreground], dim=1)


def outcome(model, data, folder: Path, sigma=0.0, tolerance=None):
    condition = Condition(sigma, Sampling(2), data.image_size, "none", tolerance=tolerance)
    it = candidate(model, data, [condition])
    evaluate(it, folder, lambda *_: None)
    view = TrialView(folder, it.trial.config)
    return view.records(condition.key), view.samples(condition.key)


@pytest.mark.parametrize("shapes", [[(8, 8, 8)], [(5, 7, 6), (4, 8, 3)], [(19, 8, 13), (7, 25, 11)]])
def test_a_volume_of_any_size_is_scored_on_its_own_grid(shapes, tmp_path):
    images, labels = ragged(shapes)
    model = Bright()
    records, samples = outcome(model, prepared(images, labels, fit="pad"), tmp_path)
    assert {shape[1:] for shape in model.seen} == {(1, *SIZE)}  # the method never sees another size
    assert (records["dsc"] == 1).all() and (records["hd95"] == 0).all()
    for label, shown, prediction in zip(labels, samples["label"], samples["prediction"], strict=True):
        assert np.array_equal(shown, prediction) and shown.sum() == 9
        assert sorted(shown.shape) in [sorted(np.delete(label.shape, axis)) for axis in range(3)]


def test_a_resized_volume_is_scored_against_its_own_label_and_in_its_own_millimetres(tmp_path):
    images, labels = ragged([SIZE])
    own = np.zeros((16, 8, 4), np.uint8)
    own[4:12, 2:6, 1:3] = 1
    data = prepared(
        images, labels, own=(Ragged(own.ravel(), [own.shape]), [(0.5, 2.0, 1.0)]), fit="resize"
    )  # fmt: skip
    records, samples = outcome(Bright(), data, tmp_path)
    probability = torch.from_numpy(np.stack([1.0 - labels[0], labels[0]]).astype(np.float32))
    expected = score(on_grid(probability, own.shape).argmax(0).numpy(), own, ["blob"], (0.5, 2.0, 1.0))
    for row, wanted in zip(records.to_dict("records"), expected, strict=True):
        assert {key: row[key] for key in wanted} == pytest.approx(wanted, nan_ok=True)
        assert row["unit"] == "mm"
    assert samples["label"][0].shape in [(8, 16), (4, 8), (4, 16)]


@pytest.mark.parametrize(("spacing", "unit"), [((0.5, 0.25), "um"), (None, "px")])
def test_a_picture_is_scored_on_its_own_grid_and_shown_on_the_methods(spacing, unit, tmp_path):
    coarse = np.zeros((8, 8), np.uint8)
    coarse[2:6, 3:7] = 1
    image = 0.2 + 0.6 * coarse[None].astype(np.float32)
    own, objects = np.zeros((24, 40), np.uint8), np.zeros((24, 40), np.uint16)
    own[5:18, 14:36] = 1
    objects[5:18, 14:20], objects[5:18, 20:36] = 7, 9
    data = prepared(
        [image], [coarse], image_size=(8, 8), spacing=[None], length_unit="um", subsets=["test A"],
        own=(Ragged(own.ravel(), [own.shape]), [spacing]), instances=Ragged(objects.ravel(), [objects.shape]),
    )  # fmt: skip
    records, samples = outcome(Bright(), data, tmp_path, tolerance=1.0)
    probability = torch.from_numpy(np.stack([1.0 - coarse, coarse]).astype(np.float32))
    prediction = on_grid(probability, own.shape).argmax(0).numpy()
    pooled = records.set_index("class").loc["all"]
    wanted = score(prediction, own, ["blob"], spacing, 1.0)[-1] | object_scores(prediction > 0, objects, spacing)
    assert {key: pooled[key] for key in wanted if key != "class"} == pytest.approx(
        {key: value for key, value in wanted.items() if key != "class"}
    )
    assert 0.8 < pooled["dsc"] < 1 and pooled["object_f1"] == 2 / 3
    assert (pooled["unit"], pooled["tolerance"], pooled["subset"]) == (unit, 1.0, "test A")
    assert records.set_index("class").loc["blob", ["object_f1", "object_dice", "object_hausdorff"]].isna().all()
    assert samples["label"][0].shape == samples["prediction"][0].shape == (8, 8)


def test_probabilities_are_interpolated_before_a_class_is_chosen():
    """Halfway between two pixels the more certain one decides, which a resized label map could not know."""
    foreground = torch.tensor([[[0.0, 1.0], [0.0, 0.6]]])
    found = on_grid(torch.cat([1 - foreground, foreground]), (2, 6)).argmax(0)
    assert found.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]


def test_windows_of_one_case_draw_from_its_own_generator(tmp_path):
    images, labels = ragged([(12, 8, 8), (12, 8, 8)])
    first, second = Bright(), Bright()
    outcome(first, prepared(images, labels, fit="pad"), tmp_path / "both")
    outcome(second, prepared(images[:1], labels[:1], fit="pad"), tmp_path / "one")
    assert first.draws[: len(second.draws)] == second.draws
    assert len(set(first.draws)) == len(first.draws)


def test_frames_are_tested_in_the_order_of_time(tmp_path):
    labels = [np.zeros((8, 8), np.uint8) for _ in range(3)]
    for place, label in zip((2, 0, 1), labels):
        label[2:6, place : place + 4] = 1
    images = [0.2 + 0.6 * label[None].astype(np.float32) for label in labels]
    data = prepared(
        images, labels, image_size=(8, 8), spacing=[None] * 3, videos=["v", "v", "v"], times=[2.0, 0.0, 1.0]
    )
    records, _ = outcome(Bright(), data, tmp_path)
    found = records[records["class"] == "all"].set_index("case")
    assert np.isnan(found.loc["case1", "temporal_dsc"])  # the first frame
    assert found.loc["case2", "temporal_dsc"] == found.loc["case0", "temporal_dsc_label"] == 0.75
    assert found["video"].tolist() == ["v"] * 3 and found.loc["case0", "time"] == 2
