"""What validation records say of numbers of sampling steps."""

import pandas as pd
import pytest

from benchmarks.store.selection import fewest_enough, validation_scores


def frame(steps, scores):
    """Validation records at a number of steps; scores: DSC by (group, case)."""
    rows = [{"steps": steps, "case": case, "group": group, "class": name, "dsc": dsc}
            for (group, case), dsc in scores.items() for name in ("all", "gland")]  # fmt: skip
    return pd.DataFrame(rows)


def test_patients_weigh_the_same_however_many_images_they_have():
    """By images 10 steps are the better, by patients 2."""
    few = {("p", "p1"): 0.5, ("p", "p2"): 0.5, ("p", "p3"): 0.5, ("q", "q1"): 0.9}
    many = {("p", "p1"): 0.6, ("p", "p2"): 0.6, ("p", "p3"): 0.6, ("q", "q1"): 0.7}
    steps, scores, cases = validation_scores({0: [frame(2, few), frame(10, many)]})
    assert steps == (2, 10) and cases == 4
    assert scores[0].tolist() == pytest.approx([0.7, 0.65])
    assert fewest_enough(steps, scores.mean(axis=0)) == 2


def test_trainings_validated_at_other_numbers_are_refused():
    scores = {("p", "p1"): 0.5}
    with pytest.raises(ValueError, match="validated at other numbers of steps by seed"):
        validation_scores({0: [frame(2, scores)], 1: [frame(3, scores)]})
