"""Corruptions of test images: the same for every method, whatever the batch or the order.

After Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261. What is drawn at random (a direction, a field, a grain)
depends on the case, the kind and the seed: a higher severity is the same corruption, stronger.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from scipy import fft
from scipy.ndimage import gaussian_filter

from benchmarks.plan.corruptions import Corruption
from benchmarks.seeding import seed_for
from datasets.augment import GRAIN, gamma_corrected, restained

Effect = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""From an image float32 (C, *spatial) in [0, 1], an amount in the unit of corruptions.yaml and a source of random
numbers to an image of the same shape, which may leave [0, 1]."""


def corrupt(image: np.ndarray, corruption: Corruption, case: str, seed: int) -> np.ndarray:
    """The image (C, *spatial) float32 in [0, 1], corrupted, in [0, 1]; the one given is left alone.

    The result depends on the image, the corruption, the id of the case and `seed` alone. Raises KeyError for a kind
    that is none.
    """
    random = np.random.default_rng(seed_for("corruption", case, corruption.kind, int(seed)))
    found = EFFECTS[corruption.kind](np.array(image, np.float32), corruption.amount, random)
    return np.clip(found, 0, 1).astype(np.float32)


def blur(image: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Convolved with a Gaussian whose standard deviation is a share of the longest side."""
    sigma = share * max(image.shape[1:])
    return gaussian_filter(image, (0, *[sigma] * (image.ndim - 1)), mode="nearest")


def motion(image: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """The mean of the image along a straight path, whose length is a share of the longest side and whose direction is
    drawn evenly from the circle or sphere."""
    shape = image.shape[1:]
    direction = random.standard_normal(len(shape))
    path = share * max(shape) * direction / np.linalg.norm(direction)
    # A mirrored margin as wide as the path, so that nothing enters from the opposite side.
    margin = [(0, 0), *[(int(np.ceil(length)),) * 2 for length in abs(path)]]
    wide = np.pad(image, margin, mode="symmetric")
    # The mean over x + t p, t from -1/2 to 1/2, is a product with sinc(f . p) in the spectrum, f in cycles a pixel.
    axes = tuple(range(1, wide.ndim))
    frequencies = [fft.fftfreq(side) for side in wide.shape[1:-1]] + [fft.rfftfreq(wide.shape[-1])]
    along = sum(f * length for f, length in zip(np.ix_(*frequencies), path, strict=True))
    blurred = fft.irfftn(fft.rfftn(wide, axes=axes) * np.sinc(along), wide.shape[1:], axes)
    return blurred[(slice(None), *(slice(start, start + side) for (start, _), side in zip(margin[1:], shape)))]


def low_resolution(image: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Averaged to pixels `factor` times as large, and interpolated linearly to the grid it had."""
    # MONAI takes seconds to import.
    from monai.transforms import RandSimulateLowResolution

    linear = "bilinear" if image.ndim == 3 else "trilinear"
    coarser = RandSimulateLowResolution(1, "area", linear, zoom_range=(1 / factor, 1 / factor))
    return np.asarray(coarser(torch.from_numpy(image)))


def contrast(image: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Differences from the mean of all channels together shrink to a share of what they were, kept in 8 bits: without
    loss a network that normalises its input would see no change at all."""
    mean = image.mean()
    return np.round(255 * (mean + np.float32(share) * (image - mean))) / 255


def gamma(image: np.ndarray, exponent: float, random: np.random.Generator) -> np.ndarray:
    """Intensities to the power of `exponent`, or of one over it, within their range."""
    return gamma_corrected(image, exponent if random.random() < 0.5 else 1 / exponent)


def bias_field(image: np.ndarray, ratio: float, random: np.random.Generator) -> np.ndarray:
    """Multiplied by a smooth field from 1/ratio to 1, the exponential of a cubic polynomial (Van Leemput et al. 1999,
    IEEE TMI 18): nothing becomes brighter, so that nothing is lost at white."""
    from monai.transforms import RandBiasField

    field = RandBiasField(degree=3, coeff_range=(-1, 1), prob=1)
    field.set_random_state(int(random.integers(2**31)))
    log = np.log(np.asarray(field(np.ones((1, *image.shape[1:]), np.float32))))
    share = (log - log.max()) / max(np.ptp(log), np.finfo(np.float32).tiny)
    return image * np.exp(share * np.log(ratio))


def stain(image: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """An H&E picture with one stain `factor` times as dense and the other as much less, drawn which."""
    haematoxylin = factor if random.random() < 0.5 else 1 / factor
    return restained(image, (haematoxylin, 1 / haematoxylin, 1))


def speckle(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Multiplied by 1 + strength * n, n being a grain two pixels wide of standard deviation 1, one for all channels."""
    grain = gaussian_filter(random.standard_normal((1, *image.shape[1:])), (0, *[GRAIN] * (image.ndim - 1)))
    return image * (1 + strength * grain / max(grain.std(), np.finfo(np.float32).tiny))


def jpeg(image: np.ndarray, quality: float, random: np.random.Generator) -> np.ndarray:
    """Written as JPEG of a quality from 1 to 95 and read again, (C, H, W): in colour where there are three channels,
    else each channel on its own."""
    pixels = (image * 255).round().astype(np.uint8)
    if len(pixels) == 3:
        return np.moveaxis(_compressed(np.moveaxis(pixels, 0, -1), int(quality)), -1, 0)
    return np.stack([_compressed(channel, int(quality)) for channel in pixels])


def _compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 -> float32 in [0, 1]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) / 255


EFFECTS: dict[str, Effect] = {
    effect.__name__: effect
    for effect in (blur, motion, low_resolution, contrast, gamma, bias_field, stain, speckle, jpeg)
}
"""What each kind of corruption does."""
