"""Weights released by the LDSeg authors (Keras hdf5 files), read into our networks."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from methods.blocks.attention import Attention
from methods.blocks.convolution import StridedConv
from methods.blocks.denoiser import Denoiser
from methods.blocks.latent import ImageEncoder, LabelDecoder, LabelEncoder
from methods.blocks.residual import ImageBlock, LabelBlock, TimeBlock
from methods.ldseg import COMPONENTS, LDSeg


class Release(NamedTuple):
    """What the authors released for one rank: a file for each component, and the data the networks are built for."""

    files: dict[str, str]
    image_size: tuple[int, ...]
    in_channels: int
    classes: int


def _files(suffix: str) -> dict[str, str]:
    """Component -> the name of its file in the release."""
    stems = ("labelEncoder", "labelDecoder", "imageEncoder", "denoiser")
    return {name: f"{stem}{suffix}.hdf5" for name, stem in zip(COMPONENTS, stems, strict=True)}


RELEASES = {2: Release(_files(""), (512, 512), 3, 2), 3: Release(_files("3D"), (128, 128, 256), 1, 3)}


class ReleasedWeightsError(ValueError):
    """A weight file that is not what its name promises; the message names file, finding and expectation."""


def load_ldseg(folder: str | Path, spatial_dims: int = 2, partial: bool = False) -> LDSeg:
    """The authors' model, switches as in their code, in evaluation mode.

    spatial_dims: 2 for 512x512 RGB images and 2 classes, 3 for 128x128x256 volumes of 1 channel and 3 classes (axes as
    SimpleITK's arrays have them: slice, row, column).
    folder: holds labelEncoder.hdf5, labelDecoder.hdf5, imageEncoder.hdf5 and denoiser.hdf5 (3D: labelEncoder3D.hdf5 and
    so on), as Keras' `save_weights` writes them. partial: go on when some of the four are absent; those components keep
    their random start, a RuntimeWarning names them and the returned model's attribute `missing` (tuple of component
    names, else empty) lists them.

    The order of layers in a file is Keras' own, by depth in the graph. In 2D it was checked against the released files;
    in 3D against files that Keras 2.15 wrote for the authors' networks with random weights, not against released ones.
    Raises FileNotFoundError when a file (with `partial`: every file) is absent, ReleasedWeightsError for a file that
    holds something else, ValueError for spatial_dims other than 2 and 3.
    """
    if spatial_dims not in RELEASES:
        raise ValueError(f"spatial_dims is {spatial_dims}, but weights were released for 2 and 3 dimensions only.")
    release = RELEASES[spatial_dims]
    files, folder = release.files, Path(folder)
    missing = tuple(name for name, file in files.items() if not (folder / file).is_file())
    if missing and (not partial or len(missing) == len(files)):
        raise FileNotFoundError(
            f"{folder} has no {', '.join(files[name] for name in missing)}; expected {', '.join(files.values())}. "
            "Copy the released files there"
            + ("." if partial else ", or pass partial=True to load those that are there.")
        )
    model = LDSeg(
        spatial_dims, release.in_channels, release.classes, release.image_size, size="paper", preset="official"
    )
    model.missing = missing
    for name, file in files.items():
        if name not in missing:
            _fill(getattr(model, name), name, folder / file, release)
    if missing:
        warnings.warn(
            f"{folder} has no {', '.join(files[name] for name in missing)}: {', '.join(missing)} keep random weights, "
            "so segmentations that use them mean nothing.",
            RuntimeWarning,
            stacklevel=2,
        )
    return model.eval()


def _fill(component: nn.Module, name: str, path: Path, release: Release) -> None:
    """Copy the tensors of a file, in file order, into a component; nothing is copied unless all of them fit."""
    names = {id(tensor): key for key, tensor in component.state_dict(keep_vars=True).items()}
    slots = [(kind, tensor) for layer in _keras_order(component) for kind, tensor in _slots(layer)]
    stored = _read(path)
    if len(stored) != len(slots):
        raise ReleasedWeightsError(
            f"{path} holds {len(stored)} tensors in {len({key.split('/')[0] for key, _ in stored})} layers, expected "
            f"the {len(slots)} of LDSeg's {name} in {len(release.image_size)}D: is it the right file?"
        )
    values = []
    for (key, array), (kind, tensor) in zip(stored, slots, strict=True):
        value = _channel_first(array, kind)
        if not key.endswith(f"/{kind}") or value.shape != tensor.shape:
            raise ReleasedWeightsError(
                f"{path}: found {key} of shape {array.shape} where LDSeg's {name} for "
                f"{'x'.join(map(str, release.image_size))}x{release.in_channels} images and {release.classes} classes "
                f"has a {kind} for {names[id(tensor)]} of shape {tuple(tensor.shape)} (channel first): is it the right "
                "file?"
            )
        values.append(value)
    with torch.no_grad():
        for value, (_, tensor) in zip(values, slots, strict=True):
            tensor.copy_(value)


def _read(path: Path) -> list[tuple[str, np.ndarray]]:
    """(Keras name without ":0", array) of every tensor, in the order of the Keras model's layers."""
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise ReleasedWeightsError(
                    f"{path} is hdf5 without the attribute 'layer_names'; found {sorted(file)[:5] or 'nothing'}, "
                    "expected a file written by Keras' save_weights."
                )
            tensors = []
            for layer in map(_text, file.attrs["layer_names"]):
                for weight in map(_text, file[layer].attrs["weight_names"]):
                    tensors.append((weight.removesuffix(":0"), file[layer][weight][()]))
            return tensors
    except (OSError, KeyError) as error:
        raise ReleasedWeightsError(
            f"{path} cannot be read as hdf5 weights written by Keras ({error}): download it again."
        ) from error


def _text(name: str | bytes) -> str:
    """An attribute of the file as text: h5py gives strings of fixed length as bytes."""
    return name.decode() if isinstance(name, bytes) else name


def _channel_first(array: np.ndarray, kind: str) -> Tensor:
    """A tensor of that Keras name, in Keras' layout, in PyTorch's.

    Kernels of convolutions are stored (*kernel, in / groups, out), of transposed ones (*kernel, out, in), of dense
    layers (in, out): the last two axes swapped and put first serve all of them. The scale and shift of a layer norm are
    (*spatial, channels).
    """
    array = np.asarray(array, np.float32)
    if kind in ("gamma", "beta"):
        array = np.moveaxis(array, -1, 0)
    elif array.ndim > 1:
        array = array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    return torch.from_numpy(np.ascontiguousarray(array))


def _slots(layer: nn.Module) -> list[tuple[str, Tensor]]:
    """(Keras name of the tensor, our tensor) of one layer, in Keras' order; none of one without weights."""
    if isinstance(layer, StridedConv):
        layer = layer.conv
    if next(layer.parameters(), None) is None:
        return []
    if isinstance(layer, Attention):
        parts = (layer.norm, layer.query, layer.key, layer.value, layer.proj)
        return [slot for part in parts for slot in _slots(part)]
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        affine = [("gamma", layer.weight), ("beta", layer.bias)]
        return [*affine, ("moving_mean", layer.running_mean), ("moving_variance", layer.running_var)]
    if isinstance(layer, nn.GroupNorm | nn.LayerNorm):
        return [("gamma", layer.weight), ("beta", layer.bias)]
    return [("kernel", layer.weight), ("bias", layer.bias)]


def _keras_order(component: nn.Module) -> Iterator[nn.Module]:
    """Layers in the order of the Keras file, which is by depth in the graph: parallel branches mix."""
    match component:
        case LabelEncoder():
            for level, block in enumerate(component.blocks):
                if level:
                    yield component.shrink[level - 1]
                yield from _block_order(block)
            yield from (component.head, component.norm)
        case LabelDecoder():
            for up, block in zip(component.ups, component.blocks, strict=True):
                yield from (up.conv, *_block_order(block))
            yield from (component.head, component.norm)
        case ImageEncoder():
            yield component.stem
            for block, attention in zip(component.blocks, component.attentions, strict=True):
                yield from _block_order(block)
                yield attention
            yield from (component.head, component.head_attention, component.norm)
        case Denoiser():
            yield from _denoiser_order(component)


def _denoiser_order(denoiser: Denoiser) -> Iterator[nn.Module]:
    """The layers of the denoiser: time and stem, then the levels down, the middle and the levels up."""
    yield from (denoiser.time.first, denoiser.stem, denoiser.time.second)
    for level, blocks in enumerate(denoiser.down):
        if level:
            yield denoiser.shrink[level - 1]
        for block in blocks:
            yield from _block_order(block)
    for block in denoiser.middle:
        yield from _block_order(block)
    for level, blocks in enumerate(denoiser.up):
        for block in blocks:
            yield from _block_order(block)
        if level < len(denoiser.grow):
            yield denoiser.grow[level]
    yield from (denoiser.norm, denoiser.head)


def _block_order(block: nn.Module) -> Iterator[nn.Module]:
    """The layers of one residual block, main path and shortcut side by side; of the denoiser, with its attention."""
    match block:
        case LabelBlock():
            yield from (block.conv1, block.norm1, block.conv2, block.shortcut, block.norm2, block.shortcut_norm)
        case ImageBlock():
            yield from (block.conv1, block.conv2, block.shortcut, block.down, block.norm)
        case TimeBlock():
            yield from (block.norm1, block.time, block.conv1, block.norm2, block.conv2, block.shortcut)
        case nn.ModuleDict():
            yield from _block_order(block["residual"])
            if "attention" in block:
                yield block["attention"]
