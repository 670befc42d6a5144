"""A suite of the user's own, of any name, with methods and data sets of the user's own, gets the report it asks for."""

import pandas as pd
import pytest

from reports import write

SUITE = {"name": "my_noise_sweep", "title": "My sweep", "question": "What of my method?"}


@pytest.fixture
def own(fabricate, tmp_path):
    """(report in words, its folder) of fabricated trials: first of the methods is the subject."""

    def drawn(report, **suite):
        results = fabricate.results(**SUITE, report=report, **suite)
        return write(results, tmp_path / "report").read_text(), tmp_path / "report"

    return drawn


def test_a_noise_sweep_of_other_methods_data_sigmas_and_steps(fabricate, own):
    for method in ("mymethod", "lsegdiff", "ldseg"):
        for dataset in ("my_lungs", "my_livers"):
            fabricate.trial(method, dataset, sigmas=(0.05, 0.4), steps=(3, 7), cases=8)
    text, folder = own("noise_robustness")
    assert "# My sweep" in text and "What of my method?" in text
    assert "Nothing is published on my_lungs and my_livers." in text
    compared = pd.read_csv(folder / "tables" / "differences.csv")
    assert set(compared["first"]) == {"mymethod"} and set(compared["dataset"]) == {"my_lungs", "my_livers"}
    assert (folder / "tables" / "dsc_by_sigma_my_lungs.csv").exists()


def test_sampling_steps_of_other_methods_and_data(fabricate, own):
    for method in ("lsegdiff", "mymethod"):
        fabricate.trial(method, "my_lungs", sigmas=(0,), steps=(3, 7, 20), cases=8)
    text, folder = own("sampling_steps")
    needed = pd.read_csv(folder / "tables" / "steps_needed.csv")
    assert needed[["dataset", "method"]].to_numpy().tolist() == [["my_lungs", "lsegdiff"]]
    assert "Numbers of steps are published on glas only, which is not part of this report." in text


def test_sampling_steps_on_a_data_set_that_was_published_on(fabricate, own):
    fabricate.trial("lsegdiff", "glas", sigmas=(0, 0.3), steps=(2, 10), cases=8)
    _, folder = own("sampling_steps")
    assert pd.read_csv(folder / "tables" / "published_steps.csv").published_best.tolist() == [10]


def test_sampling_steps_of_methods_that_take_none_says_so_without_curves(fabricate, own):
    fabricate.trial("mymethod", "my_lungs", sigmas=(0,), cases=8)
    text, folder = own("sampling_steps")
    assert (
        "No method measured here takes sampling steps." in text
        and not (folder / "tables" / "steps_needed.csv").exists()
    )


@pytest.mark.parametrize("report", ["accuracy", "ablation"])
def test_accuracy_of_other_methods_under_several_sigmas(fabricate, own, report):
    for method in ("mymethod", "ldseg", "unet"):
        fabricate.trial(method, "my_lungs", sigmas=(0, 0.1), steps=(3,), cases=8)
    text, folder = own(report)
    table = pd.read_csv(folder / "tables" / "accuracy_my_lungs.csv")
    assert set(table.method) == {"mymethod", "ldseg", "unet"}
    assert "label encoder" not in text


@pytest.mark.parametrize("report", ["noise_robustness", "sampling_steps", "accuracy", "robustness_gallery"])
def test_a_suite_of_which_nothing_ran_still_gets_a_report(fabricate, own, report):
    fabricate.trial("mymethod", "my_lungs", status="failed", reason="NaN loss", records=False)
    assert "NaN loss" in own(report)[0]
