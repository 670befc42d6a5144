"""Generated MR volumes of knees: a stand-in for knee MRI that needs no download."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from datasets.base import Augmentation
from datasets.phantom import Phantom, grid, noise, step

FIELD = (96.0, 128.0, 128.0)
"""Field of view in mm: X from the inner to the outer side, Y from back to front, Z upwards."""
EDGE = 1.6
"""Width in mm over which one tissue passes into the next."""


class PhantomKnee(Phantom):
    """Femur and tibia in a weighting that shows fat and marrow bright, as T1 and proton density do.

    The bones have a dark cortex, textured marrow and worn cartilage between them, so that they touch in places. Cortex,
    menisci, ligaments and tendons are equally dark; marrow and the fat around it equally bright; patella and fibula are
    bones that belong to neither class. Spurs (osteophytes) and lesions of the marrow blur the border of the bone.
    Pose, shape, wear, coil sensitivity and noise differ from case to case.
    """

    name = "phantom_knee"
    title = "Generated knee MRI, 3D, femur and tibia that touch (no files needed)"
    spatial_dims = 3
    channels = 1
    class_names = ("femur", "tibia")

    def __init__(
        self,
        cases: Mapping[str, int] | None = None,
        size: int = 64,
        seed: int = 0,
        fit: str = "resize",
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """cases: knees in each split; size: voxels along each axis of the field of view of 96x128x128 mm."""
        cases = cases or {"train": 40, "val": 6, "test": 14}
        super().__init__(cases, size, seed, 1, limit, augmentation, name, fit)

    def draw(
        self, subject: np.random.Generator, frame: np.random.Generator, time: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
        """Image (1, size, size, size) of one knee, label 1 femur and 2 tibia, spacing. See `Phantom`.

        Where the two bones overlap a voxel goes to the one that it lies deeper inside.
        """
        place = _place(subject, self.size)
        knee = _bones(subject, place)
        label = np.where(knee.femur < np.minimum(knee.tibia, 0), 1, np.where(knee.tibia < 0, 2, 0))
        signal = _soft_tissue(subject, place, knee)
        _paint_bones(subject, signal, knee)
        image = _scan(subject, frame, signal)
        return image[None], label.astype(np.int64), tuple(length / self.size for length in FIELD)


@dataclass(frozen=True)
class _Knee:
    """Signed distances in mm (about; negative inside) of bones and spurs; height above the joint; (S, S, S) each."""

    femur: np.ndarray
    tibia: np.ndarray
    others: np.ndarray
    spurs: np.ndarray
    height: np.ndarray
    shin: np.ndarray  # the place (3, S, S, S) in the tibia's frame


def _place(g: np.random.Generator, size: int) -> np.ndarray:
    """Coordinates (3, S, S, S) of the voxels in mm in a knee's own frame, its joint at 0: pose, size, side, shape."""
    # The steps undo, from the image to the knee, how a knee lies in its field of view.
    place = np.stack(grid(size, 3)) - 0.5
    for axis, (length, spread) in enumerate(zip(FIELD, (3, 4, 6), strict=True)):
        place[axis] = place[axis] * length - g.normal(0, spread)
    for first, second, spread in ((0, 1, 0.15), (0, 2, 0.08), (1, 2, 0.1)):
        _turn(place, first, second, g.normal(0, spread))
    place /= g.uniform(0.86, 1.1)
    if g.random() < 0.5:
        place[0] *= -1
    for axis in range(3):
        place[axis] += 2.2 * noise(g, size, 3, 3)
    return place


def _turn(place: np.ndarray, first: int, second: int, angle: float) -> None:
    """Turn by `angle` (radians) in the plane of two axes, in place."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    place[first], place[second] = (
        cos * place[first] - sin * place[second],
        sin * place[first] + cos * place[second],
    )


def _bones(g: np.random.Generator, place: np.ndarray) -> _Knee:
    """Femur, tibia, patella, fibula and spurs, put together from ellipsoids and tubes."""
    x, y, z = place
    size = x.shape[0]
    # Femur: two condyles and a shaft that widens towards them, less the notch between them and the patella's groove.
    lean = g.uniform(-0.5, 0.5)
    condyles = [
        _ellipsoid(place, (-21, -5 + g.normal(0, 1), 21), (13.5, 28 + g.normal(0, 1.5), 21)),
        _ellipsoid(place, (21, -4 + g.normal(0, 1), 20), (12.5, 27 + g.normal(0, 1.5), 20)),
    ]
    flare = np.exp(-np.square(np.maximum(z - 16, 0) / g.uniform(16, 24)))
    shaft = _tube(x, y - 3 + 3 * flare, 13 + 22 * flare, 12.5 + 12.5 * flare)
    femur = _union(_union(*condyles, 6), -_union(-shaft, z - 15, 5), 6)
    for centre, radii in (((0, -24, 8), (7.5, 22, 15)), ((g.normal(0, 2), 31, 18), (9, 9, 22))):
        femur = -_union(-femur, _ellipsoid(place, centre, radii), 4)  # notch and groove

    # Tibia: bent at the joint, with a plateau that two shallow cups and the spine between them shape.
    shin = place.copy()
    _turn(shin, 1, 2, g.uniform(-0.05, 0.35))
    u, v, w = shin
    # Worn compartments leave less than a voxel between the bones.
    gap = g.uniform(-0.5, 4.5) + lean * u / 20 * 2
    rim = np.minimum(np.square((np.abs(u) - 21) / 15) + np.square((v + 4) / 24), 1.5)
    spine = np.exp(-np.square((np.abs(u) - 5) / 3.5) - np.square((v + 3) / 8))
    top = w + gap - 1.6 * rim - 7 * spine
    flare = np.exp(-np.square(np.minimum(w + 3, 0) / g.uniform(17, 25)))
    tibia = _tube(u, v + 5 * flare, 12.5 + 24.5 * flare, 13 + 11 * flare)
    tibia = -_union(-tibia, -top, 4)
    tibia = _union(tibia, _ellipsoid(shin, (g.normal(3, 2), 17, -33), (8, 8, 13)), 5)

    # Spurs: around the joint, on either bone.
    spurs = np.full(x.shape, 99, np.float32)
    for _ in range(g.integers(2, 9)):
        around, on_femur = g.uniform(0, 2 * np.pi), g.random() < 0.5
        wide, deep, height = (34, 27, g.uniform(4, 16)) if on_femur else (37, 25, -g.uniform(2, 8))
        centre = (wide * np.cos(around), deep * np.sin(around) - 4, height)
        spur = _ellipsoid(place if on_femur else shin, centre, g.uniform(3, 7.5, 3))
        spurs = np.minimum(spurs, spur)
        if on_femur:
            femur = _union(femur, spur, 2.5)
        else:
            tibia = _union(tibia, spur, 2.5)
    rough = 0.55 * noise(g, size, 11, 3)
    patella = _ellipsoid(place, (g.normal(0, 3), 44 + g.normal(0, 2), 24 + g.normal(0, 4)), (20, 8.5, 20))
    fibula = np.maximum(np.hypot(u - 31, v + 18) - 5 - 3.5 * np.exp(-np.square((w + 20) / 9)), w + 13)
    return _Knee(femur + rough, tibia + rough, np.minimum(patella, fibula) + rough, spurs, z, shin)


def _soft_tissue(g: np.random.Generator, place: np.ndarray, knee: _Knee) -> np.ndarray:
    """Signal (S, S, S) of everything but bone."""
    x, y, z = place
    size = x.shape[0]
    fat, muscle, water, dark = g.uniform(0.7, 0.9), g.uniform(0.24, 0.4), g.uniform(0.42, 0.6), g.uniform(0.05, 0.14)
    signal = fat * (1 + 0.06 * noise(g, size, 14, 3)) + 0 * x
    # Muscles run along the leg, behind and above the joint, with fat between them.
    u, v, w = knee.shin
    bundles = np.abs(noise(g, size, 5, 3)) + 0.012 * np.abs(z)
    behind = step(0.35 * np.abs(z) - 0.5 * y - 8 + 5 * noise(g, size, 4, 3), 8)
    _paint(signal, behind * step(bundles - 0.35, 0.25), muscle * (1 + 0.1 * noise(g, size, 22, 3)))
    # The capsule around the joint: fluid and thickened tissue.
    near = np.minimum(knee.femur, knee.tibia)
    capsule = step(g.uniform(2, 7) + 3 * noise(g, size, 6, 3) - near, 3) * step(26 - np.abs(z - 4), 6)
    _paint(signal, 0.85 * capsule, muscle + (water - muscle) * step(noise(g, size, 7, 3), 1.5))
    cartilage = g.uniform(1.2, 3.2) + 0.6 * noise(g, size, 6, 3)
    joint = step(cartilage - knee.femur, EDGE) * step(24 - z, 8) * step(y + 30, 6)
    joint = np.maximum(joint, step(cartilage - knee.tibia, EDGE) * step(w + 6, 3))
    _paint(signal, joint, water * (1 + 0.08 * noise(g, size, 16, 3)))
    menisci = step(9 - knee.femur - knee.tibia, 3) * step(8 - np.abs(w), 3)
    menisci *= step(np.hypot(u / 36, (v + 4) / 27) - 0.62, 0.15)
    _paint(signal, menisci, dark)
    for start, end, width in (
        ((3, -18, 14), (-6, 6, -1), 3.2),  # cruciate ligaments
        ((-4, 4, 12), (1, -26, -4), 4.0),
        ((0, 46, 10), (2, 27, -30), 4.5),  # patellar and quadriceps tendons
        ((0, 40, 40), (0, 28, 75), 5.0),
        ((-41, -2, 22), (-37, 2, -25), 2.2),  # collateral ligaments
        ((39, -8, 22), (35, -16, -16), 2.2),
    ):
        _paint(signal, step(width - _segment(place, start, end), EDGE), dark)
    thickness = g.uniform(4, 12)
    depth = 1 - np.hypot(x / g.uniform(50, 60), (y + 1) / g.uniform(58, 68))
    depth = 55 * depth + 2 * noise(g, size, 4, 3)
    _paint(signal, step(thickness - depth, 3), fat)
    return signal * step(depth, EDGE)  # air around the leg


def _paint_bones(g: np.random.Generator, signal: np.ndarray, knee: _Knee) -> None:
    """Cortex and marrow of all bones, in place."""
    size = signal.shape[0]
    marrow, cortex = g.uniform(0.62, 0.9), g.uniform(0.03, 0.12)
    bone = np.minimum(np.minimum(knee.femur, knee.tibia), knee.others)
    thickness = 0.5 + 2.6 * step(np.abs(knee.height) - 34, 24) + 0.35 * noise(g, size, 8, 3)
    trabeculae = 1 + 0.1 * noise(g, size, 20, 3) + 0.07 * noise(g, size, 30, 3)
    # Red marrow in the shafts; lesions under the joint reach the surface and take its contrast away.
    red = step(noise(g, size, 5, 3) + 0.012 * np.abs(knee.height) - 1.0, 0.8)
    lesion = step(noise(g, size, 4, 3) - g.uniform(0.5, 1.6), 0.7) * step(16 - np.abs(knee.height), 10)
    value = marrow * trabeculae * (1 - 0.3 * red)
    value += (g.uniform(0.34, 0.5) - value) * 0.85 * lesion
    faint = np.maximum(lesion, step(-knee.spurs, 2 * EDGE))
    spur = g.uniform(0.42, 0.6)
    value += (spur - value) * step(-knee.spurs, 2 * EDGE)
    _paint(signal, step(-bone, EDGE), cortex + (value - cortex) * 0.8 * faint)
    _paint(signal, step(-bone - np.maximum(thickness, 0), EDGE), value)


def _scan(g: np.random.Generator, frame: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    """float32 (S, S, S) in [0, 1]: blur, uneven coil sensitivity and Rician noise (Gudbjartsson and Patz 1995)."""
    size = signal.shape[0]
    signal = ndimage.gaussian_filter(signal, g.uniform(0.3, 0.55, 3) * size / 64)
    signal = signal * np.exp(0.22 * noise(g, size, 2, 3))
    level = g.uniform(0.03, 0.09)
    real, imaginary = level * frame.standard_normal((2, *signal.shape), np.float32)
    magnitude = np.hypot(signal + real, imaginary)
    return np.clip(magnitude / float(np.percentile(magnitude, 99.5)), 0, 1)


def _paint(signal: np.ndarray, share: np.ndarray, value: np.ndarray | float) -> None:
    """Let `value` take `share` (0 to 1) of each voxel of the signal, in place."""
    signal += (value - signal) * share


def _ellipsoid(place: np.ndarray, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Signed distance to an ellipsoid, exact to first order at its surface."""
    squares, slopes = 0, 0
    for position, middle, radius in zip(place, centre, radii, strict=True):
        scaled = np.square((position - float(middle)) / float(radius))
        squares, slopes = squares + scaled, slopes + scaled / float(radius) ** 2
    length = np.sqrt(squares)
    return length * (length - 1) / (np.sqrt(slopes) + 1e-6)


def _tube(x: np.ndarray, y: np.ndarray, width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Signed distance (about) to a tube along Z with elliptical sections of these half-axes."""
    return (np.hypot(x / width, y / depth) - 1) * np.minimum(width, depth)


def _union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """Signed distance to two bodies that flow into each other over `blend` mm."""
    overlap = np.maximum(blend - np.abs(first - second), 0) / blend
    return np.minimum(first, second) - np.square(overlap) * blend / 4


def _segment(place: np.ndarray, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
    """Distance in mm (S, S, S) to the line segment between two points (x, y, z)."""
    along = [float(there - here) for here, there in zip(start, end, strict=True)]
    offset = [position - float(here) for position, here in zip(place, start, strict=True)]
    share = sum(o * a for o, a in zip(offset, along)) / sum(a * a for a in along)
    share = np.clip(share, 0, 1)
    return np.sqrt(sum(np.square(o - a * share) for o, a in zip(offset, along)))
