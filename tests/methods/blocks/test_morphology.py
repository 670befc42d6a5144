"""Morphological clean-up of masks and of class probabilities."""

import numpy as np
import pytest
import torch

from methods.blocks.morphology import clean, clean_mask


def disc(shape=(64, 64), centre=(30, 34), radius=12):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2


def probabilities(label, classes, confidence=0.8):
    """(1, classes, *S): `confidence` for the class of the label, the rest shared equally."""
    onehot = torch.nn.functional.one_hot(torch.as_tensor(label).long(), classes).movedim(-1, 0)[None].float()
    return onehot * confidence + (1 - onehot) * (1 - confidence) / (classes - 1)


@pytest.mark.parametrize(("shape", "centre"), [((64, 64), (30, 34)), ((24, 24, 24), (12, 11, 12))])
def test_a_clean_ball_stays_as_it_is(shape, centre):
    ball = disc(shape, centre, 8)
    assert np.array_equal(clean_mask(ball), ball)


@pytest.mark.parametrize("centre", [(0, 0), (63, 30), (10, 0)])
def test_an_object_cut_by_the_edge_is_not_eaten_away_from_there(centre):
    cut = disc(centre=centre)
    assert np.array_equal(clean_mask(cut), cut)


def test_the_whole_image_and_an_empty_one_stay():
    for mask in (np.ones((16, 16), bool), np.zeros((16, 16), bool)):
        assert np.array_equal(clean_mask(mask), mask)


def test_specks_vanish():
    speckled = disc()
    speckled[[2, 2, 60, 55], [3, 60, 2, 10]] = True
    assert np.array_equal(clean_mask(speckled), disc())


def test_holes_of_any_size_are_filled():
    holey = disc() & ~disc(radius=5)
    holey[22, 34] = False
    assert np.array_equal(clean_mask(holey), disc())


def test_cracks_close_and_threads_are_cut():
    cracked = np.zeros((40, 40), bool)
    cracked[10:30, 10:30] = True
    whole = cracked.copy()
    cracked[20, 10:30] = False
    assert np.array_equal(clean_mask(cracked)[10:30, 11:29], whole[10:30, 11:29])
    threaded = whole.copy()
    threaded[20, 30:40] = True
    assert not clean_mask(threaded)[20, 32:].any()


def test_components_below_a_thousandth_of_the_image_are_dropped():
    small, large = (disc((100, 100), (c, c), radius) for c, radius in ((20, 1), (60, 2)))
    assert (small.sum(), large.sum()) == (5, 13)  # of 10,000 voxels
    assert np.array_equal(clean_mask(small | large), large)


def test_probabilities_of_compact_regions_are_left_alone():
    label = disc().astype(int)
    label[disc(centre=(10, 10), radius=6)] = 2
    p = probabilities(label, 3)
    assert torch.equal(clean(p), p)


def test_the_argmax_is_the_processed_label_and_probabilities_still_sum_to_one():
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(3, 4, 8, 8, generator=random)
    p = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear").mul(3)
    p = (p + 0.5 * torch.randn(p.shape, generator=random)).softmax(1)
    q = clean(p)
    assert (p != q).any() and (q >= 0).all() and (q <= 1).all()
    torch.testing.assert_close(q.sum(1), torch.ones(3, 64, 64))
    for before, after in zip(p.argmax(1), q.argmax(1), strict=True):
        masks = [clean_mask((before == k).numpy()) for k in (1, 2, 3)]
        claims = sum(mask.astype(int) for mask in masks)
        alone = claims == 1
        assert np.array_equal(after.numpy()[claims == 0], np.zeros((claims == 0).sum()))
        for k, mask in enumerate(masks, start=1):
            assert (after.numpy()[mask & alone] == k).all()


def test_a_voxel_claimed_twice_goes_to_the_more_probable_class():
    ring = (disc() & ~disc(radius=5)).astype(int)
    ring[disc(radius=5)] = 2
    assert np.array_equal(clean(probabilities(ring, 3)).argmax(1)[0], ring)
    # A speck of class 2 inside class 1 is lost to class 2 itself, so that class 1, whose hole it was, takes it.
    specked = disc().astype(int)
    specked[30, 34] = 2
    assert np.array_equal(clean(probabilities(specked, 3)).argmax(1)[0], disc())


def test_only_voxels_that_change_class_get_other_probabilities_and_the_two_classes_swap_them():
    label = disc().astype(int)
    label[5, 5] = 1
    p = probabilities(label, 3)
    p[0, :, 5, 5] = torch.tensor([0.3, 0.6, 0.1])
    q = clean(p)
    changed = (p != q).any(1)[0]
    assert changed.sum() == 1 and changed[5, 5]
    torch.testing.assert_close(q[0, :, 5, 5], torch.tensor([0.6, 0.3, 0.1]))


@pytest.mark.parametrize("tied", [[0.4, 0.4, 0.2], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [1 / 3] * 3])
def test_ties_and_certainties_are_resolved_too(tied):
    """The voxel lies in a hole of class 2, or is one of its own."""
    p = probabilities(disc().astype(int) * 2, 3)
    p[0, :, 30, 34] = torch.tensor(tied)
    q = clean(p)
    assert q.argmax(1)[0, 30, 34] == 2 and q.max() <= 1
    torch.testing.assert_close(q[0, :, 30, 34].sum(), torch.tensor(1.0))


def test_a_case_does_not_depend_on_its_batch():
    p = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)).softmax(1)
    assert torch.equal(clean(p)[1:2], clean(p[1:2]))
