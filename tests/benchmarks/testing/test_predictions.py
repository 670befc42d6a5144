"""Predictions that are kept for others to score: those that the records were taken of, on the case's own grid."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import run_bench
from tests.test_own_folders import SHORT, acdc, acdc_settings, isic  # noqa: F401  (fixtures)

TINY = ["suite=accuracy", "profile=tiny", "tracking=none", "device=cpu", "methods=[resunet]", "seeds=[0]", *SHORT]


def bench(runs, *words):
    assert run_bench.main([f"paths.runs={runs}", *TINY, *words]) == 0
    (trial,) = runs.glob("trials/[!.]*")
    return trial


def dsc(mask, label):
    return 2 * np.count_nonzero(mask & label) / max(np.count_nonzero(mask) + np.count_nonzero(label), 1)


def test_pictures_give_the_scores_of_the_records(isic, tmp_path):  # noqa: F811
    data = [f"+dataset.isic={{images: {isic}/*/images, masks: {isic}/*/masks, mask_suffix: _segmentation}}"]
    data += ["dataset.isic.threshold=127", "datasets=[isic]"]
    trial = bench(tmp_path, *data, "training.steps=30")
    assert not (trial / "predictions").exists()
    # Asked for afterwards they are made, by the weights that are there.
    weights = (trial / "weights.safetensors").stat().st_mtime_ns
    bench(tmp_path, *data, "training.steps=30", "suite.save_predictions=true")
    assert (trial / "weights.safetensors").stat().st_mtime_ns == weights
    (folder,) = (trial / "predictions").iterdir()
    (stored,) = (trial / "records").glob("*.parquet")
    records = pd.read_parquet(stored).query("`class` == 'all'").set_index("case").dsc
    assert folder.name == stored.stem and {path.stem for path in folder.glob("*.png")} == set(records.index)
    for case, score in records.items():
        mask = np.asarray(Image.open(folder / f"{case}.png")) > 0
        label = np.asarray(Image.open(isic / f"test/masks/{case}_segmentation.png")) > 127
        assert mask.shape == label.shape
        assert dsc(mask, label) == pytest.approx(score, abs=1e-6)
    # One that is lost or damaged is made again.
    lost = next(folder.glob("*.png"))
    content = lost.read_bytes()
    lost.write_bytes(content[:-1])
    bench(tmp_path, *data, "training.steps=30", "suite.save_predictions=true")
    assert lost.read_bytes() == content and run_bench.main(["action=verify", f"paths.runs={tmp_path}"]) == 0


def test_volumes_lie_where_their_files_do(acdc, tmp_path):  # noqa: F811
    trial = bench(tmp_path, *acdc_settings(acdc), "datasets=[acdc]", "suite.save_predictions=true")
    found = sorted(trial.glob("predictions/*/*.nii.gz"))
    assert found
    for path in found:
        mask, image = nibabel.load(path), nibabel.load(next(acdc.rglob(path.name)))
        np.testing.assert_allclose(mask.affine, image.affine)
        assert mask.shape == image.shape and mask.get_data_dtype() == np.uint8


def test_what_is_no_yes_or_no_is_named(tmp_path, capsys):
    assert run_bench.main([f"paths.runs={tmp_path}", *TINY, "suite.save_predictions=perhaps"]) == 2
    assert "suite.save_predictions" in capsys.readouterr().err
