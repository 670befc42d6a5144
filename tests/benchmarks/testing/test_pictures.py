"""What is kept of a case for pictures."""

import numpy as np
import pytest

from benchmarks.store.kept import Picture, stacked, unstacked
from benchmarks.testing.pictures import cut, picture, plane


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
