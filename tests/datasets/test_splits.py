import pytest

from datasets.base import SPLITS, DataError
from datasets.splits import balanced

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
SIZES = {"a": 20, "b": 20, "c": 18, "d": 16, "e": 12, "f": 8, "g": 4, "h": 1, "i": 1}
CASES = [group for group, size in SIZES.items() for _ in range(size)]


@pytest.mark.parametrize("seed", range(20))
def test_each_split_gets_about_its_share_of_the_cases(seed):
    split = balanced(CASES, SHARES, seed)
    assert set(split) == set(SIZES)
    for name, share in SHARES.items():
        held = sum(size for group, size in SIZES.items() if split[group] == name)
        # No farther off than the largest group.
        assert abs(held - share * len(CASES)) <= 20


@pytest.mark.parametrize("groups", ["abc", "aaaaaaaaaabc", "abbbbbbbbbbc", "abcd"])
@pytest.mark.parametrize("seed", range(6))
def test_no_split_stays_empty(groups, seed):
    assert set(balanced(groups, SHARES, seed).values()) == set(SPLITS)


def test_the_order_of_the_cases_plays_no_part_and_the_seed_does():
    assert balanced(CASES, SHARES, 3) == balanced(CASES[::-1], SHARES, 3)
    assert len({str(sorted(balanced(CASES, SHARES, seed).items())) for seed in range(6)}) > 1


def test_too_few_groups_and_wrong_shares_are_refused():
    with pytest.raises(DataError, match=r"2 group\(s\)"):
        balanced("aab", SHARES, 0)
    with pytest.raises(DataError, match="sum to 1"):
        balanced("abc", {**SHARES, "val": 0.4}, 0)
