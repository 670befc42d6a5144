"""What action=compare says of one change, by how many trainings there were."""

import numpy as np
import pytest

from reports.numbers.curves import Curve, Variant
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import Significance
from reports.suites.compare.changes import Change
from reports.suites.compare.report import _sentence


@pytest.mark.parametrize("seeds, words", [(1, "scored alike in these trainings"), (3, "is the same")])
def test_equivalence_is_claimed_of_a_method_from_three_trainings_on(seeds, words):
    variant = Variant("resunet", "Res-UNet")
    cases = np.arange(40)
    curve = Curve("glas", variant, tuple(range(seeds)), np.zeros(1), cases, cases, ("gland",), {})
    estimate = Estimate(0.001, -0.002, 0.003, 40, 40, seeds=seeds, error=0.001, df=39)
    test = Significance(0.4, 0.4, 0.1, 0.1, 0.001, 0.001, 0.001, 0.0, 0.004)
    said = _sentence(Change(curve, curve, 0.0, estimate, test, False), [], {variant: "Res-UNet"})
    assert said.startswith(f"Res-UNet {words} within 0.01 DSC: +0.001 DSC [") and said.endswith("p = 0.001 after Holm.")
