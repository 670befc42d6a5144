"""The trained weights in docs/results/weights segment one new image by the command their README gives."""

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datasets.phantom_glands import PhantomGlands
from tests.commands import bench

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "results" / "weights"
GLAS = ROOT.parent / "shared" / "data" / "glas"
HIPPOCAMPUS = ROOT.parent / "shared" / "data" / "Task04_Hippocampus"
FILES = sorted(FOLDER.glob("*.zip"))
PICTURES = [path for path in FILES if path.stem != "hippocampus_ldseg"]
LARGEST = 5_000_000


def segmented(weights, image, folder):
    """(mask, overlay, entropy, SD over samples) as arrays."""
    words = [f"weights={weights}", f"input={image}", f"output={folder / 'out'}", "samples=4", "device=cpu"]
    done = bench(folder / "runs", "action=segment", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    names = (
        f"masks/{image.stem}.png",
        f"overlays/{image.stem}.png",
        *(f"uncertainty/{image.stem}_{what}.png" for what in ("entropy", "sd")),
    )
    return [np.asarray(Image.open(folder / "out" / name)) for name in names]


def test_there_are_weights_of_every_data_set_below_five_megabytes():
    assert [path.stem for path in FILES] == ["camus_ldseg", "glas_ldseg", "hippocampus_ldseg"]
    for path in FILES:
        assert path.stat().st_size < LARGEST and f"]({path.name})" in (FOLDER / "README.md").read_text()
        with zipfile.ZipFile(path) as found:
            ends = {Path(name).name for name in found.namelist()}
        assert {"weights.safetensors", "config.json", "model_card.md", "LICENCE.md"} <= ends


@pytest.mark.parametrize("weights", PICTURES, ids=lambda path: path.stem)
def test_one_image_gives_mask_overlay_and_maps_of_uncertainty(weights, tmp_path):
    source, image = PhantomGlands(cases={"train": 1, "val": 1, "test": 1}, size=80, seed=3), tmp_path / "section.png"
    picture = np.moveaxis(np.asarray(source.read(source.entries()[0]).image), 0, -1)
    pixels = (255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)
    Image.fromarray(pixels if "glas" in weights.stem else pixels.mean(-1).astype(np.uint8)).save(image)
    mask, overlay, entropy, sd = segmented(weights, image, tmp_path)
    assert mask.shape == entropy.shape == sd.shape == overlay.shape[:2] == (80, 80)
    assert 0 < (mask > 0).mean() < 1 and entropy.max() > 0 and sd.max() > 0
    assert (overlay[mask > 0, :3] != np.asarray(Image.open(image).convert("RGB"))[mask > 0]).any()


@pytest.mark.skipif(not GLAS.is_dir(), reason="the real glas data are not in ../shared/data")
def test_a_real_section_scores_as_the_records_say(tmp_path):
    mask, *_ = segmented(FOLDER / "glas_ldseg.zip", GLAS / "testA_1.jpg", tmp_path)
    label = np.asarray(Image.open(GLAS / "testA_1_anno.png")) > 0
    found = 2 * (label & (mask > 0)).sum() / (label.sum() + (mask > 0).sum())
    with zipfile.ZipFile(FOLDER / "glas_ldseg.zip") as file:
        (member,) = (name for name in file.namelist() if "/records/sigma0-ddim2-" in name)
        records = pd.read_parquet(file.open(member))
    recorded = records[(records["case"] == "testA_1") & (records["class"] == "all")]["dsc"].item()
    assert found == pytest.approx(recorded, abs=0.05)


@pytest.mark.skipif(not HIPPOCAMPUS.is_dir(), reason="the real hippocampus data are not in ../shared/data")
def test_a_real_volume_has_a_mask_at_its_place_that_scores_as_the_records_say(tmp_path):
    weights = FOLDER / "hippocampus_ldseg.zip"
    with zipfile.ZipFile(weights) as file:
        (member,) = (name for name in file.namelist() if "/records/sigma0-ddim2-" in name)
        records = pd.read_parquet(file.open(member))
    case = records["case"].min()
    image = HIPPOCAMPUS / "imagesTr" / f"{case}.nii.gz"
    words = [f"weights={weights}", f"input={image}", f"output={tmp_path / 'out'}", "samples=2", "device=cpu"]
    done = bench(tmp_path / "runs", "action=segment", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    mask, label = (
        nibabel.load(p) for p in (tmp_path / "out" / "masks" / image.name, HIPPOCAMPUS / "labelsTr" / image.name)
    )
    np.testing.assert_allclose(mask.affine, nibabel.load(image).affine)
    found, true = np.asarray(mask.dataobj), np.asarray(label.dataobj)
    recorded = records[records["case"] == case].set_index("class")["dsc"]
    hits = sum(((found == k) & (true == k)).sum() for k in (1, 2))
    assert 2 * hits / ((found > 0).sum() + (true > 0).sum()) == pytest.approx(recorded["all"], abs=0.05)
