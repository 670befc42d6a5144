"""Arms: other training images, the same validation and test cases, and a key of its own for each."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.plan.arms import BOTH, KINDS, REAL, SHUFFLED, SYNTHETIC, Arm, scaled, strangers, substituted, with_arm
from benchmarks.plan.trials import Trial
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.files import write_arrays, write_json
from tests.benchmarks.blobs import prepared, ragged

SHAPES = [(8, 8, 8)] * 5


@pytest.fixture(params=["resize", "pad"])
def data(request):
    images, labels = ragged(SHAPES)
    found = prepared(images, labels, fit=request.param)
    return replace(found, split={"train": np.array([0, 1]), "val": np.array([2]), "test": np.array([3, 4])})


@pytest.fixture
def made(tmp_path):
    """Three synthetic volumes of the two training cases, with voxels outside the field of view (code 2)."""
    maps = np.random.default_rng(0).integers(0, 3, (3, 8, 8, 8)).astype(np.uint8)
    images = np.linspace(-1, 1, 3, dtype=np.float32)[:, None, None, None, None] * np.ones((3, 1, 8, 8, 8), np.float32)
    folder = tmp_path / "syntheses" / "made"
    ids = ["case0~0", "case1~0", "case0~1"]
    write_arrays(
        folder / "images0000.npz", {"ids": np.array(ids), "images": images, "maps": maps, "seconds": np.ones(3)}
    )
    write_json(folder / "about.json", {"chunks": 1})
    return maps, images


def arm_data(data, kind, tmp_path):
    return substituted(data, {"kind": kind, "made": "made"}, tmp_path)


def test_every_arm_is_validated_and_tested_on_the_same_real_images(data, made, tmp_path):
    for kind in KINDS:
        found = arm_data(data, kind, tmp_path)
        for split in ("val", "test"):
            np.testing.assert_array_equal(found.split[split], data.split[split])
        for index in (2, 3, 4):
            np.testing.assert_array_equal(found.truth(index)[0], data.truth(index)[0])
            np.testing.assert_array_equal(found.images[index], scaled(np.asarray(data.images[index])))


def test_arms_are_trained_on_what_they_are_named_after(data, made, tmp_path):
    trained_on = {kind: arm_data(data, kind, tmp_path).split["train"].tolist() for kind in KINDS}
    assert trained_on == {REAL: [0, 1], SYNTHETIC: [5, 6, 7], BOTH: [0, 1, 5, 6, 7], SHUFFLED: [5, 6, 7]}


def test_synthetic_images_come_with_their_maps_and_the_groups_of_their_cases(data, made, tmp_path):
    maps, images = made
    found = arm_data(data, SYNTHETIC, tmp_path)
    random = np.random.default_rng(0)
    for place, index in enumerate(found.split["train"]):
        image, label = found.training_case(index, random)
        np.testing.assert_allclose(image, (images[place] + 1) / 2)
        np.testing.assert_array_equal(label, np.where(maps[place] == 2, 0, maps[place]))
    assert [found.groups[index] for index in found.split["train"]] == ["p0", "p1", "p0"]
    image, label = found.batch(found.split["train"])
    assert image.shape == (3, 1, 8, 8, 8) and label.max() == 1


def test_shuffled_images_have_each_others_maps_and_none_its_own(data, made, tmp_path):
    own, other = (arm_data(data, kind, tmp_path) for kind in (SYNTHETIC, SHUFFLED))
    labels = [[np.asarray(part.labels[index]) for index in part.split["train"]] for part in (own, other)]
    assert all(not np.array_equal(a, b) for a, b in zip(*labels))
    assert sorted(label.sum() for label in labels[0]) == sorted(label.sum() for label in labels[1])
    for index in own.split["train"]:
        np.testing.assert_array_equal(own.images[index], other.images[index])


@pytest.mark.parametrize("count", [2, 3, 50])
def test_strangers_are_all_others(count):
    found = strangers(count, "glas")
    assert sorted(found) == list(range(count)) and (found != np.arange(count)).all()
    np.testing.assert_array_equal(found, strangers(count, "glas"))


def test_real_images_are_scaled_by_their_own_extremes():
    image = np.array([[[0.2, 0.3], [0.4, 0.6]]], np.float32)
    np.testing.assert_allclose(scaled(image), [[[0, 0.25], [0.5, 1]]], atol=1e-6)
    assert not scaled(np.full((1, 2, 2), 0.7, np.float32)).any()


def test_every_arm_has_a_key_of_its_own_which_the_maker_of_its_images_decides():
    data = DatasetConfig("glas", (8, 8), fingerprint="f", cases={"train": 10, "val": 1, "test": 2})
    arms = [Arm(REAL), *(Arm(kind, "echo", "Echo", made) for kind in (SYNTHETIC, BOTH, SHUFFLED) for made in "ab")]

    def key(dataset):
        return Trial(TrialConfig(MethodConfig("resunet", "a.B"), dataset, TrainingConfig(steps=3), 0), ()).key

    datasets = [with_arm(data, arm, 2) for arm in arms]
    assert len({key(dataset) for dataset in [data, *datasets]}) == 1 + len(arms)
    assert len({str(dataset.asked()) for dataset in datasets}) == len(arms), "found without data by what is asked"
    assert [with_arm(data, Arm(kind), 2).cases["train"] for kind in KINDS] == [10, 20, 30, 20]


def test_arms_are_named_for_tables():
    assert (Arm(REAL).name, Arm(REAL).title) == ("real", "Real")
    assert Arm(BOTH, "echo", "Echo").title == "Real and synthetic (Echo)" and Arm(BOTH, "echo").name == "both-echo"
