"""How good synthetic images are: distances of sets of images, and of an image to the real one of its map.

All images are on the scale [-1, 1] of `methods.synthesis.base.scaled`. What needs features is named by where these come
from: `fid@random-seed0` and `fid@own-encoder-HASH` are different measures, and neither is comparable with the
`fid@inception` of publications.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LOWER, HIGHER = False, True
PAIRED = {"ssim": HIGHER, "psnr": HIGHER, "rmse": LOWER}
"""Scores of an image against the real one of its map, and whether more is better."""
WINDOW = 11
"""Side of the window of SSIM (Wang et al. 2004); less in smaller images."""
FEW = 2
"""Sets of at most so many times as many images as features have no covariance worth the name."""


@dataclass(frozen=True)
class SetScore:
    """A distance between synthetic and held-out real images, and the same between other real images and those.

    metric: its name with the extractor's; value; reference: of as many real training images, drawn at random; images:
    in either set (planes, of volumes taken plane by plane); features: of an image; components: those that remain after
    projection on the principal components of the real images, None where nothing was projected, which flags the score.
    """

    metric: str
    value: float | None
    reference: float | None
    images: int
    features: int
    components: int | None


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two sets of features (n, F), each taken as Gaussian (Heusel et al. 2017, eq. 6):
    |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½), covariances with n - 1.

    The trace of the root is taken from the eigenvalues of S1^½ S2 S1^½, which is symmetric, so singular covariances do
    no harm; with those of few images MONAI's FIDMetric raises an error. Raises ValueError for fewer than two images.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"sets of {len(first)} and {len(second)} images, expected two or more each.")
    one, two = (np.atleast_2d(np.cov(part.astype(np.float64), rowvar=False)) for part in (first, second))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(min=0)).sum()
    apart = first.mean(0, dtype=np.float64) - second.mean(0, dtype=np.float64)
    return float(max(0.0, apart @ apart + np.trace(one) + np.trace(two) - 2 * shared))


def mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two equally large sets of features (n, F), with a linear kernel, unbiased
    (Gretton et al. 2012, eq. 3): around 0, also below it, for sets of one distribution. Raises ValueError for sets of
    other sizes."""
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"sets of {len(first)} and {len(second)} images, expected two or more, as many in either.")
    from monai.metrics import MMDMetric  # takes seconds

    return float(MMDMetric()(*(torch.from_numpy(part.astype(np.float64)) for part in (first, second))))


def projected(real: np.ndarray, others: list[np.ndarray]) -> tuple[list[np.ndarray], int | None]:
    """The sets (n, F), the real one first, on n / 4 principal components of the real one where there are no more than
    twice as many images as features, and how many that are; as they are, and None, where there are more."""
    count = min(map(len, [real, *others]))
    if count > FEW * real.shape[1]:
        return [real, *others], None
    from sklearn.decomposition import PCA

    components = max(1, min(count // 4, real.shape[1]))
    basis = PCA(components, svd_solver="full").fit(real)
    return [basis.transform(part) for part in (real, *others)], components


def set_scores(name: str, real: np.ndarray, made: np.ndarray, other: np.ndarray) -> list[SetScore]:
    """Fréchet distance and MMD of features (n, F): of `made` and of other real images to the held-out `real` ones.

    name: of the extractor, after "fid@" or "3dfid@" as the caller has it. None below 4 images, of which n / 4
    components cannot be taken.
    """
    count, width = min(len(real), len(made), len(other)), real.shape[1]
    frechet_name, _, extractor = name.partition("@")
    kernel_name = f"{frechet_name.replace('fid', 'mmd')}@{extractor}"
    if count < 4:
        return [SetScore(metric, None, None, count, width, None) for metric in (name, kernel_name)]
    (base, one, two), components = projected(real, [made, other])
    discrepancies = [mmd(part[:count], real[:count]) for part in (made, other)]
    return [
        SetScore(name, frechet(one, base), frechet(two, base), count, width, components),
        # A mean needs no covariance: nothing is projected.
        SetScore(kernel_name, *discrepancies, count, width, None),
    ]


def paired(made: Tensor, real: Tensor) -> dict[str, np.ndarray]:
    """`PAIRED` scores (B,) of images (B, C, *S) in [-1, 1] against those they are to resemble: SSIM for a range of 2,
    PSNR in dB for a peak of 2, and the root of the mean square."""
    from monai.metrics import PSNRMetric, RMSEMetric, SSIMMetric

    dims = made.ndim - 2
    side = min(WINDOW, *made.shape[2:])
    ssim = SSIMMetric(spatial_dims=dims, data_range=2.0, win_size=side - 1 + side % 2)
    found = {"ssim": ssim, "psnr": PSNRMetric(max_val=2.0), "rmse": RMSEMetric()}
    return {name: metric(y_pred=made, y=real).double().reshape(len(made)).numpy() for name, metric in found.items()}


def nearest(images: Tensor, training: Tensor) -> np.ndarray:
    """Root mean square distance (B,) of images (B, C, *S) to the nearest of the training images (N, C, *S)."""
    # By the product of matrices, which is faster, equal images have a distance.
    far = torch.cdist(images.flatten(1), training.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return (far.min(1).values / np.sqrt(images[0].numel())).double().numpy()
