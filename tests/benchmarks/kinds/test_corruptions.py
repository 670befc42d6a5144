"""suite=corruptions as a user runs it: planned, run, repeated, broken off, and what it refuses."""

import pandas as pd
import pytest

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds.registry import checked
from benchmarks.testing import evaluate

TINY = [
    "suite=corruptions", "profile=tiny", "tracking=none", "device=cpu", "training.steps=4", "datasets=[phantom_glands]",
    "profile.limit={train: 4, val: 2, test: 3}", "suite.corruptions=[blur,speckle,stain]", "suite.severities=[1,5]",
]  # fmt: skip
METHODS = ["methods=[resunet,unet]", "suite.reference=unet"]


def command(runs, *more: str) -> list[str]:
    return [*TINY, *METHODS, f"paths.runs={runs}", *more]


def records(runs) -> pd.DataFrame:
    frame = pd.read_csv(runs / "reports/corruptions/records.csv", keep_default_na=False)
    return frame.drop(columns=[name for name in frame if name.startswith("seconds")])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    runs = tmp_path_factory.mktemp("corruptions") / "runs"
    assert run_bench.main(command(runs)) == 0
    return runs


def test_every_kind_and_severity_has_its_records(done):
    found = records(done)
    levels = found.groupby(["corruption", "severity"]).size()
    assert set(levels.index) == {("", 0), *((kind, n) for kind in ("blur", "speckle", "stain") for n in (1, 5))}
    assert set(levels) == {3 * 2 * 2}  # cases, methods, the class and the pooled row
    assert (found["sigma"].astype(float) == 0).all() and (found["tested_on"] == "").all()


def test_the_report_has_its_tables_in_all_forms_and_its_figures(done):
    folder = done / "reports/corruptions"
    for name in ("dsc_by_severity_phantom_glands", "corruption_error_phantom_glands", "severities"):
        assert (folder / "tables" / f"{name}.csv").exists() and (folder / "tables" / f"{name}.tex").exists()
    for name in ("dsc_by_severity_phantom_glands", "dsc_map_phantom_glands", "samples_phantom_glands_corrupted"):
        assert (folder / "figures" / f"{name}.png").exists()
    table = pd.read_csv(folder / "tables" / "corruption_error_phantom_glands.csv").set_index("method")
    found = records(done).query("`class` == 'all' and corruption != ''").assign(dsc=lambda f: f["dsc"].astype(float))
    error = 1 - found.groupby(["method", "corruption"])["dsc"].mean().unstack()
    by_hand = (error.loc["resunet"] / error.loc["unet"]).mean()
    assert table.loc["resunet", "mce"] == pytest.approx(by_hand)
    assert table.loc["unet", "mce"] == pytest.approx(1)


def test_methods_were_given_the_same_images(done):
    from benchmarks.store.trial import TrialView

    views = [TrialView.load(path.parent) for path in sorted(done.glob("trials/*/config.json"))]
    names = [sorted(path.name.split("-direct")[0] for path in view.path.glob("samples/*.npz")) for view in views]
    assert names[0] == names[1] and "speckle5" in names[0]
    for stem in names[0]:
        first, second = (
            view.samples(next(view.path.glob(f"samples/{stem}-*.npz")).stem)["image"] for view in views
        )  # fmt: skip
        assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_a_finished_suite_tests_nothing_again(done, monkeypatch):
    before = records(done)
    monkeypatch.setattr(evaluate, "corrupt", None)  # would raise if it were called
    assert run_bench.main(command(done)) == 0
    assert run_bench.main(command(done, "action=report")) == 0
    pd.testing.assert_frame_equal(records(done), before)


def test_one_more_severity_is_tested_with_the_stored_weights(done, capsys):
    weights = {path: path.stat().st_mtime_ns for path in done.glob("trials/*/weights.safetensors")}
    more = command(done, "suite.severities=[1,3,5]", "report=more")[:-1]
    assert run_bench.main([*more, "action=plan"]) == 0
    assert "7 of 10" in " ".join(capsys.readouterr().out.split())
    assert run_bench.main(more) == 0
    assert {path: path.stat().st_mtime_ns for path in done.glob("trials/*/weights.safetensors")} == weights
    assert sorted(records(done)["severity"].unique()) == [0, 1, 3, 5]
    assert run_bench.main(command(done)) == 0  # the report of the rest of these tests


def test_accuracy_takes_up_what_was_trained_and_tested_on_clean_images(done, capsys):
    words = [w for w in command(done, "action=plan") if not w.startswith(("suite.", "suite="))]
    assert run_bench.main(["suite=accuracy", *words]) == 0
    assert "Nothing is left to do" in " ".join(capsys.readouterr().out.split())


def test_a_test_that_breaks_off_goes_on_and_ends_with_the_same_records(done, tmp_path, monkeypatch):
    real, calls = evaluate.corrupt, []

    def breaks(*arguments):
        calls.append(arguments)
        if len(calls) > 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(evaluate, "corrupt", breaks)
    assert run_bench.main(command(tmp_path)) == 130
    there = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/records/*.parquet")}
    assert len(there) == 3  # clean, blur 1 and blur 5 of the first method
    monkeypatch.setattr(evaluate, "corrupt", real)
    assert run_bench.main(command(tmp_path)) == 0
    assert {path: path.stat().st_mtime_ns for path in there} == there
    pd.testing.assert_frame_equal(records(tmp_path), records(done))


def test_kinds_for_other_images_are_said_to_be(done):
    told = run_bench.main(
        [w for w in command(done, "datasets=[phantom_echo]") if not w.startswith("datasets=[phantom_g")]
    )
    assert told == 0
    text = (done / "reports/corruptions/report.md").read_text()
    assert "Stain shift does not apply: stains are of pictures in RGB" in text
    assert run_bench.main(command(done)) == 0


@pytest.mark.parametrize(
    "words, message",
    [
        ("suite.corruptions=[blurr]", r"suite.corruptions: 'blurr' is not known\. Did you mean 'blur'\?"),
        ("suite.corruptions=[]", r"suite.corruptions=\[\]: expected a list without repetitions"),
        ("suite.corruptions=[blur,blur]", "without repetitions"),
        ("suite.severities=[0,1]", r"suite.severities: 0 is none; expected some of \[1, 2, 3, 4, 5\]"),
        ("suite.severities=[6]", "suite.severities: 6 is none"),
        ("suite.severities=[a]", "suite.severities: 'a' is none"),
        ("suite.reference=resnet", "suite.reference: 'resnet' is not known"),
        ("suite.sigmas=[0,0.1]", r"suite.sigmas=\[0, 0.1\]: expected \[0\]"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(words, message):
    with pytest.raises(BadInput, match=message):
        checked(["suite=corruptions", words])
