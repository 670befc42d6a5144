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
            for sigma, cell, given in zip((0, 0.2), row, case.inputs):
                stored = trial.samples(f"sigma{sigma:g}-{2 if method == 'ldseg' else 0}")
                place = stored["ids"].tolist().index(case.name)
                image, label, prediction = (stored[part][place] for part in ("image", "label", "prediction"))
                paint = pixels(cell.picture)
                pale = 0.4 + 0.55 * overlays.rgb(image).mean(axis=-1, keepdims=True)
                laid = paint[..., 3:] * paint[..., :3] + (1 - paint[..., 3:]) * pale
                assert np.abs(laid - overlays.overlay(image, label, prediction)).max() < 0.01
                assert np.abs(pixels(given)[..., :3] - overlays.rgb(image)).mean() < 0.05
                dsc = records[(records.method == method) & (records.dataset == case.dataset) & (records.sigma == sigma)
                              & (records.case == case.name) & (records["class"] == "all")].dsc.item()  # fmt: skip
                assert cell.dsc == f"{dsc:.2f}"
        assert (pixels(case.label)[..., 3] > 0).tolist() == (label > 0).tolist()


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
