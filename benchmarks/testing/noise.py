"""Gaussian noise on test images: one realisation for every method, whatever the batch or the order."""

import numpy as np

from benchmarks.plan.configuration import RESCALINGS
from benchmarks.seeding import seed_for


def add_noise(
    image: np.ndarray,
    sigma: float,
    case: str,
    seed: int,
    rescale: str = "image",
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """The image (C, *spatial) float32 in [0, 1] with noise of standard deviation `sigma` added; 0 changes nothing.

    Equation 19 of the LDSeg paper calls sigma a variance; its authors' code uses it as a standard deviation, as here.
    The realisation depends on the id of the case, on sigma and on `seed` alone.

    rescale: "image" scales the noisy image back to [0, 1] by its own extremes over all channels (a constant one
    becomes 0); "array" by `limits`, the extremes of all noisy test images, as the authors' code does: a plain image's
    contrast then depends on the other images; "none" leaves values outside [0, 1].
    Raises ValueError for a negative or not finite sigma, an unknown rescaling, or "array" without limits.
    """
    if not 0 <= sigma < np.inf:
        raise ValueError(
            f"suite.sigmas: {sigma} is not a standard deviation, expected a finite number from 0, e.g. 0.1."
        )
    if rescale not in RESCALINGS:
        raise ValueError(f"noise.rescale is {rescale!r}, expected one of {', '.join(RESCALINGS)}.")
    if rescale == "array" and limits is None:
        raise ValueError("noise.rescale=array needs limits, the (minimum, maximum) over all noisy test images.")
    if sigma == 0:
        return image.astype(np.float32, copy=False)
    random = np.random.default_rng(seed_for("noise", case, float(sigma), int(seed)))
    noisy = image + np.float32(sigma) * random.standard_normal(image.shape, dtype=np.float32)
    if rescale == "none":
        return noisy
    low, high = (noisy.min(), noisy.max()) if rescale == "image" else np.float32(limits)
    return (noisy - low) / max(high - low, np.finfo(np.float32).tiny)
