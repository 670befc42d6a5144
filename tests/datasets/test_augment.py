from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from datasets.augment import augment, restained, sampling_grid, warped
from datasets.base import Augmentation, DataError, Source
from methods.blocks.intensity import min_max

MOVES = {
    "rotation": Augmentation(probability=1, rotation_degrees=180),
    "scale": Augmentation(probability=1, scale=(0.8, 1.25)),
    "shear": Augmentation(probability=1, shear=0.2),
    "translation": Augmentation(probability=1, translation=0.1),
    "elastic": Augmentation(probability=1, elastic=0.4),
    "all": Augmentation(probability=1, rotation_degrees=30, scale=(0.8, 1.2), shear=0.1, translation=0.1, elastic=0.3),
}
COLOURS = {"gamma": (0.7, 1.5), "blur": (0, 1), "speckle": (0, 0.1)}
FULL = replace(MOVES["all"], flips=(0,), intensity=0.05, probability=0.7, **COLOURS)
POLICIES = {  # switched on
    path.stem: replace(Augmentation.of(OmegaConf.to_container(OmegaConf.load(path))["augmentation"]), probability=0.5)
    for path in sorted((Path(__file__).parents[2] / "conf" / "dataset").glob("*.yaml"))
}

IMAGE = np.random.default_rng(0).random((2, 6, 6), np.float32)
LABEL = (IMAGE[0] > 0.5).astype(np.int64)


def variants(policy, image=IMAGE, label=LABEL, count=64):
    return [augment(image, label, policy, np.random.default_rng(seed)) for seed in range(count)]


def test_no_policy_changes_nothing():
    image, label = augment(IMAGE, LABEL, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(label, LABEL)


def test_label_moves_with_the_image():
    for image, label in variants(Augmentation((0, 1), True)):
        np.testing.assert_array_equal(image[0] > 0.5, label == 1)
        assert image.flags.c_contiguous and label.flags.c_contiguous


def test_flips_and_turns_reach_all_eight_positions():
    assert len({label.tobytes() for _, label in variants(Augmentation((0, 1), True))}) == 8


def test_only_the_named_axis_is_mirrored():
    found = {label.tobytes() for _, label in variants(Augmentation((1,)))}
    assert found == {LABEL.tobytes(), np.ascontiguousarray(LABEL[:, ::-1]).tobytes()}


def test_oblong_images_keep_their_shape():
    image, label = IMAGE[:, :4], LABEL[:4]
    results = variants(Augmentation(rotations=True), image, label)
    assert {turned.shape for turned, _ in results} == {(2, 4, 6)}
    assert len({turned.tobytes() for turned, _ in results}) == 2


def test_volumes_turn_in_the_last_two_axes():
    volume = np.random.default_rng(1).random((1, 3, 4, 4), np.float32)
    label = (volume[0] > 0.5).astype(np.int64)
    for image, turned in variants(Augmentation((0,), True), volume, label, 16):
        np.testing.assert_array_equal(image[0] > 0.5, turned == 1)
        assert {plane.sum() for plane in turned} == {plane.sum() for plane in label}


def test_volumes_are_mirrored_along_each_of_their_axes():
    volume = np.random.default_rng(1).random((1, 2, 3, 4), np.float32)
    label = (volume[0] > 0.5).astype(np.uint8)
    results = variants(Augmentation((0, 1, 2)), volume, label)
    assert len({image.tobytes() for image, _ in results}) == 8
    for image, mirrored in results:
        np.testing.assert_array_equal(image[0] > 0.5, mirrored == 1)


def test_intensity_stays_in_range_and_leaves_the_label():
    results = variants(Augmentation(intensity=0.3))
    assert all(image.min() >= 0 and image.max() <= 1 and image.dtype == np.float32 for image, _ in results)
    assert all((label == LABEL).all() for _, label in results)
    means = np.array([image.mean() for image, _ in results])
    assert 0.05 < means.std() < 0.35


def test_generator_decides_and_the_input_is_left_alone():
    before = IMAGE.copy()
    policy = Augmentation((0, 1), True, 0.1)
    first, second = (augment(IMAGE, LABEL, policy, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    first[0][:] = 9
    np.testing.assert_array_equal(IMAGE, before)


def flips_turns_and_intensity(image, label, policy, generator):
    """The first policy this project had, as it was."""
    for axis in policy.flips:
        if generator.random() < 0.5:
            image, label = np.flip(image, axis + 1), np.flip(label, axis)
    if policy.rotations:
        turns = int(generator.integers(4)) if label.shape[-1] == label.shape[-2] else 2 * int(generator.integers(2))
        image, label = np.rot90(image, turns, (-2, -1)), np.rot90(label, turns, (-2, -1))
    if policy.intensity > 0:
        gain, offset = generator.normal(0.0, policy.intensity, 2).astype(np.float32)
        image = np.clip(image * (1 + gain) + offset, 0, 1)
    return np.array(image, np.float32, order="C"), np.array(label, order="C")


def ball(shape, radius, channels=1):
    """A bright ball with soft edges in the middle, and its label."""
    distance = np.sqrt(sum((axis - (length - 1) / 2) ** 2 for axis, length in zip(np.indices(shape), shape)))
    image = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    return np.repeat(image[None], channels, 0), (distance < radius).astype(np.int64)


def picture(shape, classes=3, channels=1, seed=0):
    """Noise with a label that names each third of its intensities."""
    image = np.random.default_rng(seed).random((channels, *shape), np.float32)
    return image, (image[0] * classes).astype(np.int64)


def centre(weights):
    return np.array([(axis * weights).sum() / weights.sum() for axis in np.indices(weights.shape)])


@pytest.mark.parametrize("name", POLICIES)
def test_the_first_policy_is_left_as_it_was(name):
    policy = POLICIES[name]
    first = Augmentation(policy.flips, policy.rotations, policy.intensity)
    image, label = picture((8, 8, 8), channels=1) if 2 in policy.flips else picture((12, 12))
    for seed in range(16):
        wanted = flips_turns_and_intensity(image, label, first, np.random.default_rng(seed))
        for same in (first, replace(policy, probability=0)):
            found = augment(image, label, same, np.random.default_rng(seed))
            assert all(a.tobytes() == b.tobytes() and a.dtype == b.dtype for a, b in zip(found, wanted))


def test_keys_that_are_off_are_not_among_the_settings():
    first = {"flips": (0,), "rotations": False, "intensity": 0.05}
    assert Augmentation.of(first).settings() == first
    assert Augmentation.of({**first, "outside": "border", "elastic_cells": 3}).settings() == first
    assert Augmentation.of({**first, "gamma": [0.5, 2], "probability": 0}).settings() == first
    on = Augmentation.of({**first, "gamma": [0.5, 2]}).settings()
    assert on["gamma"] == (0.5, 2.0) and on["probability"] == 0.5 and on["outside"] == "zeros"


@pytest.mark.parametrize("name", POLICIES)
def test_settings_give_the_policy_back(name):
    assert POLICIES[name].stronger and Augmentation.of(POLICIES[name].settings()) == POLICIES[name]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 2},
        {"scale": [1.2, 0.8]},
        {"gamma": [0, 1]},
        {"blur": ["a", 1]},
        {"elastic": 0.5},
        {"elastic_cells": 2.5},
        {"rotation_degrees": -5},
        {"probability": 1.5},
        {"outside": "wrap"},
        {"rotation": 5},
    ],
)
def test_bad_settings_are_named(wrong):
    with pytest.raises(DataError, match=rf"augmentation.*{next(iter(wrong))}"):
        Augmentation.of(wrong)


@pytest.mark.parametrize("dims, channels", [(2, 1), (3, 3)])
def test_stain_is_for_pictures_in_rgb(dims, channels):
    class Grey(Source):
        name, spatial_dims = "grey", dims

    Grey.channels = channels
    with pytest.raises(DataError, match="augmentation.stain"):
        Grey(augmentation={"stain": [0.5, 2]})


@pytest.mark.parametrize("name", MOVES)
def test_the_generator_decides_all(name):
    image, label = picture((20, 24))
    policy = replace(MOVES[name], **COLOURS)
    first, second, other = (augment(image, label, policy, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second))
    assert (first[0] != other[0]).any() and (first[1] != other[1]).any()


@pytest.mark.parametrize("seed", range(24))
def test_any_size_keeps_its_shape_range_and_classes(seed):
    draw = np.random.default_rng(seed)
    shape = tuple(int(n) for n in draw.integers(1, 20, 2 + seed % 2))
    channels = 1 + 2 * (seed % 3 == 0)
    image, label = picture(shape, channels=channels, seed=seed)
    before = image.copy(), label.copy()
    stain = (0.5, 2) if channels == 3 and len(shape) == 2 else None
    policy = replace(FULL, stain=stain, outside=("zeros", "border", "reflection")[seed % 3])
    for number in range(4):
        new, moved = augment(image, label, policy, np.random.default_rng(number))
        assert new.shape == image.shape and new.dtype == np.float32 and new.flags.c_contiguous
        assert 0 <= new.min() and new.max() <= 1 and np.isfinite(new).all()
        assert moved.shape == shape and moved.dtype == label.dtype and moved.flags.c_contiguous
        assert set(np.unique(moved)) <= set(np.unique(label)) | {0}
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


@pytest.mark.parametrize("shape", [(15, 18), (12, 10, 11)])
def test_factors_of_one_change_nothing(shape):
    image, label = picture(shape, channels=3)
    still = Augmentation(probability=1, scale=(1, 1), gamma=(1, 1), blur=(0, 0), speckle=(0, 0))
    new, same = augment(image, label, still, np.random.default_rng(0))
    np.testing.assert_allclose(new, image, atol=1e-5)
    np.testing.assert_array_equal(same, label)


@pytest.mark.parametrize("shape, plane", [((9, 9), (0, 1)), ((8, 8), (0, 1)), ((5, 8, 8), (1, 2)), ((8, 6, 8), (0, 2))])
def test_a_turn_by_90_degrees_is_numpys(shape, plane):
    image, label = picture(shape)
    a, b = plane
    matrix = np.eye(len(shape) + 1)
    matrix[[a, a, b, b], [a, b, a, b]] = 0, 1, -1, 0
    still = np.zeros((len(shape), *(4 for _ in shape)))
    turned, moved = warped(image, label, matrix, still, "zeros")
    np.testing.assert_allclose(turned[0], np.rot90(image[0], 1, plane), atol=1e-5)
    np.testing.assert_array_equal(moved, np.rot90(label, 1, plane))


@pytest.mark.parametrize("shape", [(40, 48), (24, 28, 26)])
@pytest.mark.parametrize("name", MOVES)
def test_image_and_label_move_together(name, shape):
    image, label = ball(shape, 5)
    places = []
    for seed in range(12):
        new, moved = augment(image, label, MOVES[name], np.random.default_rng(seed))
        assert np.abs(centre(new[0]) - centre(moved)).max() < 0.5
        assert ((new[0] > 0.5) == moved).mean() > 0.98
        places.append(centre(moved))
    if name in ("translation", "all"):
        assert np.ptp(places, axis=0).min() > 2


def test_things_grow_by_the_scale():
    image, label = ball((48, 48), 8)
    sizes = [
        augment(image, label, Augmentation(probability=1, scale=(factor, factor)), np.random.default_rng(0))[1].sum()
        for factor in (0.5, 2)
    ]
    np.testing.assert_allclose(sizes / label.sum(), [0.25, 4], rtol=0.15)


@pytest.mark.parametrize("shape, cells", [((64, 40), 4), ((24, 20, 28), 3)])
def test_the_strongest_bend_does_not_fold(shape, cells):
    dims = len(shape)
    for seed in range(10):
        bend = np.random.default_rng(seed).choice([-0.4, 0.4], (dims, *(cells + 3 for _ in shape)))
        grid = sampling_grid(shape, np.eye(dims + 1), bend)[0].double().numpy()
        slopes = np.stack([np.stack(np.gradient(grid[..., dims - 1 - axis]), -1) for axis in range(dims)], -2)
        assert np.linalg.det(slopes).min() > 0


def test_a_bend_stays_within_its_share_of_a_cell():
    bend = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 7, 7))
    still, bent = (sampling_grid((65, 65), np.eye(3), scale * bend) for scale in (0, 1))
    voxels = (bent - still).abs().max() * 32
    assert 1 < voxels <= 0.3 * 16


def test_slices_of_a_thin_volume_move_as_a_picture_does():
    image, label = picture((20, 24))
    thin = augment(image[:, None], label[None], replace(FULL, flips=()), np.random.default_rng(3))
    flat = augment(image, label, replace(FULL, flips=()), np.random.default_rng(3))
    np.testing.assert_array_equal(thin[0][:, 0], flat[0])
    np.testing.assert_array_equal(thin[1][0], flat[1])


@pytest.mark.parametrize("axis", range(3))
def test_a_volume_of_few_slices_is_moved_slice_by_slice(axis):
    image, label = ball((30, 32), 6)
    volume, labels = (np.stack([array] * 5, axis + extra) for array, extra in ((image, 1), (label, 0)))
    new, moved = augment(volume, labels, MOVES["all"], np.random.default_rng(0))
    for slice_ in np.moveaxis(moved, axis, 0):
        np.testing.assert_array_equal(slice_, np.take(moved, 0, axis))
    assert (moved != labels).any()


def change_after_min_max(image, policy):
    """Median absolute change of a voxel, over many draws, as methods see it."""
    label = np.zeros(image.shape[1:], np.int64)
    new = [augment(image, label, policy, np.random.default_rng(seed))[0] for seed in range(32)]
    scaled = min_max(torch.from_numpy(np.stack([image, *new]))).numpy()
    return np.median(np.abs(scaled[1:] - scaled[0]))


def test_scaling_of_the_methods_does_not_undo_the_colours():
    # Between a quarter and three quarters, so that no draw is clipped.
    image = 0.25 + 0.5 * picture((24, 24), channels=3)[0]
    assert change_after_min_max(image, Augmentation(intensity=0.05)) < 0.002
    for colour in ({"gamma": POLICIES["glas"].gamma}, {"stain": POLICIES["glas"].stain}, {"speckle": (0.12, 0.12)}):
        assert change_after_min_max(image, Augmentation(probability=1, **colour)) > 0.01


def test_glass_stays_white_and_more_stain_is_darker():
    image = np.ones((3, 2, 2), np.float32)
    image[:, 0] = np.array([0.6, 0.3, 0.6], np.float32)[:, None]
    np.testing.assert_allclose(restained(image, (1, 1, 1)), image, atol=1e-5)
    darker = restained(image, (1.3, 1.3, 1.3))
    np.testing.assert_allclose(darker, image**1.3, atol=1e-5)
    assert (restained(image, (0.7, 1.4, 1))[:, 1] == 1).all()


def test_gamma_and_speckle_leave_black_black():
    image, label = ball((24, 24), 6)
    policy = Augmentation(probability=1, gamma=(0.7, 1.5), speckle=(0.1, 0.1))
    new, _ = augment(image, label, policy, np.random.default_rng(0))
    assert (new[image == 0] == 0).all() and (new != image).any()


@pytest.mark.parametrize("name", POLICIES)
def test_a_data_sets_policy_does_not_lose_the_foreground(name):
    policy = POLICIES[name]
    volume = name in ("decathlon", "knee", "phantom_knee")
    image, label = ball((28, 32, 28) if volume else (40, 40), 6, 3 if policy.stain else 1)
    shares = [augment(image, label, policy, np.random.default_rng(seed))[1].sum() / label.sum() for seed in range(24)]
    low, high = (edge ** (3 if volume else 2) for edge in policy.scale)
    # A bend adds to what the scale does.
    assert 0.75 * low <= min(shares) and max(shares) <= 1.3 * high
    assert 0.85 < np.median(shares) < 1.15
