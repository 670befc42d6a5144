"""Patients in folds."""

from collections import Counter

import pytest

from datasets.base import DataError, Entry
from datasets.folds import fold_of, parts


def entries(patients=11, cases=lambda patient: 1 + patient % 3, test=3, val=2):
    found = []
    for patient in range(patients):
        split = "test" if patient < test else "val" if patient < test + val else "train"
        found += [Entry(f"p{patient}c{k}", f"p{patient}", split, subset="test A") for k in range(cases(patient))]
    return found


@pytest.mark.parametrize("folds", [2, 3, 5, 9])
def test_every_case_is_tested_in_one_fold_and_no_patient_is_on_two_sides(folds):
    tested = Counter()
    for fold in range(1, folds + 1):
        found = fold_of(entries(), fold, folds)
        assert [entry.id for entry in found] == [entry.id for entry in entries()]
        sides = {split: {e.group for e in found if e.split == split} for split in ("train", "val", "test")}
        assert all(sides.values()) and sum(map(len, sides.values())) == 11
        assert {entry.subset for entry in found} == {None}
        tested.update(entry.id for entry in found if entry.split == "test")
    assert set(tested.values()) == {1} and len(tested) == len(entries())


def test_folds_have_about_as_many_cases_and_do_not_depend_on_the_order_of_files():
    many = entries(patients=40, cases=lambda patient: 1 + patient % 7)
    where = parts(many, 5)
    sizes = Counter(where[entry.group] for entry in many)
    assert max(sizes.values()) - min(sizes.values()) <= 7
    assert parts(many[::-1], 5) == where


def test_the_share_that_validates_is_that_of_the_data_set():
    found = fold_of(entries(patients=60, cases=lambda _: 1, test=20, val=10), 2, 4)
    counts = Counter(entry.split for entry in found)
    assert counts == {"test": 15, "val": 11, "train": 34}  # 45 of which a quarter validates
    every = [fold_of(entries(60, lambda _: 1, 20, 10), k, 4) for k in (1, 2, 3, 4)]
    assert len({frozenset(e.group for e in found if e.split == "val") for found in every}) == 4


@pytest.mark.parametrize(
    "patients, folds, words", [(11, 1, "expected 2 or more"), (4, 5, "has 4 patient"), (2, 2, "has 2 patient")]
)
def test_too_few_folds_or_patients_are_refused(patients, folds, words):
    with pytest.raises(DataError, match=words):
        fold_of(entries(patients), 1, folds)


def test_as_many_folds_as_patients_leave_one_out():
    assert sorted(parts(entries(5), 5).values()) == [0, 1, 2, 3, 4]
