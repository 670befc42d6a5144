"""Reports speak of patients where a data set knows them, and of images where nobody does."""

import re

import pytest

from reports import write
from tests.reports.numbers import test_corruption, test_shift
from tests.reports.suites.test_uncertainty import sampled

AS_UNIT = re.compile(r"(means? over|bootstrap over|samples of|draws|variance of|by|within( the)?|\d|between) images?\b")
"""How a sentence would name images as what is averaged, drawn or counted."""


def trials(fabricate, known, **more):
    """Three methods, a twin, three seeds of one, each case a group of its own."""
    for method in ("ldseg", "resunet", "unet"):
        fabricate.trial(method, sigmas=(0, 0.2), steps=(2, 10), cases=12, known=known, samples=False, **more)
    fabricate.trial("ldseg_direct", sigmas=(0, 0.2), cases=12, known=known, samples=False, twin_of="ldseg", **more)


def suite(name, **told):
    """A report of trials, as a function of whether patients are known."""

    def of(fabricate, tmp_path, known):
        trials(fabricate, known)
        return fabricate.results(name=name, title=name, **told)

    return of


def corruptions(fabricate, tmp_path, known):
    return test_corruption.fill(told(fabricate, known))


def shift(fabricate, tmp_path, known):
    return test_shift.fill(told(fabricate, known))


def uncertainty(fabricate, tmp_path, known):
    for method in ("ldseg", "lsegdiff"):
        fabricate.trial(method, "phantom_echo", sigmas=(0,), steps=(2,), cases=12, known=known)
    return sampled(fabricate, tmp_path)


def told(fabricate, known):
    """The fabricator, whose data sets now say whether patients are known."""
    former = fabricate.trial
    fabricate.trial = lambda *given, **named: former(*given, known=known, **named)
    return fabricate


REPORTS = {
    "accuracy": suite("accuracy"),
    "noise_robustness": suite("noise_robustness"),
    "sampling_steps": suite("sampling_steps"),
    "ablation": suite("ablation"),
    "corruptions": corruptions,
    "shift": shift,
    "uncertainty": uncertainty,
}


def written(of, fabricate, tmp_path, known):
    folder = tmp_path / "report"
    text = write(of(fabricate, tmp_path, known), folder).read_text()
    tables = " ".join(path.read_text().partition("\n")[0] for path in sorted((folder / "tables").glob("*.csv")))
    return text, (folder / "report.html").read_text(), tables


@pytest.mark.parametrize("of", REPORTS.values(), ids=REPORTS)
def test_where_nobody_knows_the_patients_no_report_names_one(fabricate, tmp_path, of):
    for text in written(of, fabricate, tmp_path, known=False):
        assert re.findall(r".{0,80}patient.{0,80}", text, re.IGNORECASE) == []
    assert "nobody knows: every image counts for itself" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize("of", REPORTS.values(), ids=REPORTS)
def test_where_patients_are_known_no_report_counts_images(fabricate, tmp_path, of):
    text, *_ = written(of, fabricate, tmp_path, known=True)
    assert [found.group() for found in re.finditer(rf".{{0,60}}{AS_UNIT.pattern}.{{0,60}}", text)] == []
    assert "The unit of analysis is the patient" in text and "bootstrap-t over patients" in text
    assert "nobody knows" not in text
