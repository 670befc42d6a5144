"""The report of suite=robustness_gallery: animations by sigma of what noise_robustness tests as well."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageSequence

from benchmarks.plan import choices
from benchmarks.plan.configuration import configure
from reports import write
from reports.paper import animation, overlays
from reports.paper.animation import Frame

SIGMAS = (0, 0.1, 0.5)


@pytest.fixture
def report(fabricate, tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "DPI", 30)

    def written():
        results = fabricate.results(name="robustness_gallery", title="Segmentations under growing noise")
        folder = write(results, tmp_path / "report").parent
        return (folder / "report.md").read_text(), folder

    return written


def frames(path):
    with Image.open(path) as moving:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(moving)]


@pytest.mark.parametrize("method", ["ldseg", "resunet"])
def test_what_noise_robustness_has_tested_is_not_tested_again(method):
    gallery, robustness = (
        set(choices.conditions(configure([f"suite={suite}"]), method, generative=method == "ldseg"))
        for suite in ("robustness_gallery", "noise_robustness")
    )
    assert gallery <= robustness and len(gallery) == 12


def test_a_frame_for_each_sigma_and_a_longer_pause_at_the_end(fabricate, report):
    for dataset, size in (("phantom_glands", (32, 32)), ("phantom_echo", (32, 48))):
        fabricate.trial("ldseg", dataset, sigmas=SIGMAS, steps=(2,), size=size)
        fabricate.trial("resunet", dataset, sigmas=SIGMAS, size=size)
    text, folder = report()
    for dataset in ("phantom_glands", "phantom_echo"):
        path = folder / "figures" / f"noise_{dataset}.gif"
        assert len(frames(path)) == 3 and path.stat().st_size <= animation.LIMIT
        with Image.open(path) as moving:
            stay = []
            for place in range(moving.n_frames):
                moving.seek(place)
                stay.append(moving.info["duration"])
            assert moving.info["loop"] == 0 and stay[0] == stay[1] < stay[2]
        assert f"figures/noise_{dataset}.gif" in text and (folder / "figures" / f"samples_{dataset}.png").exists()
    assert "violet: wrong class" in text


def test_the_numbers_told_are_those_of_the_records(fabricate, report):
    fabricate.trial("ldseg", sigmas=SIGMAS, steps=(2,), size=(32, 32))
    fabricate.trial("resunet", sigmas=SIGMAS, size=(32, 32))
    text, folder = report()
    records = pd.read_csv(folder / "records.csv")
    pooled = records[records["class"] == "all"]
    clean = pooled[(pooled.method == "ldseg") & (pooled.sigma == 0)].set_index("case").dsc
    kept = clean[[f"case{k:03d}" for k in range(4)]].sort_values()
    case = kept.index[2]  # the middle one, of two the upper
    assert f"Shown is `{case}`" in text
    for method in ("ldseg", "resunet"):
        ends = [pooled[(pooled.method == method) & (pooled.sigma == sigma)].set_index("case").dsc for sigma in (0, 0.5)]
        shown, means = (
            [f"{value:.2f}" for value in values] for values in ([e[case] for e in ends], [e.mean() for e in ends])
        )
        assert f"has a DSC of {shown[0]} at σ = 0 and {shown[1]} at σ = 0.5 on this case" in text
        assert f"(mean over 24 test cases: {means[0]} and {means[1]})" in text


def test_one_method_one_case_and_one_sigma_still_move_nothing_but_are_shown(fabricate, report):
    fabricate.trial("resunet", sigmas=(0,), cases=1, size=(32, 32))
    text, folder = report()
    assert len(frames(folder / "figures" / "noise_phantom_glands.gif")) == 1
    assert "has a DSC of" in text


def test_absent_methods_are_named(fabricate, report):
    fabricate.trial("ldseg", sigmas=SIGMAS, steps=(2,), size=(32, 32))
    fabricate.trial("resunet", status="failed", reason="out of memory", records=False)
    fabricate.trial("unet", status="declined", reason="2D only")
    text, _ = report()
    assert "**Res-UNet** has no result here (failed: out of memory.)" in text
    assert "**U-Net** has no result here (declined: 2D only.)" in text


def test_without_pictures_or_records_the_report_says_so(fabricate, report):
    fabricate.trial("resunet", sigmas=SIGMAS, samples=False)
    fabricate.trial("resunet", "phantom_echo", status="failed", reason="out of memory", records=False)
    text, folder = report()
    assert "The store holds no pictures of this data set." in text and "failed: out of memory" in text
    assert not list((folder / "figures").glob("noise_*"))


def test_a_picture_that_is_not_stored_leaves_a_grey_panel(fabricate, report):
    fabricate.trial("ldseg", sigmas=SIGMAS, steps=(2,), size=(32, 32))
    fabricate.trial("resunet", sigmas=(0,), size=(32, 32))
    _, folder = report()
    assert len(frames(folder / "figures" / "noise_phantom_glands.gif")) == 3


def test_the_same_frames_give_the_same_bytes_and_colours_stay_true(tmp_path):
    random = np.random.default_rng(0)
    label = np.zeros((24, 24), np.uint8)
    label[4:14, 4:20] = 1
    image = np.full((3, 24, 24), 200, np.uint8)
    truth = overlays.overlay(image, label, np.roll(label, 4, axis=1))
    made = [Frame(f"frame {k}", [random.random((24, 24, 3)), truth], ["", f"DSC 0.{k}"]) for k in range(5)]
    for name in ("a", "b"):
        animation.write(made, ["noise", "errors"], overlays.handles_of(["gland"]), tmp_path, name)
    first, second = ((tmp_path / "figures" / f"{name}.gif").read_bytes() for name in "ab")
    assert first == second
    drawn = frames(tmp_path / "figures" / "a.gif")
    assert (drawn[0][:2] == 255).all(), "the margin is white"
    assert (drawn[0] != drawn[4]).any()
    wanted = np.unique((truth.reshape(-1, 3) * 255).round().astype(int), axis=0)
    for color in wanted:
        assert np.abs(drawn[0].reshape(-1, 3) - color).max(axis=1).min() <= 8, color


def test_a_gif_above_the_limit_gets_fewer_colours(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    made = [Frame(str(k), [random.random((32, 32, 3))], [""]) for k in range(3)]
    animation.write(made, ["noise"], [], tmp_path, "rich")
    size = (tmp_path / "figures" / "rich.gif").stat().st_size
    monkeypatch.setattr(animation, "LIMIT", size - 1)
    animation.write(made, ["noise"], [], tmp_path, "poor")
    assert (tmp_path / "figures" / "poor.gif").stat().st_size < size
