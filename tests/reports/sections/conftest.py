"""A method whose DSC in every case is given, on glas at sigma 0, and what the report then says of it."""

import numpy as np
import pytest

from reports.numbers.study import study
from reports.sections import significance

SUITE = {"name": "accuracy", "title": "Segmentation accuracy"}
CASES = 12


@pytest.fixture
def measured(fabricate):
    """Adds a method whose DSC in case k is given, on glas at sigma 0 unless the options say otherwise."""

    def add(method, scores, **options):
        options = {"sigmas": (0,), "steps": (2,), "samples": False} | options
        options = {"score": lambda sigma, case, name: scores[case]} | options
        return fabricate.trial(method, "glas", cases=len(scores), **options)

    return add


@pytest.fixture
def said(fabricate):
    """The sentences on differences, settings of the suite being given."""
    return lambda **suite: significance.sentences(study(fabricate.results(**SUITE | suite)), "glas")


def bumpy(mean, step=0.01):
    """Scores around a mean that are different in every case."""
    return mean + step * np.linspace(-1, 1, CASES)
