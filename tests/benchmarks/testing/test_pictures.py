"""What is kept of a case for pictures."""

import numpy as np
import pytest

from benchmarks.store.kept import Picture, slices_of, stacked, unstacked
from benchmarks.testing.pictures import MOST_SLICES, cut, picture, plane


def test_a_volume_is_cut_where_most_of_its_label_is():
    label = np.zeros((4, 6, 8), np.uint8)
    label[2, 1:5, 1:7] = 1
    assert plane(label) == (0, 2)
    assert cut(label, (0, 2)).sum() == 24
    assert cut(np.zeros((3, 4, 6, 8)), (0, 2)).shape == (3, 8, 6)
    assert plane(np.zeros((4, 4))) is None
    assert plane(np.zeros((4, 6, 8))) == (0, 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_later_axis_of_a_slice_points_up(axis):
    volume = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    shown = cut(volume, (axis, 1))
    plain = np.take(volume, 1, axis)
    assert shown[-1, 0] == plain[0, 0]  # the origin is at the bottom left
    assert shown[0, 0] == plain[0, -1] and shown[-1, -1] == plain[-1, 0]


def test_a_picture_is_left_as_it_is_and_noise_is_clipped():
    image = np.array([[[-0.2, 0.5], [1.0, 1.7]]], np.float32)
    label = np.array([[0, 1], [2, 1]])
    found = picture("a", image, label, 2 - label)
    assert found.image.tolist() == [[[0, 128], [255, 255]]] and found.image.dtype == np.uint8
    assert np.array_equal(found.label, label) and np.array_equal(found.prediction, 2 - label)


def test_an_image_on_another_grid_is_brought_to_that_of_its_label():
    ramp = np.broadcast_to(np.linspace(0, 1, 8, dtype=np.float32), (1, 4, 4, 8))
    label = np.zeros((6, 6, 16), np.uint8)
    label[3] = 1
    found = picture("a", ramp, label, label)
    assert found.image.shape == (1, 16, 6) and found.label.shape == (16, 6)
    assert (np.diff(found.image[0, :, 0].astype(int)) <= 0).all()  # bright at the top, as the last axis points up


@pytest.mark.parametrize("shapes", [[(4, 5), (4, 5)], [(4, 5), (6, 3)]])
def test_what_is_stored_comes_back(shapes, tmp_path):
    given = [
        Picture(str(n), np.full((3, *shape), n, np.uint8), np.full(shape, n + 1, np.uint8), np.full(shape, n + 2))
        for n, shape in enumerate(shapes)
    ]
    np.savez(tmp_path / "it.npz", **stacked(given))
    with np.load(tmp_path / "it.npz") as content:
        found = unstacked(content)
    assert found["ids"].tolist() == ["0", "1"]
    for part in ("image", "label", "prediction"):
        assert all(np.array_equal(a, getattr(b, part)) for a, b in zip(found[part], given, strict=True))


def test_of_a_volume_some_slices_are_kept_the_same_ones_whatever_was_predicted(tmp_path):
    label = np.zeros((40, 12, 10), np.uint8)
    label[10:30, 2:6, 3:7] = 1
    label[17] = 2
    image = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None, None] * np.ones((1, 40, 12, 10), np.float32)
    found = [picture("a", image, label, prediction) for prediction in (label, np.zeros_like(label), label + 1)]
    first = found[0].slices
    assert len(first.at) == MOST_SLICES and first.of == 40 and (np.diff(first.at) > 0).all()
    assert 17 in first.at and first.at[0] == 5 and first.at[-1] == 34
    assert all(np.array_equal(it.slices.at, first.at) for it in found)
    place = first.at.tolist().index(17)
    assert np.array_equal(first.label[place], found[0].label) and np.array_equal(first.image[place], found[0].image)
    assert first.image[:, 0, 0, 0].tolist() == [round(255 * at / 39) for at in first.at]
    flat = picture("b", image[:, 0], label[0], label[0])
    np.savez(tmp_path / "it.npz", **stacked([found[2], flat]))
    with np.load(tmp_path / "it.npz") as content:
        kept = slices_of(dict(content))
    assert kept[1] is None and kept[0].of == 40
    assert all(np.array_equal(one, other) for one, other in zip(kept[0], found[2].slices))
