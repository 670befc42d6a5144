"""What a curve of scores over noise comes to: the area under it, and where it has lost so much."""

import numpy as np
from numpy.typing import ArrayLike


def area_under_curve(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Trapezoidal area divided by the range of x, that is the mean height. x: (n,) ascending; y: (..., n) -> (...).

    NaN for a single point, which has no range.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(x) < 2:
        return np.full(y.shape[:-1], np.nan)
    # Sum over the stretches between neighbours of (y_i + y_i+1) / 2 * (x_i+1 - x_i), divided by x_n - x_1.
    return np.sum((y[..., 1:] + y[..., :-1]) / 2 * np.diff(x), axis=-1) / (x[-1] - x[0])


def relative_area(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Area under the curve divided by its value at the first x: 1 means that nothing was lost. NaN where that is 0."""
    y = np.asarray(y, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(y[..., 0] > 0, area_under_curve(x, y) / y[..., 0], np.nan)


def x_at_loss(x: ArrayLike, y: ArrayLike, loss: float = 0.05) -> np.ndarray:
    """First x, linearly interpolated, at which y is `loss` below its value at x[0]; infinity if it never is.

    x: (n,) ascending; y: (..., n) -> (...).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    target = y[..., :1] - loss
    # The tolerance keeps a fall of exactly `loss` from being missed by rounding.
    below = y <= target + 1e-12
    after = np.argmax(below, axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    y_before, y_after = np.take_along_axis(y, before, axis=-1), np.take_along_axis(y, after, axis=-1)
    # The crossing between x_k-1 and x_k: x_k-1 + (y_k-1 - target) / (y_k-1 - y_k) * (x_k - x_k-1).
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = np.clip((y_before - target) / (y_before - y_after), 0, 1)
        crossing = x[before] + fraction * (x[after] - x[before])
    return np.where(below.any(axis=-1), crossing[..., 0], np.where(np.isnan(y).any(axis=-1), np.nan, np.inf))
