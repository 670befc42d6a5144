"""Reading released weights: what is loaded, and how wrong or missing files are reported."""

import hashlib
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from methods.ldseg import COMPONENTS, SWITCHES, LDSeg
from methods.released import RELEASES, ReleasedWeightsError, _fill, _keras_order, _slots, load_ldseg

RELEASED = Path(__file__).parents[3] / "shared" / "fixtures" / "ldseg2d" / "released"
shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not RELEASED.is_dir(), reason="needs ../shared/fixtures/ldseg2d beside the checkout"),
]

LISTED_BY_KERAS = [
    ("label_encoder", 102, "32f4ba697d1c92f7"),
    ("label_decoder", 86, "162c1475027e33c3"),
    ("image_encoder", 40, "92f980b49748fadc"),
    ("denoiser", 264, "7da1f83b1be3db89"),
]
"""Of the files that Keras 2.15 writes for the authors' networks of volumes: how many tensors there are, and the start
of the SHA-256 of their names and shapes, a line for each."""


def random_model(*arguments) -> LDSeg:
    torch.manual_seed(0)
    model = LDSeg(*arguments, size="paper", preset="official")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor))
    return model


def write_all(folder, spatial_dims, model):
    """The four files as Keras' save_weights writes them."""
    for name, file in RELEASES[spatial_dims].files.items():
        write(folder / file, getattr(model, name))


@pytest.fixture(scope="module")
def original():
    return random_model(2, 3, 2, (512, 512))


@pytest.fixture(scope="module")
def original_3d():
    return random_model(3, 1, 3, (128, 128, 256))


@pytest.fixture(scope="module")
def written(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    write_all(folder, 2, original)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "weights"))


def write(path, component):
    with h5py.File(path, "w") as file:
        names = []
        for number, layer in enumerate(_keras_order(component)):
            names.append(f"layer_{number}")
            group = file.create_group(names[-1])
            weights = []
            for kind, tensor in _slots(layer):
                sub = f"{names[-1]}/{len(weights)}/{kind}:0"
                group.create_dataset(sub, data=channel_last(tensor.detach().numpy(), kind))
                weights.append(sub)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
        file.attrs["layer_names"] = [name.encode() for name in names]


def channel_last(array, kind):
    """The inverse of the reading: layer norms are (channels, *spatial), kernels (out, in, *kernel)."""
    if kind in ("gamma", "beta"):
        return np.moveaxis(array, 0, -1)
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array


def test_every_tensor_comes_back_and_the_model_is_ready(original, written):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_ldseg(written)
    assert not model.training and model.missing == ()
    assert model.switches == {name: switch.official for name, switch in SWITCHES.items()}
    theirs = original.state_dict()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, theirs[key]), key


def test_every_tensor_of_the_volumes_model_comes_back(original_3d, tmp_path):
    write_all(tmp_path, 3, original_3d)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "denoiser3D.hdf5",
        "imageEncoder3D.hdf5",
        "labelDecoder3D.hdf5",
        "labelEncoder3D.hdf5",
    ]
    model = load_ldseg(tmp_path, spatial_dims=3)
    assert not model.training and model.missing == () and model.latent_size == (8, 8, 16)
    theirs = original_3d.state_dict()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, theirs[key]), key


@pytest.mark.parametrize(("component", "count", "digest"), LISTED_BY_KERAS)
def test_volumes_files_list_the_tensors_that_keras_lists(original_3d, component, count, digest):
    slots = [slot for layer in _keras_order(getattr(original_3d, component)) for slot in _slots(layer)]
    assert len(slots) == count
    listing = "\n".join(f"{kind}:0 {channel_last(tensor.detach().numpy(), kind).shape}" for kind, tensor in slots)
    assert hashlib.sha256(listing.encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("model", ["original", "original_3d"])
def test_order_of_the_file_covers_every_weight_once(request, model, component):
    module = getattr(request.getfixturevalue(model), component)
    slots = [id(tensor) for layer in _keras_order(module) for _, tensor in _slots(layer)]
    state = module.state_dict(keep_vars=True)
    expected = [id(tensor) for key, tensor in state.items() if not key.endswith("num_batches_tracked")]
    assert len(slots) == len(set(slots)) and set(slots) == set(expected)


def test_missing_file_is_named(folder):
    (folder / "denoiser.hdf5").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no denoiser\.hdf5.*partial=True"):
        load_ldseg(folder)


def test_partial_loads_the_rest_and_says_what_is_random(original, folder):
    (folder / "denoiser.hdf5").unlink()
    with pytest.warns(RuntimeWarning, match=r"denoiser keep random weights"):
        model = load_ldseg(folder, partial=True)
    assert model.missing == ("denoiser",) and not model.training
    assert torch.equal(model.image_encoder.stem.weight, original.image_encoder.stem.weight)
    assert not torch.equal(model.denoiser.stem.weight, original.denoiser.stem.weight)


def test_partial_with_nothing_at_all_is_still_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"labelEncoder\.hdf5, labelDecoder\.hdf5"):
        load_ldseg(tmp_path, partial=True)


def test_file_of_another_component_is_refused(folder):
    shutil.copy(folder / "labelEncoder.hdf5", folder / "labelDecoder.hdf5")
    with pytest.raises(ReleasedWeightsError, match=r"labelDecoder\.hdf5 holds 94 tensors.*expected the 86"):
        load_ldseg(folder, partial=True)


def test_other_shape_is_refused_with_both_shapes(folder):
    torch.manual_seed(0)
    write(folder / "imageEncoder.hdf5", LDSeg(2, 1, 2, (512, 512)).image_encoder)
    words = r"imageEncoder\.hdf5: found .*\(3, 3, 1, 16\).*stem\.weight.*\(16, 3, 3, 3\)"
    with pytest.raises(ReleasedWeightsError, match=words):
        load_ldseg(folder)


def test_nothing_is_copied_from_a_file_that_fits_only_partly(folder):
    model = LDSeg(2, 3, 3, (512, 512))
    before = {key: tensor.clone() for key, tensor in model.label_decoder.state_dict().items()}
    with pytest.raises(ReleasedWeightsError, match="head"):
        _fill(model.label_decoder, "label_decoder", folder / "labelDecoder.hdf5", RELEASES[2])
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.label_decoder.state_dict().items())


def test_other_kind_of_file_is_refused(folder):
    (folder / "denoiser.hdf5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ReleasedWeightsError, match=r"denoiser\.hdf5 cannot be read as hdf5"):
        load_ldseg(folder)
    with h5py.File(folder / "denoiser.hdf5", "w") as file:
        file["volume"] = np.zeros(3)
    with pytest.raises(ReleasedWeightsError, match=r"denoiser\.hdf5 is hdf5 without.*volume"):
        load_ldseg(folder)


def test_files_of_the_other_rank_are_not_taken(folder):
    with pytest.raises(FileNotFoundError, match=r"has no labelEncoder3D\.hdf5.*denoiser3D\.hdf5"):
        load_ldseg(folder, spatial_dims=3)
    for name, file in RELEASES[3].files.items():
        (folder / RELEASES[2].files[name]).rename(folder / file)
    with pytest.raises(ReleasedWeightsError, match=r"labelEncoder3D\.hdf5 holds 94 tensors.*expected the 102.*in 3D"):
        load_ldseg(folder, spatial_dims=3)


def test_other_ranks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="spatial_dims is 4"):
        load_ldseg(tmp_path, spatial_dims=4)


@pytest.mark.parametrize("component", [pytest.param(name, marks=shared) for name in COMPONENTS])
def test_published_files_fit(component):
    model = load_ldseg(RELEASED)
    state = getattr(model, component).state_dict()
    assert all(tensor.isfinite().all() for tensor in state.values())
    # The denoiser beside the three released files was reseeded, so none of its kernels is at its zero start.
    assert all(tensor.abs().max() > 0 for key, tensor in state.items() if tensor.ndim > 1)
