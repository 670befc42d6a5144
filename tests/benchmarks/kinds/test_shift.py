"""suite=shift as a user runs it: planned, run, repeated, and what it refuses before any work."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds.registry import checked

HERE, THERE = "phantom_glands", "phantom_glands_lab2"
TINY = [
    "suite=shift", "profile=tiny", "tracking=none", "device=cpu", "training.steps=4", "methods=[resunet,unet]",
    "profile.limit={train: 4, val: 2, test: 3}",
]  # fmt: skip
PAIRS = f"suite.pairs=[[{HERE},{THERE}],[{THERE},{HERE}]]"


def command(runs, *more: str) -> list[str]:
    return [*TINY, f"paths.runs={runs}", *(more or [PAIRS])]


def records(runs) -> pd.DataFrame:
    frame = pd.read_csv(runs / "reports/shift/records.csv", keep_default_na=False)
    return frame.drop(columns=[name for name in frame if name.startswith("seconds")])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    runs = tmp_path_factory.mktemp("shift") / "runs"
    assert run_bench.main(command(runs)) == 0
    return runs


@pytest.fixture
def folder(tmp_path):
    """A user's grey pictures with two classes: nothing that goes with the glands."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for n in range(12):
        label = np.zeros((32, 32), np.uint8)
        label[8:20, 8:20], label[22:28, 4:12] = 1, 2
        Image.fromarray((60 * label + random.integers(0, 40, label.shape)).astype(np.uint8)).save(
            tmp_path / "images" / f"{n:02d}.png"
        )
        Image.fromarray(label).save(tmp_path / "masks" / f"{n:02d}.png")
    return [f"dataset.folder.images={tmp_path / 'images'}", f"dataset.folder.masks={tmp_path / 'masks'}",
            "dataset.folder.classes={disc: 1, bar: 2}"]  # fmt: skip


def test_every_method_is_tested_at_home_and_elsewhere(done):
    found = records(done)
    sizes = found.groupby(["dataset", "tested_on", "method"]).size()
    places = {(HERE, ""), (HERE, THERE), (THERE, ""), (THERE, HERE)}
    assert set(sizes.index) == {(*place, method) for place in places for method in ("resunet", "unet")}
    assert set(sizes) == {3 * 2}


def test_a_method_trained_elsewhere_sees_the_cases_that_one_trained_there_sees(done):
    found = records(done)
    native = found[(found["dataset"] == THERE) & (found["tested_on"] == "")]
    moved = found[(found["dataset"] == HERE) & (found["tested_on"] == THERE)]
    assert set(native["case"]) == set(moved["case"]) and set(native["trial"]).isdisjoint(moved["trial"])


def test_the_report_has_the_drop_with_both_scores(done):
    table = pd.read_csv(done / "reports/shift/tables/shift.csv")
    assert len(table) == 4 and {"drop", "dsc_own", "dsc_there", "dsc_trained_there", "gap"} <= set(table)
    assert table["drop"].to_numpy() == pytest.approx((table["dsc_own"] - table["dsc_there"]).to_numpy())
    for name in ("tables/shift.tex", "figures/drops.png", f"figures/samples_{HERE}_{THERE}.png"):
        assert (done / "reports/shift" / name).exists()


def test_a_finished_suite_does_nothing_again_and_is_redrawn_without_its_data(done, capsys):
    before = records(done)
    files = {path: path.stat().st_mtime_ns for path in done.glob("trials/*/records/*.parquet")}
    assert run_bench.main(command(done, PAIRS, "action=plan")) == 0
    assert "Nothing is left to do" in " ".join(capsys.readouterr().out.split())
    assert run_bench.main(command(done)) == 0
    assert run_bench.main(command(done, PAIRS, "action=report")) == 0
    pd.testing.assert_frame_equal(records(done), before)
    assert {path: path.stat().st_mtime_ns for path in done.glob("trials/*/records/*.parquet")} == files


def test_trainings_are_those_of_other_suites(done, capsys):
    words = command(done, f"datasets=[{HERE},{THERE}]", "action=plan")
    assert run_bench.main(["suite=accuracy", *words[1:]]) == 0
    assert "Nothing is left to do" in " ".join(capsys.readouterr().out.split())


def test_other_content_elsewhere_is_another_test(done, capsys):
    assert run_bench.main(command(done, PAIRS, "action=plan", f"dataset.{THERE}.seed=1")) == 0
    # Trained on the first: its own test is there, that on the other data is not.
    assert "1 of 2 there" in " ".join(capsys.readouterr().out.split())


def test_datasets_choose_among_the_pairs():
    config, _ = checked(["suite=shift"])
    assert set(config.suite.datasets) == {first for first, _ in config.suite.pairs}
    config, _ = checked(["suite=shift", f"suite.pairs=[[{THERE},{HERE}]]"])
    assert list(config.suite.datasets) == [THERE]


@pytest.mark.parametrize(
    "words, message",
    [
        ("suite.pairs=[]", r"suite.pairs=\[\]: expected pairs of data sets"),
        ("suite.pairs=[[glas]]", "expected pairs of data sets"),
        ("suite.pairs=[[glas,phantom_gland]]", r"'phantom_gland' is not known\. Did you mean 'phantom_glands'\?"),
        ("suite.pairs=[[glas,glas]]", r"\[glas, glas\] is no shift"),
        ("datasets=[glas]", r"datasets=\['glas'\]: no pair begins with glas; .*suite.pairs=\[\[glas,"),
        ("suite.sigmas=[0,0.1]", r"expected \[0\], images as they are"),
    ],
)
def test_pairs_that_cannot_be_are_refused(words, message):
    with pytest.raises(BadInput, match=message):
        checked(["suite=shift", words])


def test_other_classes_are_refused_before_any_work(folder, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert run_bench.main(command(runs, f"suite.pairs=[[{HERE},folder]]", *folder)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        f"suite.pairs: [{HERE}, folder] cannot be tested: folder has the classes ['disc', 'bar'], expected ['gland']"
        in said
    )
    assert not list(runs.glob("trials/*"))


def test_other_channels_and_axes_are_refused(tmp_path, capsys, folder):
    same = [folder[0], folder[1], "dataset.folder.classes={gland: [1, 2]}"]
    assert run_bench.main(command(tmp_path / "runs", f"suite.pairs=[[{HERE},folder]]", *same)) == 2
    assert "folder has the channels 1, expected 3" in " ".join(capsys.readouterr().err.split())
