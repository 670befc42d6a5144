"""Generated apical echocardiograms: a stand-in for CAMUS and Echo that needs no download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from datasets.base import Augmentation
from datasets.phantom import Phantom, grid, noise, step

SIDE = 160.0
"""Side of the picture in mm."""
TOP = 0.015
"""Distance of the probe from the upper border, in sides."""


@dataclass(frozen=True)
class Probe:
    """What all videos of a probe have in common. gain: in dB, added to that of each video; grain: factor on the size of
    the speckle; absorption: factor on the loss with depth."""

    gain: float = 0.0
    grain: float = 1.0
    absorption: float = 1.0


Ends = list[tuple[float, float]]
"""The two ends of the mitral ring as (y, x), in sides of the picture."""


class PhantomEcho(Phantom):
    """Frames of videos of a beating heart in an ultrasound sector; the classes are the left ventricle and atrium.

    Speckle is the magnitude of filtered complex noise (fully developed, Rayleigh), filtered along and across the beams
    and log-compressed, as in a scanner. Walls along the beam fade, shadows and haze hide others, and the right
    ventricle and atrium are dark cavities that look like the left ones. Frames of one video share a group: its anatomy
    and probe position stay, the heart contracts from diastole (frame 0) to systole (half way) and back.
    """

    name = "phantom_echo"
    title = "Generated echocardiograms, 2D frames of videos, left ventricle and atrium (no files needed)"
    spatial_dims = 2
    channels = 1
    class_names = ("LV", "LA")
    probe = Probe()

    def __init__(
        self,
        cases: Mapping[str, int] | None = None,
        frames: int = 4,
        size: int = 128,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """cases: videos in each split; frames: of one heart beat in each video; size: pixels along each side."""
        super().__init__(cases or {"train": 40, "val": 6, "test": 14}, size, seed, frames, limit, augmentation, name)

    def draw(
        self, subject: np.random.Generator, frame: np.random.Generator, time: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
        """The frame at `time` of a heart beat: image (1, size, size), 1 the left ventricle and 2 its atrium, spacing.

        See `Phantom`.
        """
        y, x = grid(self.size)
        # Beam coordinates: every point by the angle of its beam and its distance from the probe.
        angle, radius = np.arctan2(x - 0.5, y - TOP), np.hypot(x - 0.5, y - TOP)
        half_angle, far = subject.uniform(0.56, 0.76), 0.97 - TOP
        sector = (np.abs(angle) < half_angle) & (radius < far) & (radius > 0.012)

        heart = _heart(subject)
        # 0 in diastole, 1 in systole half a beat later.
        contraction = 0.5 - 0.5 * np.cos(2 * np.pi * time)
        ventricle, atrium, right, mitral = _chambers(heart, contraction, y, x)
        echo = _reflectivity(subject, heart, contraction, ventricle, atrium, right, mitral, y, x)
        echo = _beam(subject, echo, angle, radius, self.probe)
        image = _scan(subject, frame, echo, angle, radius, half_angle, self.probe) * sector
        label = (np.where(ventricle, 1, 0) + np.where(atrium & ~ventricle, 2, 0)) * sector
        return image[None].astype(np.float32), label.astype(np.int64), (SIDE / self.size,) * 2


@dataclass(frozen=True)
class _Heart:
    """Anatomy of one subject. Lengths in sides of the picture, angles in radians."""

    apex: tuple[float, float]  # y, x of the inner apex of the left ventricle
    tilt: float  # of the long axis against the vertical
    length: float  # of the left ventricle in diastole
    width: float  # its half-width in diastole
    bend: float  # sideways bulge of the ventricle
    base: float  # half-width at the mitral ring, share of width
    plane: float  # slope of the mitral ring
    atrium: tuple[float, float]  # length and half-width of the left atrium in diastole
    lean: float  # of the atrium's axis
    wall: float  # thickness in diastole
    strength: float  # share of the width lost in systole
    right: bool  # right chambers in view (four-chamber view)


def _heart(g: np.random.Generator) -> _Heart:
    """A random heart: small or large in the picture, dilated or slender, beating strongly or weakly."""
    zoom = g.uniform(0.85, 1.15)
    length = zoom * g.uniform(0.38, 0.5)
    return _Heart(
        apex=(g.uniform(0.1, 0.19), 0.5 + g.normal(0.01, 0.04)),
        tilt=g.normal(0.04, 0.11),
        length=length,
        width=length * g.uniform(0.25, 0.36),
        bend=g.normal(0, 0.022),
        base=g.uniform(0.6, 0.9),
        plane=g.normal(0.0, 0.12),
        atrium=(zoom * g.uniform(0.19, 0.31), zoom * g.uniform(0.085, 0.13)),
        lean=g.normal(0, 0.15),
        wall=zoom * g.uniform(0.04, 0.07),
        strength=g.uniform(0.12, 0.38),
        right=bool(g.random() < 0.65),
    )


def _chambers(
    heart: _Heart, contraction: float, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Ends]:
    """Masks (H, W) of left ventricle, left atrium and right chambers, and the mitral ring's ends as (y, x) pairs."""
    # The heart's own axes: along from the apex to the ring, across to the right; s runs from 0 to 1 in between.
    cos, sin = np.cos(heart.tilt), np.sin(heart.tilt)
    down, right = y - heart.apex[0], x - heart.apex[1]
    along, across = down * cos + right * sin, right * cos - down * sin
    length = heart.length * (1 - 0.35 * heart.strength * contraction)
    width = heart.width * (1 - heart.strength * contraction)
    shift = 0.03 * contraction * (heart.length - length)  # the apex hardly moves
    s = (along - shift) / length
    across = across - heart.bend * np.sin(np.pi * np.clip(s, 0, 1))

    # Left ventricle: a rounded tip, sides that taper towards the ring, and the ring as its lower border.
    tip = np.sqrt(np.clip(1 - (1 - np.clip(s, 0, 0.5) / 0.5) ** 2, 0, 1)) ** 0.85
    taper = 1 - (1 - heart.base) * np.clip((s - 0.5) / 0.5, 0, 1.2) ** 2
    ring = 1 + heart.plane * across / length
    ventricle = (s > 0) & (s < ring) & (np.abs(across) < width * tip * taper)

    # Left atrium: from the ring's width to its own, then round; it fills while the ventricle empties.
    fill = 1 + 0.25 * contraction
    depth = (along - shift - length * ring) / (heart.atrium[0] * fill)
    sideways = across - heart.lean * (along - shift - length)
    round_ = np.sqrt(np.clip(1 - (2 * np.clip(depth, 0, 1) - 0.8) ** 2 / np.where(depth < 0.4, 1.0, 1.44), 0, 1))
    half = np.where(
        depth < 0.4,
        heart.base * width * (1 - depth / 0.4) + heart.atrium[1] * fill * depth / 0.4,
        heart.atrium[1] * fill * round_,
    )
    atrium = (depth >= 0) & (depth < 1) & (np.abs(sideways) < half)

    # Right chambers: beyond the septum, part of no class, and dark like the left ones.
    septum = -(width * np.clip(taper, 0.6, 1) + heart.wall * (1 + 0.3 * contraction))
    left = septum - across
    room = heart.width * (0.85 - 0.3 * contraction) * np.clip((s - 0.18) / 0.5, 0, 1) ** 0.7
    right_ventricle = (s > 0.2) & (s < 0.97) & (left > 0) & (left < room)
    centre = -(heart.base * heart.width + 0.025 + heart.atrium[1])
    right_atrium = ((along - length - 0.55 * heart.atrium[0]) / (0.5 * heart.atrium[0])) ** 2 + (
        (across - centre) / (0.85 * heart.atrium[1])
    ) ** 2 < 1
    rights = (right_ventricle | right_atrium) & ~ventricle & ~atrium & heart.right

    ends = []
    for side in (-1, 1):
        n = side * heart.base * width
        a = shift + length * (1 + heart.plane * n / length)
        ends.append((heart.apex[0] + a * cos - n * sin, heart.apex[1] + a * sin + n * cos))
    return ventricle, atrium, rights, ends


def _reflectivity(
    g: np.random.Generator,
    heart: _Heart,
    contraction: float,
    ventricle: np.ndarray,
    atrium: np.ndarray,
    right: np.ndarray,
    mitral: Ends,
    y: np.ndarray,
    x: np.ndarray,
) -> np.ndarray:
    """Amplitude (H, W) that the tissue sends back, before the beam and the scanner change it."""
    size = x.shape[0]
    to_ventricle = _distance(ventricle)
    to_atrium = _distance(atrium)
    to_right = _distance(right) if right.any() else np.full(x.shape, 1.0, np.float32)
    patches, fine = noise(g, size, 5), noise(g, size, 14)
    # What surrounds the heart; then its muscle, as a band around the ventricle; then lungs beyond it.
    echo = g.uniform(0.07, 0.3) * np.exp(0.75 * patches + 0.25 * fine)

    wall = heart.wall * (1 + 0.35 * contraction) * (1 + 0.25 * noise(g, size, 4))
    muscle = step(wall - to_ventricle, 0.012) * step(to_ventricle, 0.012) * step(to_atrium, 0.01)
    echo += (g.uniform(0.16, 0.5) * np.exp(0.35 * fine) - echo) * muscle
    lungs = step(to_ventricle - wall - 0.01, 0.03) * step(to_atrium - 0.03, 0.03)
    echo *= 1 + lungs * g.uniform(0, 2.0) * step(noise(g, size, 3), 1.2)

    # Boundaries are mirrors: bright where the beam meets them at a right angle, faint where it runs along them.
    for distance, offset, thickness, strength in (
        (to_ventricle, 0.006, 0.006, g.uniform(0.2, 0.7)),
        (to_ventricle, heart.wall + 0.008, 0.008, g.uniform(0.3, 1.1)),
        (to_atrium, 0.008, 0.008, g.uniform(0.45, 1.1)),
        (to_right, 0.006, 0.007, g.uniform(0.2, 0.6)),
    ):
        facing = _facing(distance, y, x)
        gaps = step(noise(g, size, 7) + g.uniform(-0.1, 1.0), 1.2)
        echo += strength * np.exp(-(((distance - offset) / thickness) ** 2)) * (0.12 + 0.88 * facing**2) * gaps

    # Blood hardly scatters, so that cavities are dark, the right ones as much as the left ones.
    blood = g.uniform(0.015, 0.06, 3) * np.array([1, 1, 1.2])
    for cavity, distance, level in zip((ventricle, atrium, right), (to_ventricle, to_atrium, to_right), blood):
        inside = step(-distance + 0.002, 0.014) * cavity
        echo += (level * np.exp(0.3 * fine) - echo) * inside

    echo = np.maximum(echo, _inside_structures(g, heart, contraction, mitral, y, x) * (~right))
    return np.clip(echo, 1e-3, None)


def _inside_structures(
    g: np.random.Generator, heart: _Heart, contraction: float, mitral: Ends, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Mitral leaflets, papillary muscles and false tendons: bright, and part of the cavity in the label."""
    # Leaflets: from the ends of the ring, open in diastole and closed in systole.
    (y0, x0), (y1, x1) = mitral
    middle_y, middle_x = (y0 + y1) / 2, (x0 + x1) / 2
    opening = 1 - min(1.0, 2.0 * contraction)
    brightness = g.uniform(0.35, 1.0)
    canvas = np.zeros(x.shape, np.float32)
    for end_y, end_x in mitral:
        tip_y = middle_y - (0.03 + 0.06 * opening)
        tip_x = middle_x + 0.4 * opening * (end_x - middle_x)
        canvas = np.maximum(canvas, brightness * _line(y, x, end_y, end_x, tip_y, tip_x, 0.006))
    # Papillary muscles and tendons: short strands near the wall, along the ventricle.
    cos, sin = np.cos(heart.tilt), np.sin(heart.tilt)
    for _ in range(g.poisson(1.6)):
        along = g.uniform(0.25, 0.7) * heart.length
        across = g.choice([-1, 1]) * g.uniform(0.55, 0.95) * heart.width * (1 - heart.strength * contraction)
        cy = heart.apex[0] + along * cos - across * sin
        cx = heart.apex[1] + along * sin + across * cos
        reach = g.uniform(0.02, 0.06)
        brightness, thickness = g.uniform(0.1, 0.4), g.uniform(0.008, 0.016)
        strand = _line(y, x, cy, cx, cy + reach * cos, cx + reach * sin, thickness)
        canvas = np.maximum(canvas, brightness * strand)
    return canvas


def _line(y: np.ndarray, x: np.ndarray, y0: float, x0: float, y1: float, x1: float, thickness: float) -> np.ndarray:
    """A soft line segment (H, W) of height 1 from (y0, x0) to (y1, x1)."""
    dy, dx = y1 - y0, x1 - x0
    t = np.clip(((y - y0) * dy + (x - x0) * dx) / (dy**2 + dx**2 + 1e-9), 0, 1)
    return np.exp(-((y - y0 - t * dy) ** 2 + (x - x0 - t * dx) ** 2) / thickness**2)


def _beam(g: np.random.Generator, echo: np.ndarray, angle: np.ndarray, radius: np.ndarray, probe: Probe) -> np.ndarray:
    """Attenuation with depth, shadows behind ribs and lung, and haze near the probe, (H, W)."""
    echo = echo * np.exp(-g.uniform(0.0, 1.7) * probe.absorption * radius)
    # A shadow darkens a few neighbouring beams from some depth on.
    for _ in range(g.poisson(1.4)):
        where, width, start = g.uniform(-0.7, 0.7), g.uniform(0.03, 0.14), g.choice([0.0, 0.0, g.uniform(0.2, 0.6)])
        depth = g.uniform(0.4, 0.95)
        echo = echo * (1 - depth * np.exp(-(((angle - where) / width) ** 2)) * step(radius - start, 0.1))
    haze = g.uniform(0.0, 0.35) * np.exp(-radius / g.uniform(0.05, 0.22)) + g.uniform(0.0, 0.035)
    return echo + haze


def _scan(
    subject: np.random.Generator,
    frame: np.random.Generator,
    echo: np.ndarray,
    angle: np.ndarray,
    radius: np.ndarray,
    half_angle: float,
    probe: Probe,
) -> np.ndarray:
    """The B-mode picture (H, W) in [0, 1]: speckle in beam coordinates, log compression, gain."""
    size = echo.shape[0]
    lines, samples = 100, 260
    # Fully developed speckle: the magnitude of complex noise, with grains as long as the pulse and as wide as the beam.
    fields = frame.standard_normal((2, samples, lines)).astype(np.float32)
    blur = (probe.grain * subject.uniform(0.8, 1.3), probe.grain * subject.uniform(0.8, 1.5))
    fields = ndimage.gaussian_filter(fields, (0, *blur), mode="wrap")
    fields /= fields.std()
    place = [radius * (samples - 1), (np.clip(angle / half_angle, -1, 1) + 1) / 2 * (lines - 1)]
    real, imaginary = (ndimage.map_coordinates(field, place, order=1, mode="nearest") for field in fields)
    speckle = np.hypot(real, imaginary) / np.sqrt(np.pi / 2)
    # The beam is finite: it smears the tissue sideways before speckle is formed.
    echo = ndimage.gaussian_filter(echo, subject.uniform(0.003, 0.01) * size)
    mixed = echo * (0.12 + 0.88 * speckle) + 0.004 * np.abs(frame.standard_normal(echo.shape))
    # The scanner shows a window of the logarithm, by its gain and dynamic range in dB.
    decibel = 20 * np.log10(mixed + 1e-4)
    gain, depth = probe.gain + subject.uniform(-2, 7), subject.uniform(34, 50)
    shown = np.clip((decibel + gain + depth) / depth, 0, 1.0) ** subject.uniform(1.3, 2.3)
    return np.clip(ndimage.gaussian_filter(shown, subject.uniform(0.2, 0.6)), 0, 1)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the mask's border in sides of the picture, negative inside, slightly smoothed."""
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return ndimage.gaussian_filter((outside - inside).astype(np.float32), 1.0) / mask.shape[0]


def _facing(distance: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """|cosine| between the beam and the normal of the surfaces of equal distance."""
    down, right = np.gradient(distance)
    beam = np.hypot(y - TOP, x - 0.5) + 1e-6
    return np.abs(down * (y - TOP) + right * (x - 0.5)) / (beam * (np.hypot(down, right) + 1e-6))
