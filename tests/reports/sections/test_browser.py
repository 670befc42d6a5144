"""Test cases to leaf through."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from reports import write
from reports.numbers.study import study
from reports.paper import html, overlays
from reports.paper.document import Document
from reports.sections import browser


@pytest.fixture
def noisy(fabricate):
    for dataset in ("phantom_glands", "camus"):
        for method in ("ldseg", "resunet"):
            fabricate.trial(method, dataset, sigmas=(0, 0.2), cases=6, steps=(2,), size=(24, 32))
    return fabricate.results()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")) / 255


def test_the_cases_hold_what_each_method_made_of_each_at_every_sigma(noisy):
    found = browser.build(noisy, study(noisy))
    assert (found.axis, found.positions, len(found.cases)) == ("σ", ("0", "0.2"), 8)
    records = noisy.records
    for case in (found.cases[0], found.cases[-1]):
        assert list(case.cells) == ["LDSeg (2 steps)", "Res-UNet"]
        for method, row in zip(("ldseg", "resunet"), case.cells.values()):
            trial = next(t for t in noisy.trials if t.key.startswith(f"{case.dataset}-{method}-"))
            for sigma, cell, given in zip((0, 0.2), row, case.inputs, strict=True):
                stored = trial.samples(f"sigma{sigma:g}-{2 if method == 'ldseg' else 0}")
                place = stored["ids"].tolist().index(case.name)
                image, label, prediction = (stored[part][place] for part in ("image", "label", "prediction"))
                paint = pixels(cell.pictures[0])
                pale = 0.4 + 0.55 * overlays.rgb(image).mean(axis=-1, keepdims=True)
                laid = paint[..., 3:] * paint[..., :3] + (1 - paint[..., 3:]) * pale
                assert np.abs(laid - overlays.overlay(image, label, prediction)).max() < 0.01
                assert np.abs(pixels(given[0])[..., :3] - overlays.rgb(image)).mean() < 0.05
                dsc = records[(records.method == method) & (records.dataset == case.dataset) & (records.sigma == sigma)
                              & (records.case == case.name) & (records["class"] == "all")].dsc.item()  # fmt: skip
                assert cell.dsc == f"{dsc:.2f}"
        assert (pixels(case.label[0])[..., 3] > 0).tolist() == (label > 0).tolist()


def test_the_slider_goes_over_steps_where_those_vary_and_sigma_does_not(fabricate):
    fabricate.trial("ldseg", sigmas=(0,), cases=3, steps=(2, 5, 10))
    fabricate.trial("resunet", sigmas=(0,), cases=3)
    fabricate.trial("lsegdiff", sigmas=(0,), cases=3, steps=(2, 10))
    results = fabricate.results()
    found = browser.build(results, study(results))
    assert (found.axis, found.positions) == ("steps", ("2", "5", "10"))
    cells = found.cases[0].cells
    assert list(cells) == ["LDSeg", "Res-UNet", "LSegDiff"]
    assert len(set(cells["Res-UNet"])) == 1 and cells["LSegDiff"][1] is None and cells["LSegDiff"][2] is not None
    assert len({cell.dsc for cell in cells["LDSeg"]}) > 1


def test_one_sigma_and_one_number_of_steps_need_no_slider(fabricate):
    fabricate.trial("ldseg", sigmas=(0,), cases=3, steps=(2,))
    fabricate.trial("lsegdiff", sigmas=(0,), cases=3, steps=(10,))
    results = fabricate.results()
    found = browser.build(results, study(results))
    assert (found.axis, found.positions) == ("", ("",)) and list(found.cases[0].cells) == [
        "LDSeg (2 steps)",
        "LSegDiff (10 steps)",
    ]
    assert re.search(r'<label class="slider" hidden>', html.render(Document("T", [found]), None))


def test_methods_whose_steps_differ_between_data_sets_need_no_slider(fabricate):
    fabricate.trial("ldseg", "phantom_glands", sigmas=(0,), cases=3, steps=(2,))
    fabricate.trial("ldseg", "camus", sigmas=(0,), cases=3, steps=(10,))
    results = fabricate.results()
    found = browser.build(results, study(results))
    assert (found.axis, found.positions) == ("", ("",))
    assert [list(case.cells) for case in found.cases] == [["LDSeg (2 steps)"]] * 3 + [["LDSeg (10 steps)"]] * 3


def test_a_volume_is_shown_slice_by_slice_first_the_one_with_most_of_its_label(fabricate):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "camus", sigmas=(0,), cases=2, steps=(2,), size=(16, 24, 20))
    results = fabricate.results()
    case = browser.build(results, study(results)).cases[0]
    trial = next(t for t in results.trials if "resunet" in t.key)
    kept = trial.slices("sigma0-0")[0]
    assert case.slices == tuple(f"slice {at + 1} of {kept.of}" for at in kept.at) and len(case.slices) > 3
    areas = [(pixels(label)[..., 3] > 0).sum() for label in case.label]
    assert areas == [(label > 0).sum() for label in kept.label] and areas[case.first] == max(areas)
    assert [len(case.inputs[0]), len(case.cells["Res-UNet"][0].pictures)] == [len(case.slices)] * 2
    for paint, prediction, label in zip(case.cells["Res-UNet"][0].pictures, kept.prediction, kept.label):
        assert ((pixels(paint)[..., 3] > 0) == ((prediction > 0) | (label > 0))).all()


def test_many_positions_leave_fewer_slices_but_never_without_the_largest(fabricate, monkeypatch):
    monkeypatch.setattr(browser, "MOST_INPUTS", 18)
    fabricate.trial("ldseg", "camus", sigmas=(0, 0.1, 0.2), cases=2, steps=(2,), size=(16, 24, 20))
    case = browser.build(fabricate.results(), study(fabricate.results())).cases[0]
    areas = [(pixels(label)[..., 3] > 0).sum() for label in case.label]
    kept = fabricate.trials[0].slices("sigma0-2")[0]
    assert len(case.slices) == 3 and areas[case.first] == max((label > 0).sum() for label in kept.label)


def test_every_test_case_is_listed_the_hardest_first_and_the_stored_ones_lead_to_their_pictures(fabricate, tmp_path):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "phantom_glands", sigmas=(0,), cases=9, steps=(2,), size=(24, 32), patients=3)
    results = fabricate.results()
    (table,) = browser.build(results, study(results)).tables
    scores = results.records[results.records["class"] == "all"].groupby("case")["dsc"].mean().sort_values()
    assert list(table.frame["case"]) == list(scores.index) and len(table.frame) == 9
    assert np.allclose(table.data["mean"], scores) and list(table.frame.columns)[1] == "patient"
    write(results, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert len(re.findall(r'<button type="button" class="open"', page)) == 4
    assert not (tmp_path / "report" / "tables" / "cases_phantom_glands.csv").exists()


def test_of_very_many_cases_the_hardest_and_the_stored_ones_are_listed(fabricate, monkeypatch):
    monkeypatch.setattr("reports.sections.case_table.MOST_ROWS", 2)
    fabricate.trial("ldseg", "phantom_glands", sigmas=(0,), cases=9, steps=(2,))
    results = fabricate.results()
    found = browser.build(results, study(results))
    shown = list(found.tables[0].frame["case"])
    assert {case.name for case in found.cases} <= set(shown) and len(shown) < 9 and len(found.tables[0].data) == 9
    assert shown[:2] == list(found.tables[0].data["case"][:2]) and "hardest of 9" in found.tables[0].caption


def test_what_is_not_stored_is_left_open_and_a_store_without_samples_has_no_cases(fabricate, tmp_path):
    fabricate.trial("ldseg", sigmas=(0, 0.2), cases=3, steps=(2,))
    fabricate.trial("resunet", sigmas=(0,), cases=3)
    fabricate.trial("unet", sigmas=(0, 0.2), cases=3, samples=False)
    results = fabricate.results()
    cells = browser.build(results, study(results)).cases[0].cells
    assert cells["Res-UNet"][1] is None and cells["U-Net"] == (None, None) and None not in cells["LDSeg (2 steps)"]
    results.conditions = {}
    text = write(results, tmp_path / "report").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    assert "## Test cases" not in text and '"browser"' not in page
