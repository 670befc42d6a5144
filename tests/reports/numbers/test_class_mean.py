import numpy as np
import pytest

from reports.numbers import curves
from reports.numbers.curves import CLASS_MEAN


@pytest.fixture
def curve(fabricate):
    """Two cases of two classes; the first prediction has no foreground, and its label has the first class alone."""
    fabricate.trial("resunet", "phantom_echo", sigmas=(0,), cases=2, samples=False)
    frame = fabricate.frames[0]
    first = frame["case"] == "case000"
    for name, dsc, distance, empty in (
        ("LV", 0.0, 90.5, "prediction"), ("LA", 1.0, 0.0, "both"), ("all", 0.0, 90.5, "prediction"),
    ):  # fmt: skip
        row = first & (frame["class"] == name)
        frame.loc[row, ["dsc", "hd95_penalised"]] = dsc, distance
        frame.loc[row, "empty"] = empty
    results = fabricate.results()
    return curves.curve(results, "phantom_echo", curves.variants(results)[0])


def test_a_prediction_without_foreground_gains_nothing_from_classes_that_are_in_neither(curve):
    assert curve.by_case("dsc", CLASS_MEAN)[0, 0] == 0
    assert curve.by_case("hd95_penalised", CLASS_MEAN)[0, 0] == 90.5


def test_other_cases_have_the_plain_mean_of_their_classes(curve):
    plain = np.mean([curve.by_case("dsc", name)[0, 1] for name in ("LV", "LA")])
    assert curve.by_case("dsc", CLASS_MEAN)[0, 1] == pytest.approx(plain)
