"""action=segment: new images in, masks on their own grid out, whatever else lies in the folder."""

import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import run_bench
from tests.benchmarks.prediction.methods_by_hand import trial

RANDOM = np.random.default_rng(0)
AFFINE = np.array([[-1.5, 0, 0, 10], [0, 0, 2, -3], [0, 1.0, 0, 7], [0, 0, 0, 1]])


def act(tmp_path, *words):
    return run_bench.main(["action=segment", f"paths.runs={tmp_path}/runs", "device=cpu", *words])


def segment(tmp_path, view, images, out, *more):
    code = act(tmp_path, f"weights={view.path}", f"input={images}", f"output={out}", *more)
    assert code == 0
    return out


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def halves(height, width):
    """A picture whose right half is bright."""
    array = np.full((height, width), 20, np.uint8)
    array[:, width // 2 :] = 240
    return array


def test_a_mask_lies_on_the_grid_of_its_picture(tmp_path):
    save(tmp_path / "in/sub/a.png", halves(64, 96))
    out = segment(tmp_path, trial(tmp_path / "runs"), tmp_path / "in", tmp_path / "out")
    mask = np.asarray(Image.open(out / "masks/sub/a.png"))
    assert mask.shape == (64, 96) and mask.dtype == np.uint8
    assert (mask[:, :44] == 0).all() and (mask[:, 52:] == 1).all()
    entropy = np.asarray(Image.open(out / "uncertainty/sub/a_entropy.png"))
    assert entropy[:, 44:52].mean() > entropy[:, :40].mean()
    overlay = np.asarray(Image.open(out / "overlays/sub/a.png"))
    assert overlay.shape == (64, 96, 3) and len(np.unique(overlay[:, :40].reshape(-1, 3), axis=0)) == 1
    assert not (out / "uncertainty/sub/a_sd.png").exists()


def test_class_numbers_have_a_legend_and_a_size(tmp_path):
    save(tmp_path / "in/a.png", halves(32, 32))
    view = trial(tmp_path / "runs", classes=("wall", "lumen"))
    out = segment(tmp_path, view, tmp_path / "in/a.png", tmp_path / "out")
    assert pd.read_csv(out / "classes.csv")["class"].tolist() == ["background", "wall", "lumen"]
    sizes = pd.read_csv(out / "sizes.csv").set_index("class")
    assert sizes.loc["wall", "pixels"] == (np.asarray(Image.open(out / "masks/a.png")) == 1).sum() > 0
    assert sizes.loc["lumen", "pixels"] == 0 and set(sizes.unit) == {"px"}


def test_a_volume_keeps_its_affine_and_its_millimetres(tmp_path):
    volume = np.zeros((20, 30, 24), np.int16)
    volume[:, :, 12:] = 900
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(volume, AFFINE), tmp_path / "in/v.nii.gz")
    out = segment(tmp_path, trial(tmp_path / "runs", size=(16, 16, 16)), tmp_path / "in", tmp_path / "out")
    mask = nibabel.load(out / "masks/v.nii.gz")
    np.testing.assert_allclose(mask.affine, AFFINE)
    voxels = np.asarray(mask.dataobj)
    assert voxels.shape == volume.shape and (voxels[:, :, :10] == 0).all() and (voxels[:, :, 14:] == 1).all()
    sizes = pd.read_csv(out / "sizes.csv")
    assert sizes.unit.tolist() == ["mm3"] and np.isclose(sizes["size"][0], 1.5 * 2 * 1 * sizes.pixels[0])
    entropy = nibabel.load(out / "uncertainty/v_entropy.nii.gz")
    np.testing.assert_allclose(entropy.affine, AFFINE)
    assert entropy.get_data_dtype() == np.float32


def test_a_flat_nifti_file_gets_a_mask_of_its_own_axes(tmp_path):
    stored = np.zeros((40, 24, 1), np.uint8)
    stored[20:] = 255
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(stored, AFFINE), tmp_path / "in/flat.nii")
    out = segment(tmp_path, trial(tmp_path / "runs"), tmp_path / "in", tmp_path / "out")
    mask = np.asarray(nibabel.load(out / "masks/flat.nii.gz").dataobj)
    assert mask.shape == stored.shape and (mask[:16] == 0).all() and (mask[24:] == 1).all()


def test_volumes_on_their_own_grid_are_segmented_by_window(tmp_path):
    volume = np.zeros((20, 30, 24), np.int16)
    volume[:, 15:] = 900
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(volume, AFFINE), tmp_path / "in/v.nii.gz")
    view = trial(tmp_path / "runs", size=(16, 16, 16), fit="pad")
    out = segment(tmp_path, view, tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(nibabel.load(out / "masks/v.nii.gz").dataobj), volume > 0)


def test_neither_order_nor_company_of_a_file_changes_its_mask(tmp_path):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", RANDOM.integers(0, 255, (20, 20), np.uint8))
    view = trial(tmp_path / "runs", "Noisy")
    more = ("samples=4", "sampling.steps=2")
    out = segment(tmp_path, view, tmp_path / "in", tmp_path / "out", *more)
    alone = segment(tmp_path, view, tmp_path / "in/b.png", tmp_path / "alone", *more)
    for name in ("masks/b.png", "uncertainty/b_entropy.png", "uncertainty/b_sd.png", "overlays/b.png"):
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    assert np.asarray(Image.open(out / "uncertainty/b_sd.png")).max() > 0
    other = segment(tmp_path, view, tmp_path / "in/b.png", tmp_path / "other", *more, "sampling.seed=7")
    assert (other / "uncertainty/b_sd.png").read_bytes() != (alone / "uncertainty/b_sd.png").read_bytes()
    about = json.loads((out / "segment.json").read_text())
    assert about["sampling"]["samples"] == 4 and about["network_evaluations"] == 4 and about["trial"] == view.key


def test_a_pattern_leaves_images_out(tmp_path):
    for name in ("p1_frame01", "p1_frame01_gt", "p1_4d"):
        save(tmp_path / f"in/{name}.png", halves(16, 16))
    out = segment(
        tmp_path, trial(tmp_path / "runs"), tmp_path / "in", tmp_path / "out", "'pattern=\"frame[0-9]+$\"'".strip("'")
    )
    assert [path.name for path in (out / "masks").iterdir()] == ["p1_frame01.png"]


def test_grey_pictures_become_colours_where_the_method_learned_from_colours(tmp_path):
    save(tmp_path / "in/a.png", halves(16, 16))
    out = segment(tmp_path, trial(tmp_path / "runs", channels=3), tmp_path / "in", tmp_path / "out")
    assert np.asarray(Image.open(out / "masks/a.png")).any()


@pytest.mark.parametrize(
    ("trained", "array", "words"),
    [
        ({"channels": 1}, np.zeros((16, 16, 3), np.uint8), "3 channel(s)"),
        ({"size": (8, 8, 8)}, np.zeros((16, 16), np.uint8), "a picture (2 axes)"),
    ],
)
def test_an_image_of_other_axes_or_channels_is_refused_by_name_before_any_work(tmp_path, capsys, trained, array, words):
    save(tmp_path / "in/odd.png", array)
    view = trial(tmp_path / "runs", **trained)
    assert act(tmp_path, f"weights={view.path}", f"input={tmp_path}/in", f"output={tmp_path}/out") == 2
    said = capsys.readouterr().err
    assert "odd.png" in said and words in said
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_and_two_of_one_name_are_refused(tmp_path, capsys):
    view = trial(tmp_path / "runs")
    path = save(tmp_path / "in/a.png", halves(64, 64))
    path.write_bytes(path.read_bytes()[:60])
    assert act(tmp_path, f"weights={view.path}", f"input={path}", f"output={tmp_path}/out") == 2
    assert "a.png" in capsys.readouterr().err
    for name in ("b.png", "b.bmp"):
        save(tmp_path / "twice" / name, halves(16, 16))
    assert act(tmp_path, f"weights={view.path}", f"input={tmp_path}/twice", f"output={tmp_path}/out") == 2
    assert "same name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["weights=nowhere", "input={in}", "output={out}"], "is not known"),
        (["input={in}", "output={out}"], "weights=None"),
        (["weights={trial}", "output={out}"], "input=None"),
        (["weights={trial}", "input={in}"], "output=None"),
        (["weights={trial}", "input={in}", "output={in}"], "folder of the images"),
        (["weights={trial}", "input={out}", "output={out}2"], "does not exist"),
        (["weights={trial}", "input={in}", "output={out}", "samples=0"], "samples=0"),
        (["weights={trial}", "input={in}", "output={out}", "sampling.steps=1"], "2 or more"),
        (["weights={trial}", "input={in}", "output={out}", "pattern='('"], "regular expression"),
        (["weights={trial}", "input={in}", "output={out}", "pattern=[a]"], "pattern=['a']"),
        (["weights={trial}", "input={in}", "output={out}", "sampling.steps=2.5"], "sampling.steps=2.5"),
        (["weights={trial}", "input={in}", "output={out}", "sampling.seed=now"], "sampling.seed=now"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, capsys, words, said):
    save(tmp_path / "in/a.png", halves(16, 16))
    places = {"in": f"{tmp_path}/in", "out": f"{tmp_path}/out", "trial": trial(tmp_path / "runs", "Noisy").path}
    assert act(tmp_path, *(word.format(**places) for word in words)) == 2
    assert said in capsys.readouterr().err


def test_damaged_weights_are_refused(tmp_path, capsys):
    save(tmp_path / "in/a.png", halves(16, 16))
    view = trial(tmp_path / "runs")
    content = bytearray((view.path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (view.path / "weights.safetensors").write_bytes(bytes(content))
    assert act(tmp_path, f"weights={view.key}", f"input={tmp_path}/in", f"output={tmp_path}/out") == 2
    assert "damaged" in capsys.readouterr().err


def test_nothing_of_the_data_set_is_needed(tmp_path):
    """A trial's folder alone, elsewhere."""
    save(tmp_path / "in/a.png", halves(32, 32))
    view = trial(tmp_path / "there")
    shutil.copytree(view.path, tmp_path / "copy")
    shutil.rmtree(tmp_path / "there")
    assert act(tmp_path, f"weights={tmp_path}/copy", f"input={tmp_path}/in", f"output={tmp_path}/out") == 0
