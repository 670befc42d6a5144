"""What many segmentations of one image say together: their mean, their spread, and what the spread is worth.

Class probabilities are arrays (K, *S), background first; labels are integers (*S) in 0..K-1.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

BINS = 15
"""Equal bins of the confidence in [0, 1], as in Guo et al., On Calibration of Modern Neural Networks, ICML 2017."""
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
"""Shares of an image's pixels, the most certain ones, among which errors are counted."""
BAND = 0.02
"""Half the width of the band along the label's boundaries, as a share of the image's diagonal: the distance of boundary
IoU (Cheng et al., Boundary IoU, CVPR 2021, section 4)."""
ROUNDING = 1e-6
"""A spread below this comes from single precision, not from sampling."""
CHUNK = 1 << 20
"""Pixels of which overlaps are counted at once: float32 counts up to 2**24 exactly."""


class Runs:
    """Collects the runs on one image one by one; what it gives does not depend on how they were batched."""

    def __init__(self) -> None:
        self.labels: list[np.ndarray] = []

    def add(self, probability: np.ndarray) -> None:
        """One more run (K, *S). Raises ValueError where a probability is not finite."""
        if not np.isfinite(probability).all():
            raise ValueError(f"run {len(self.labels)} gave probabilities that are not finite.")
        probability = probability.astype(np.float64)
        if not self.labels:
            self._first, self._sum = probability, np.zeros_like(probability)
            self._squares = np.zeros_like(probability)
        # Deviations from the first run: equal runs then have a spread of exactly 0.
        deviation = probability - self._first
        self._sum += deviation
        self._squares += deviation**2
        self.labels.append(probability.argmax(0).astype(np.uint8))

    @property
    def mean(self) -> np.ndarray:
        """(K, *S)."""
        return self._first + self._sum / len(self.labels)

    @property
    def sd(self) -> np.ndarray:
        """(*S), from 0: half the sum over the classes, background included, of the SD over the runs (divisor: their
        number) of the class's probability. With two classes this is the SD of the foreground probability."""
        count = len(self.labels)
        variance = self._squares / count - (self._sum / count) ** 2
        sd = np.sqrt(np.clip(variance, 0, None)).sum(axis=0) / 2
        return np.where(sd < ROUNDING, 0.0, sd)


def auroc(score: np.ndarray, error: np.ndarray) -> float:
    """Area under the ROC curve of a score as a predictor of errors (boolean), pixel by pixel: 0.5 is chance, and what
    a constant score has. NaN, undefined, where no pixel or every pixel is wrong."""
    if error.all() or not error.any():
        return float("nan")
    from sklearn.metrics import roc_auc_score  # takes a second, and this suite alone needs it

    return float(roc_auc_score(error.ravel(), score.ravel()))


def foreground(mean: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(*S) boolean: where the label or the segmentation by the mean has a foreground class."""
    return (label > 0) | (mean.argmax(0) > 0)


def boundary(label: np.ndarray) -> np.ndarray:
    """(*S) boolean: pixels with another class of the label no farther than BAND of the diagonal, at least one pixel,
    along every axis; none where the label has one class."""
    reach = max(1, round(BAND * float(np.linalg.norm(label.shape))))
    size = 2 * reach + 1
    return maximum_filter(label, size, mode="nearest") != minimum_filter(label, size, mode="nearest")


def brier(mean: np.ndarray, label: np.ndarray) -> float:
    """Mean over the pixels of sum_k (p_k - [label = k])^2, from 0 to 2 (Brier, Monthly Weather Review 78:1-3, 1950)."""
    # sum_k (p_k - y_k)^2 = sum_k p_k^2 - 2 p_label + 1.
    own = np.take_along_axis(mean, label[None].astype(int), axis=0)[0]
    return float(((mean**2).sum(0) - 2 * own + 1).mean())


def calibration(
    mean: np.ndarray, label: np.ndarray, region: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(count, sum of confidence, number correct), each (BINS,), over the pixels (of a boolean region (*S), or all) by
    confidence: the largest mean probability of a class. The expected calibration error follows from their sums over
    all images."""
    confidence, correct = mean.max(0), mean.argmax(0) == label
    confidence, correct = (part.ravel() if region is None else part[region] for part in (confidence, correct))
    place = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    return tuple(np.bincount(place, weights, BINS) for weights in (None, confidence, correct.astype(float)))


def risks(score: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Share of wrong pixels among the share c of pixels with the lowest score, for every c of COVERAGES. Of pixels
    with equal scores any may come first: their expected number of errors is taken."""
    score, error = score.ravel(), error.ravel()
    values, place = np.unique(score, return_inverse=True)
    pixels = np.cumsum(np.bincount(place, minlength=len(values)))
    errors = np.cumsum(np.bincount(place, error, len(values)))
    kept = np.array(COVERAGES) * len(score)
    return np.interp(kept, [0, *pixels], [0, *errors]) / kept


def distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray], classes: int) -> np.ndarray:
    """1 - IoU of every label map of `first` with every one of `second` (each (*S)), counts summed over the `classes`
    foreground classes: (len(first), len(second)). Two maps without foreground are alike: 0."""
    first, second = (np.reshape(np.stack(maps), (len(maps), -1)) for maps in (first, second))
    common, volume = np.zeros((len(first), len(second))), np.zeros((len(first), len(second)))
    for start in range(0, first.shape[1], CHUNK):
        a, b = first[:, start : start + CHUNK], second[:, start : start + CHUNK]
        for value in range(1, classes + 1):
            p, y = (a == value).astype(np.float32), (b == value).astype(np.float32)
            common += p @ y.T
            volume += p.sum(1, dtype=np.float64)[:, None] + y.sum(1, dtype=np.float64)[None]
    union = volume - common
    return np.where(union > 0, 1 - common / np.where(union > 0, union, 1), 0.0)


def energy_distance(runs: Sequence[np.ndarray], raters: Sequence[np.ndarray], classes: int) -> float:
    """Generalised energy distance, squared: 2 E d(S, Y) - E d(S, S') - E d(Y, Y') with d = 1 - IoU, for runs S and
    raters' labels Y (Kohl et al., A Probabilistic U-Net, NeurIPS 2018, section 4).

    E d(S, S') and E d(Y, Y') are over pairs of different maps, which makes the value unbiased whatever the number of
    runs: a map paired with itself has distance 0 and stands for no draw. So the value can be slightly negative. Of one
    rater nothing is known of E d(Y, Y'): it is taken as 0, as if raters agreed. NaN for a single run, which tells
    nothing of E d(S, S').
    """
    if len(runs) < 2:
        return float("nan")
    return float(2 * distances(runs, raters, classes).mean() - _apart(runs, classes) - _apart(raters, classes))


def _apart(maps: Sequence[np.ndarray], classes: int) -> float:
    """Mean distance of pairs of different maps; 0 for a single one."""
    count = len(maps)
    # The diagonal of the table, a map with itself, is 0: only the number of pairs leaves it out.
    return float(distances(maps, maps, classes).sum() / (count * (count - 1))) if count > 1 else 0.0
