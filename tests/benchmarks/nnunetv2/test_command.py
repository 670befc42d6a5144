"""The nnU-Net package as a method: what it is given, what is taken from it. A stand-in with the package's commands and
folders, which segments by a threshold, takes its place but in the last test, which needs the package itself."""

import json
import os
import stat
import sys

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from benchmarks import runner
from benchmarks.errors import BadInput, TrialFailed
from benchmarks.kinds.trials import training
from benchmarks.nnunetv2.command import COMMANDS, budget, find_commands, main, own_overrides
from benchmarks.nnunetv2.package import export, identifier, read_label, windows, write_nifti
from benchmarks.plan import planning, standing
from benchmarks.plan.configuration import configure
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Trial
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.results import Store
from benchmarks.testing.evaluate import Candidate, evaluate
from methods.base import Segmenter
from methods.nnunet import NNUNet, topology
from methods.nnunetv2 import COMMAND, NNUNetV2

TINY = [
    "profile=tiny", "profile.limit={train: 4, val: 2, test: 3}", "dataset.phantom_echo.image_size.tiny=[32,48]",
    "training.steps=4", "device=cpu", "suite.sigmas=[0,0.2]",
]  # fmt: skip
OURS = [*TINY, "dataset=phantom_echo"]
SUITE = [*TINY, "suite=accuracy", "methods=[nnunetv2]", "datasets=[phantom_echo]"]
THRESHOLDS = (0.3, 0.5)

STAND_IN = f"""#!{sys.executable}
import os, sys
from pathlib import Path
command, arguments = Path(sys.argv[0]).name, sys.argv[1:]
name = next(Path(os.environ["nnUNet_raw"]).iterdir()).name
results = Path(os.environ["nnUNet_results"], name, "DiffsegTrainer__nnUNetPlans__2d", "fold_0")
if Path(__file__).with_name("broken").exists():
    print("what went before"), sys.exit("no memory left")
if command == "nnUNetv2_plan_and_preprocess":
    Path(os.environ["nnUNet_preprocessed"], name).mkdir(parents=True, exist_ok=True)
elif command == "nnUNetv2_train":
    assert Path(os.environ["nnUNet_preprocessed"], name, "splits_final.json").exists()
    results.mkdir(parents=True)
    values = dict.fromkeys(("nnunetv2", "torch", "python", "device"), "stand-in")
    values |= dict(threads=1, patch_size=[32, 48], parameters=1_000)
    values |= {{key: int(os.environ["DIFFSEG_" + key.upper()]) for key in ("epochs", "iterations")}}
    (results / "summary.json").write_text(__import__("json").dumps(values))
else:
    import nibabel
    given, found = (Path(arguments[arguments.index(flag) + 1]) for flag in ("-i", "-o"))
    found.mkdir()
    for path in given.glob("*_0000.nii.gz"):
        values = nibabel.load(path).get_fdata()
        label = sum((values > threshold).astype("uint8") for threshold in {THRESHOLDS})
        image = nibabel.Nifti1Image(label, nibabel.load(path).affine)
        nibabel.save(image, found / path.name.replace("_0000", ""))
"""


class Threshold(Segmenter):
    """What the stand-in does, in process."""

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        label = sum((image[:, 0].double() > threshold).long() for threshold in THRESHOLDS)
        return F.one_hot(label, 3).movedim(-1, 1).float()

    def network_evaluations(self, sampling):
        return 4


@pytest.fixture
def package(tmp_path):
    """Folder with the stand-in's commands."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COMMANDS:
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def run(tmp_path, package):
    """Runs the command with the stand-in and gives its exit status."""
    return lambda *more: main([*OURS, f"paths.runs={tmp_path / 'runs'}", f"nnunetv2.bin={package}", *more])


def planned(tmp_path, *more) -> tuple[Store, Trial]:
    """The store, and the trial as a suite plans it."""
    [trial] = planning.make_plan(configure([*SUITE, f"paths.runs={tmp_path / 'runs'}", *more]))
    return Store(tmp_path / "runs"), trial


def data_of(tmp_path, trial):
    return prepared(configure([*SUITE, f"paths.runs={tmp_path / 'runs'}"]), trial.config.dataset)


# ---- what the package is given -------------------------------------------------------------------------------------


def test_the_raw_folder_holds_the_prepared_data(tmp_path):
    _, trial = planned(tmp_path)
    data = data_of(tmp_path, trial)
    raw = tmp_path / "raw"
    export(data, raw)
    content = json.loads((raw / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, **{name: k + 1 for k, name in enumerate(data.class_names)}}
    assert content["numTraining"] == 6 and content["file_ending"] == ".nii.gz"
    assert list(content["channel_names"]) == [str(channel) for channel in range(data.images.shape[1])]
    [split] = json.loads((raw / "splits_final.json").read_text())
    assert [len(split["train"]), len(split["val"])] == [4, 2]
    for part, folder in (("train", "imagesTr"), ("val", "imagesTr"), ("test", "imagesTs")):
        for index in data.split[part]:
            name = identifier(index)
            assert part == "test" or name in split[part]
            for channel, values in enumerate(data.images[index]):
                stored = nibabel.load(raw / folder / f"{name}_{channel:04d}.nii.gz")
                assert stored.get_data_dtype() == np.float32
                np.testing.assert_array_equal(np.asarray(stored.dataobj).T, values)
            if part != "test":
                np.testing.assert_array_equal(read_label(raw / "labelsTr" / f"{name}.nii.gz"), data.labels[index])
    assert len(list((raw / "imagesTr").iterdir())) == 6 * data.images.shape[1]
    assert len(list((raw / "labelsTr").iterdir())) == 6
    assert len(list((raw / "imagesTs").iterdir())) == 3 * data.images.shape[1]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(250_000, (1000, 250)), (53_000, (1000, 53)), (1500, (60, 25)), (700, (28, 25)), (24, (1, 24)), (1, (1, 1))],
)
def test_steps_become_epochs_of_at_least_25_and_at_most_1000_of_them(steps, expected):
    config = TrialConfig(MethodConfig("nnunetv2"), DatasetConfig("any"), TrainingConfig(steps), 0)
    assert budget(Trial(config, ())) == expected


def test_a_budget_in_seconds_is_refused(run, capsys):
    assert run("training.steps=null", "training.seconds=60") == 2
    assert "training.seconds: the package cannot stop after a time" in capsys.readouterr().err


# ---- what is taken from it -----------------------------------------------------------------------------------------


def test_records_are_those_of_a_method_in_process_that_segments_alike(run, tmp_path):
    assert run() == 0
    store, trial = planned(tmp_path)
    assert len(trial.conditions) == 2
    data = data_of(tmp_path, trial)
    twin = tmp_path / "twin"
    evaluate(Candidate(trial, Threshold(), data, torch.device("cpu")), twin, lambda *_: None)
    for condition in trial.conditions:
        found = store.trial(trial.key).records(condition.key)
        expected = pd.read_parquet(twin / "records" / f"{condition.key}.parquet")
        assert len(found) == 3 * (len(data.class_names) + 1)
        assert found.dsc.nunique() > 3
        pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))
        pictures = store.trial(trial.key).samples(condition.key)
        assert len(pictures["ids"]) == 3


def test_a_suite_finds_the_results_and_leaves_them_alone(run, tmp_path):
    run()
    store, trial = planned(tmp_path)
    config = configure([*SUITE, f"paths.runs={tmp_path / 'runs'}"])
    before = (store.folder(trial.key) / "done.json").read_bytes()
    runner.run(*training(config, store))
    assert (store.folder(trial.key) / "done.json").read_bytes() == before
    results = store.results({}, standing.find_stored(config, store))
    assert [view.status for view in results.trials] == ["ok"]
    assert len(results.records) == 2 * 3 * 3 and set(results.records.method) == {"nnunetv2"}
    assert results.trials[0].environment["nnunetv2"] == "stand-in"


def test_a_suite_that_finds_none_declines_and_names_the_command(run, tmp_path):
    store, trial = planned(tmp_path)
    store.open()
    runner.run(*training(configure([*SUITE, f"paths.runs={tmp_path / 'runs'}"]), store))
    view = store.trial(trial.key)
    assert view.status == "declined" and COMMAND in view.reason
    assert run() == 0
    assert store.trial(trial.key).status == "ok"


def test_what_is_there_is_not_done_again(run, tmp_path):
    run()
    [log] = (tmp_path / "runs").glob("cache/nnunetv2/*/log.txt")
    [trained] = (tmp_path / "runs").glob("cache/nnunetv2/*/results/*/*/fold_0/summary.json")
    written = trained.stat().st_mtime_ns
    log.unlink()
    assert run() == 0
    assert not log.exists()
    next((tmp_path / "runs").glob("trials/*/records/sigma0-*.parquet")).unlink()
    assert run() == 0
    assert log.exists() and trained.stat().st_mtime_ns == written


def test_a_failure_of_the_package_is_the_trials_and_the_next_run_tries_again(run, tmp_path, package):
    (package / "broken").touch()
    assert run() == 1
    store, trial = planned(tmp_path)
    view = store.trial(trial.key)
    assert view.status == "failed"
    assert view.reason.startswith("nnUNetv2_plan_and_preprocess ended with status 1: no memory left (log: ")
    (package / "broken").unlink()
    assert run() == 0
    assert store.trial(trial.key).status == "ok"


def test_a_segmentation_that_is_missing_is_named(tmp_path):
    with pytest.raises(TrialFailed, match=r"left no segmentation at .*case000000\.nii\.gz"):
        read_label(tmp_path / "case000000.nii.gz")


def test_a_label_keeps_its_axes_on_the_way_through_a_file(tmp_path):
    label = np.random.default_rng(0).integers(0, 4, (5, 7, 9)).astype(np.uint8)
    for values in (label, label[0]):
        write_nifti(tmp_path / "label.nii.gz", values)
        np.testing.assert_array_equal(read_label(tmp_path / "label.nii.gz"), values)


@pytest.mark.parametrize(
    ("image", "patch", "expected"),
    [((512, 512), (512, 512), 1), ((32, 32), (64, 64), 1), ((96, 64), (64, 64), 2), ((100, 130), (64, 64), 3 * 4)],
)
def test_windows_overlap_by_half(image, patch, expected):
    assert windows(image, patch) == expected


# ---- the command ---------------------------------------------------------------------------------------------------


def test_overrides_are_those_of_the_suite_and_a_few_short_ones():
    words = ["dataset=glas", "seed=3", "epochs=2", "profile=tiny", "nnunetv2.bin=there/bin"]
    overrides, folder = own_overrides(words)
    assert folder == "there/bin"
    config = configure(overrides)
    assert (config.suite.name, config.profile.name) == ("accuracy", "tiny")
    assert (list(config.datasets), list(config.seeds), list(config.methods)) == (["glas"], [3], ["nnunetv2"])
    assert config.method.nnunetv2.training.steps == 500
    assert configure(own_overrides(["suite=noise_robustness"])[0]).suite.name == "noise_robustness"


@pytest.mark.parametrize(("override", "message"), [("epochs=some", "epochs=some"), ("methods=[unet]", "leave methods")])
def test_overrides_without_a_meaning_here_are_refused(override, message, capsys):
    assert main([override]) == 2
    assert message in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(tmp_path, monkeypatch, capsys):
    assert main([*OURS, f"paths.runs={tmp_path}", f"nnunetv2.bin={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert f"nnunetv2.bin={tmp_path}" in said and "pip install nnunetv2==" in said
    assert not (tmp_path / "trials").exists()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="nnUNetv2_train, nnUNetv2_predict: not found in .* or on PATH"):
        find_commands(None)


def test_commands_are_found_beside_python_and_on_the_path(package, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(package))
    assert find_commands(None) == {name: str(package / name) for name in COMMANDS}
    monkeypatch.setattr(sys, "executable", str(package / "python"))
    monkeypatch.setenv("PATH", "")
    assert find_commands(None)["nnUNetv2_train"] == str(package / "nnUNetv2_train")
    (package / "nnUNetv2_train").chmod(stat.S_IRUSR)
    with pytest.raises(BadInput, match="nnUNetv2_train: not found"):
        find_commands(None)


def test_the_stand_in_for_the_package_builds_no_network():
    with pytest.raises(ValueError, match=r"image_size \(32, 32\).*python -m benchmarks.nnunetv2"):
        NNUNetV2(2, 3, 2, (32, 32))


# ---- the package itself --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_package_itself_plans_as_we_do_and_leaves_records(tmp_path, monkeypatch):
    try:
        commands = find_commands(os.environ.get("NNUNETV2_BIN"))
    except BadInput as error:
        pytest.skip(f"needs the package; name its folder in NNUNETV2_BIN ({error})")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    runs = tmp_path / "runs"
    bin_folder = os.path.dirname(commands["nnUNetv2_train"])
    words = ["profile=tiny", "profile.limit={train: 4, val: 2, test: 3}", "training.steps=4", "device=cpu"]
    assert main([*words, "dataset=phantom_glands", f"paths.runs={runs}", f"nnunetv2.bin={bin_folder}"]) == 0
    [view] = [Store(runs).trial(path.name) for path in (runs / "trials").iterdir() if path.is_dir()]
    assert view.status == "ok"
    [records] = [pd.read_parquet(path) for path in (view.path / "records").iterdir()]
    assert len(records) == 3 * 2 and records.dsc.between(0, 1).all() and (records.nfe == 4).all()
    summary = json.loads((view.path / "nnunetv2.json").read_text())
    assert view.cost["parameters"] == summary["parameters"] and view.cost["inference"][0]["nfe"] == 4
    assert (summary["epochs"], summary["iterations"], summary["patch_size"]) == (1, 4, [32, 32])
    assert tuple(map(tuple, summary["strides"])) == topology((32, 32)).strides
    ours = NNUNet(2, 3, 2, (32, 32), "paper")
    biases_and_lowest_head = 2 * sum(ours.widths) + 2 * sum(ours.widths[:-1]) + 2 * (ours.widths[-2] + 1)
    assert summary["parameters"] == sum(p.numel() for p in ours.parameters()) + biases_and_lowest_head
    [log] = runs.glob("cache/nnunetv2/*/results/*/*/fold_0/training_log*.txt")
    assert "This split has 4 training and 2 validation cases." in log.read_text()
