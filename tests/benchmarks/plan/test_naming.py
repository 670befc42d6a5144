"""Reports are named by what they show, so that none replaces one that shows more."""

import pytest

from benchmarks.errors import BadInput
from benchmarks.plan.configuration import configure
from benchmarks.plan.naming import named

GLAS = ["suite=accuracy", "datasets=[glas]"]


def name(*words: str) -> str:
    return named(configure(list(words)), words)


def test_a_report_is_named_by_its_suite_and_data_sets():
    assert name(*GLAS) == "accuracy-glas"
    assert name("suite=accuracy", "datasets=[glas,camus]", "profile=tiny") == "accuracy-glas+camus-tiny"
    assert name("suite=accuracy", "datasets=[glas,camus,knee,phantom_echo]").startswith("accuracy-4_data_sets-")


def test_what_changes_nothing_in_a_report_changes_nothing_in_its_name():
    same = ["action=report", "device=cpu", "tracking=none", "paths.runs=elsewhere", "training.stop_after=60"]
    assert name(*GLAS, *same, "profile=quick") == "accuracy-glas"


@pytest.mark.parametrize("narrower", ["methods=[unet]", "seeds=[0]", "suite.sigmas=[0]", "training.steps=5"])
def test_a_narrower_run_has_a_report_of_its_own(narrower):
    assert name(*GLAS, narrower).startswith("accuracy-glas-") and name(*GLAS, narrower) == name(narrower, *GLAS)


def test_a_name_of_ones_own_is_taken_unless_it_is_a_suites_or_no_name():
    assert name(*GLAS, "report=final_2") == "final_2"
    with pytest.raises(BadInput, match="report=runtime: the latest report of suite=runtime is linked"):
        name(*GLAS, "report=runtime")
    with pytest.raises(BadInput, match=r"report='\.\./up': is no name of a folder"):
        name(*GLAS, "report=../up")
    with pytest.raises(BadInput, match=r"report=\['a'\]: expected the name of a folder"):
        name(*GLAS, "report=[a]")
