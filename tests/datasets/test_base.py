import pytest

from datasets.base import Augmentation, DataError, Entry, limited
from datasets.splits import by_fraction, held_out


def entries(count, split="train"):
    return [Entry(f"{split}{n:02d}", f"p{n}", split) for n in range(count)]


def test_limit_keeps_both_ends_and_spreads_evenly():
    kept = limited(entries(9), {"train": 3})
    assert [entry.id for entry in kept] == ["train00", "train04", "train08"]


def test_limit_does_not_depend_on_the_order_of_the_entries():
    assert limited(entries(9)[::-1], {"train": 4}) == limited(entries(9), {"train": 4})


def test_limit_leaves_other_and_smaller_splits_whole():
    both = entries(3) + entries(5, "test")
    assert len(limited(both, {"train": 10, "test": None})) == 8


@pytest.mark.parametrize("limit", [{"train": 0}, {"training": 3}, {"train": 1.5}])
def test_bad_limit_is_refused(limit):
    with pytest.raises(DataError, match="limit has"):
        limited(entries(3), limit)


def test_augmentation_from_a_mapping():
    policy = Augmentation.of({"flips": [0, 1], "rotations": True, "intensity": 0.1})
    assert policy == Augmentation((0, 1), True, 0.1)
    assert Augmentation.of(None) == Augmentation()


@pytest.mark.parametrize("settings, word", [({"flip": [0]}, "flip"), ({"intensity": -1}, "intensity")])
def test_bad_augmentation_is_refused(settings, word):
    with pytest.raises(DataError, match=word):
        Augmentation.of(settings)


def test_held_out_is_set_by_seed_and_not_by_order():
    names = [f"train_{n}" for n in range(85)]
    chosen = held_out(names, 0.15, seed=0)
    assert len(chosen) == 13
    assert chosen == held_out(reversed(names), 0.15, seed=0)
    assert chosen != held_out(names, 0.15, seed=1)


def test_fractions_split_by_group():
    groups = [f"patient{n}" for n in range(50)]
    splits = by_fraction(groups * 2, {"train": 0.7, "val": 0.1, "test": 0.2}, seed=3)
    assert sorted(splits.values()).count("val") == 5 and sorted(splits.values()).count("test") == 10
    assert by_fraction(groups[::-1], {"train": 0.7, "val": 0.1, "test": 0.2}, seed=3) == splits


def test_three_groups_fill_three_splits():
    assert set(by_fraction("abc", {"train": 0.9, "val": 0.05, "test": 0.05}, 0).values()) == {"train", "val", "test"}


@pytest.mark.parametrize("fractions", [{"train": 0.7, "val": 0.1, "test": 0.1}, {"train": 1.0}])
def test_fractions_that_do_not_sum_to_one_are_refused(fractions):
    with pytest.raises(DataError, match="sum to 1"):
        by_fraction("abcdef", fractions, 0)


def test_too_few_patients_are_refused():
    with pytest.raises(DataError, match="3 or more patients"):
        by_fraction("ab", {"train": 0.7, "val": 0.1, "test": 0.2}, 0)


@pytest.mark.parametrize("wrong", [{"flips": 3}, {"flips": ["a"]}, {"flips": "01"}, {"rotations": 3}])
def test_switches_of_an_augmentation_have_their_form(wrong):
    with pytest.raises(DataError, match=rf"augmentation\.{next(iter(wrong))} is .*, expected"):
        Augmentation.of(wrong)
