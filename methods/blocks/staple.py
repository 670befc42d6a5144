"""STAPLE: the segmentation behind several ones, each weighed by how reliable it proves (Warfield et al. 2004)."""

from typing import NamedTuple

import torch
from torch import Tensor

START = 0.99999
"""Sensitivity and specificity every rater is credited with before the first iteration."""
MARGIN = 1e-7
TOLERANCE = 1e-7


class Staple(NamedTuple):
    """probability (N,) that a voxel is foreground; sensitivity and specificity (R,) of the raters; all float64."""

    probability: Tensor
    sensitivity: Tensor
    specificity: Tensor


def staple(votes: Tensor, iterations: int = 100) -> Staple:
    """Expectation maximisation for R raters' decisions on N voxels, `votes` (R, N) bool.

    Warfield, Zou, Wells, "Simultaneous truth and performance level estimation (STAPLE)", IEEE TMI 23, 2004, for binary
    segmentations without a spatial prior. The prior probability of foreground is its share in all votes. Ends when no
    rater's numbers change by more than 1e-7, at the latest after `iterations`. Raters who agree on every voxel cannot
    be judged: their votes are the answer and they count as reliable.
    """
    # Voxels with the same votes have the same probability: at most 2^R kinds of voxels instead of N.
    kinds, kind_of_voxel, counts = torch.unique(votes.bool().T, dim=0, return_inverse=True, return_counts=True)
    yes, counts = kinds.double(), counts.double()
    no = 1 - yes
    prior = (counts @ yes).mean() / counts.sum()
    sensitivity = specificity = torch.full((len(votes),), START, dtype=torch.float64, device=votes.device)
    if (votes == votes[0]).all():
        return Staple(votes[0].double(), sensitivity, specificity)
    for _ in range(iterations):
        # E step: the probability of foreground given the votes, each rater as reliable as found so far.
        foreground = prior.log() + yes @ sensitivity.log() + no @ (1 - sensitivity).log()
        background = (1 - prior).log() + no @ specificity.log() + yes @ (1 - specificity).log()
        probability = (foreground - background).sigmoid()
        former = sensitivity, specificity
        # M step: each rater's share of right votes in what is probably foreground, and in what is not.
        sensitivity = _share(counts * probability, yes)
        specificity = _share(counts * (1 - probability), no)
        if max((sensitivity - former[0]).abs().max(), (specificity - former[1]).abs().max()) < TOLERANCE:
            break
    return Staple(probability[kind_of_voxel], sensitivity, specificity)


def _share(weight: Tensor, right: Tensor) -> Tensor:
    """Weighted share of right decisions per rater, kept off 0 and 1, whose logarithms would end the iteration."""
    return (weight @ right / weight.sum().clamp(min=1e-300)).clamp(MARGIN, 1 - MARGIN)
