"""What a method diffuses, and how its states are read: the forward process in the method's own space."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from methods.base import Segmenter
from methods.blocks import morphology
from methods.blocks.signed_distance import probabilities, signed_distances
from methods.diffusion import ve
from methods.diffusion.schedule import AlphaBar, cosine_alpha_bar, linear_alpha_bar, q_sample
from methods.ldseg import LDSeg
from methods.lsegdiff import LSegDiff
from methods.medsegdiff import MedSegDiff
from methods.sdf_ddpm import SDFDDPM, VE_SCALE


class Process(NamedTuple):
    """latent:  whether the states are latents; else they are pictures of the segmentation itself.
    encode:    label (B, *spatial) int64 -> noise-free state x_0 (B, M, *), with the scale that is sampled in.
    noised:    (x_0, t, standard normal of its shape) -> x_t of the forward process.
    decode:    x_t of any floating type -> class probabilities (B, classes, *spatial).
    alpha_bar: share of signal variance at t; None for a process that adds noise and keeps the signal as it is.
    """

    latent: bool
    encode: Callable[[Tensor], Tensor]
    noised: Callable[[Tensor, float, Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    alpha_bar: AlphaBar | None


def reason_against(kind: type[Segmenter]) -> str | None:
    """Why a method's diffusion cannot be watched, in words for the report; None where it can."""
    if not kind.generative:
        return "deterministic: it segments in one pass, so there is no diffusion to watch."
    if not issubclass(kind, tuple(_READERS)):
        return f"what {kind.__name__} diffuses is unknown to benchmarks/diffusion_processes.py."
    return None


def process_of(model: Segmenter) -> Process:
    """The diffusion of a trained method. Raises ValueError where `reason_against` its class says why not."""
    reason = reason_against(type(model))
    if reason:
        raise ValueError(reason)
    return next(read(model) for kind, read in _READERS.items() if isinstance(model, kind))


def _variance_preserving(latent: bool, encode, decode, alpha_bar: AlphaBar) -> Process:
    def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
        return q_sample(x0, alpha_bar(torch.tensor(t, dtype=torch.float64)), noise)

    return Process(latent, encode, noised, decode, alpha_bar)


def _ldseg(model: LDSeg) -> Process:
    def encode(label: Tensor) -> Tensor:
        onehot = functional.one_hot(label, model.classes).movedim(-1, 1)
        return model.label_encoder((onehot if model.onehot else label[:, None]).float())

    return _variance_preserving(True, encode, model.decode, cosine_alpha_bar)


def _lsegdiff(model: LSegDiff) -> Process:
    def decode(z: Tensor) -> Tensor:
        found = model.decode(model.unscale(z))
        return morphology.clean(found) if model.postprocess == "morph" else found

    return _variance_preserving(True, lambda label: model.scale(model.encode(label)[0]), decode, cosine_alpha_bar)


def _medsegdiff(model: MedSegDiff) -> Process:
    return _variance_preserving(False, model.encode, lambda x: model.fuse([x]), linear_alpha_bar)


def _sdf_ddpm(model: SDFDDPM) -> Process:
    def encode(label: Tensor) -> Tensor:
        return signed_distances(label, model.classes, model.truncation)

    if model.process == "vp":
        return _variance_preserving(False, encode, lambda x: probabilities(x, model.threshold), linear_alpha_bar)

    def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
        return x0 + ve.sigma(torch.tensor(t, dtype=torch.float64)).to(x0) * noise

    def decode(x: Tensor) -> Tensor:
        return probabilities(VE_SCALE * x, model.threshold)

    return Process(False, lambda label: encode(label) / VE_SCALE, noised, decode, None)


_READERS = {LDSeg: _ldseg, LSegDiff: _lsegdiff, MedSegDiff: _medsegdiff, SDFDDPM: _sdf_ddpm}
