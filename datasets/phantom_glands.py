"""Generated H&E-like glands: a stand-in for GlaS that needs no download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from datasets.base import Augmentation
from datasets.phantom import Phantom, grid, noise, step, warped_noise

# Optical densities of haematoxylin and eosin in red, green and blue (Ruifrok and Johnston 2001).
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286], np.float32)
EOSIN = np.array([0.072, 0.990, 0.105], np.float32)


@dataclass(frozen=True)
class Laboratory:
    """What all slides of a laboratory have in common. haematoxylin, eosin: middle strength of a stain; defocus: factor
    on the width of the blur; glass: share of red, green and blue light that passes where there is no tissue."""

    haematoxylin: float = 1.35
    eosin: float = 0.85
    defocus: float = 1.0
    glass: tuple[float, float, float] = (1.0, 1.0, 1.0)


class PhantomGlands(Phantom):
    """Stained-tissue pictures with glands: lumen, mucin, epithelium with basal nuclei; stroma with look-alikes.

    Glands are the one class, lumen included. Their tissue is made of the same stains as the rest: vessels and tears are
    as white as a lumen, and clumps of lymphocytes as dark as an epithelium. Shape, crowding, differentiation, stain,
    focus and noise differ from image to image.
    """

    name = "phantom_glands"
    title = "Generated H&E-like glands, 2D RGB, one class (no files needed)"
    spatial_dims = 2
    channels = 3
    class_names = ("gland",)
    laboratory = Laboratory()

    def __init__(
        self,
        cases: Mapping[str, int] | None = None,
        size: int = 128,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """cases: sections in each split; size: pixels along each side."""
        super().__init__(cases or {"train": 80, "val": 16, "test": 40}, size, seed, 1, limit, augmentation, name)

    def draw(
        self, subject: np.random.Generator, frame: np.random.Generator, time: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
        """Image (3, size, size) of one section, label 1 within glands, no spacing. See `Phantom`.

        A section is an image of its own: everything is drawn from `subject`.
        """
        y, x = grid(self.size)
        tissue = _tissue(subject)
        owner = _place_glands(subject, tissue, y, x)
        haematoxylin, eosin, clear = _stroma(subject, tissue, y, x, owner)
        _fill_glands(subject, tissue, owner, haematoxylin, eosin)
        image = _stain(subject, haematoxylin * (1 - clear), eosin * (1 - clear), self.laboratory)
        return image, (owner > 0).astype(np.int64), None


@dataclass(frozen=True)
class _Tissue:
    """What all glands of one image have in common. Lengths in units of the image side."""

    scale: float  # mean radius of a gland
    irregular: float  # 0 round crypts, 1 branching and ragged ones
    mucin: float  # share of the epithelium taken by goblet cells
    nucleus: float  # radius of a nucleus
    retraction: float  # width of the white gap between gland and stroma
    fibre: float  # direction of the stroma's fibres, radians


def _tissue(g: np.random.Generator) -> _Tissue:
    """A random tissue; the more irregular it is, the larger its glands and the less mucin they hold."""
    irregular = float(g.beta(0.8, 1.0))
    return _Tissue(
        scale=float(g.uniform(0.085, 0.15) * (1 + 0.35 * irregular)),
        irregular=irregular,
        mucin=float(np.clip(g.normal(0.75 - 0.8 * irregular, 0.2), 0, 1)),
        nucleus=float(g.uniform(0.0085, 0.012)),
        retraction=float(g.uniform(0.004, 0.022)) if g.random() < 0.45 else 0.0,
        fibre=float(g.uniform(0, np.pi)),
    )


def _place_glands(g: np.random.Generator, tissue: _Tissue, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """int32 (H, W): number of the gland at each pixel, 0 between glands. Neighbours may touch, leaving a thin seam."""
    owner = np.zeros(x.shape, np.int32)
    pixel = 1 / x.shape[0]
    centres: list[tuple[float, float, float]] = []
    crowding = g.uniform(0.85, 1.35)
    wanted = g.integers(3, 6) if g.random() < 0.3 else 40
    for _ in range(90):
        cy, cx = g.uniform(-0.08, 1.08, 2)
        radius = tissue.scale * np.exp(g.normal(0, 0.22))
        shape = g.standard_normal(12)
        stretch = 1 + abs(g.normal(0, 0.25 + 0.7 * tissue.irregular))
        angle = g.normal(tissue.fibre, 0.6)
        if len(centres) >= wanted:
            break
        # Too near to one that is there: try elsewhere.
        if any(np.hypot(cy - py, cx - px) < crowding * (radius + r) for py, px, r in centres):
            continue
        inside = _outline(shape, radius, stretch, angle, 0.25 + 0.75 * tissue.irregular, y - cy, x - cx) > 0
        if owner.any():
            inside &= ndimage.distance_transform_edt(owner == 0) * pixel > 0.012
        # A neighbour may have cut it in pieces: keep the largest, unless little of a gland is left.
        parts, count = ndimage.label(inside)
        if count == 0:
            continue
        largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
        if largest.sum() * pixel**2 < 0.25 * radius**2:
            continue
        centres.append((cy, cx, radius * stretch**0.3))
        owner[largest] = len(centres)
    return owner


def _outline(
    shape: np.ndarray, radius: float, stretch: float, angle: float, rough: float, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """How far inside a closed curve with a bend, a long axis and a few harmonics each pixel is (negative outside)."""
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    across = across + 0.9 * rough * shape[0] * (along**2 - radius**2 / 3) / max(stretch, 1) / radius * 0.5
    point = (along / stretch**0.75 + 1j * across * stretch**0.35).astype(np.complex64)
    distance = np.abs(point) + 1e-6
    turn = point / distance
    # Harmonics 2 to 6 of the radius; turn^k is exp(i k phi), so that its parts are cos(k phi) and sin(k phi).
    power, wobble = turn, np.zeros(distance.shape, np.float32)
    for k in range(2, 7):
        power = power * turn
        wobble += (shape[2 * k - 3] * power.real + shape[2 * k - 2] * power.imag) / k**1.15
    return radius * np.exp(np.clip(0.26 * rough * wobble, -0.8, 0.6)) - distance


def _stroma(
    g: np.random.Generator, tissue: _Tissue, y: np.ndarray, x: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stain between the glands (haematoxylin, eosin) and how clear of tissue each pixel is, all (H, W)."""
    size = x.shape[0]
    outside = ndimage.distance_transform_edt(owner == 0).astype(np.float32) / size
    cos, sin = np.cos(tissue.fibre), np.sin(tissue.fibre)
    along, across = x * cos + y * sin, y * cos - x * sin
    # Fibres: noise that is long along their direction and fine across it.
    warp = 0.05 * noise(g, size, 3)
    fibres = warped_noise(g, 6 * along, 34 * (across + warp))
    patches = noise(g, size, 4)
    eosin = np.clip(g.uniform(0.3, 0.6) + 0.10 * fibres + 0.09 * patches, 0.05, None)
    haematoxylin = np.clip(g.uniform(0.03, 0.14) + 0.03 * patches, 0, None)
    # Loose tissue shows white gaps along its fibres.
    clear = g.uniform(0.2, 0.9) * step(fibres + 0.5 * patches - g.uniform(0.5, 1.8), 0.8)
    if tissue.retraction:
        gap = tissue.retraction * (1 + 0.7 * noise(g, size, 6))
        clear = np.maximum(clear, 0.95 * step(gap - outside, 1.5 / size) * (outside > 0))

    crowded = g.uniform(0.12, 0.6) * np.clip(1 + 0.7 * noise(g, size, 4), 0.05, 2.2)
    for _ in range(g.poisson(0.7)):  # lymphoid aggregates, as dark as an epithelium
        cy, cx, radius = *g.uniform(0, 1, 2), g.uniform(0.05, 0.13)
        crowded += 1.6 * step(radius - np.hypot(y - cy, x - cx) + 0.02 * patches, 0.03)
    for _ in range(g.poisson(1.6)):  # vessels and fat: rounded holes with a thin wall, as white as a lumen
        cy, cx, radius = *g.uniform(0, 1, 2), g.uniform(0.018, 0.06)
        shape, stretch, angle = g.standard_normal(12), 1 + abs(g.normal(0, 0.5)), g.uniform(0, np.pi)
        depth = _outline(shape, radius, stretch, angle, 0.6, y - cy, x - cx)
        blood = g.random() < 0.45
        hole = step(depth, 1.5 / size)
        crowded *= 1 - hole
        eosin += 0.35 * np.exp(-((depth / 0.008) ** 2))
        if blood:
            cells = step(noise(g, size, 50), 1.0)
            eosin = eosin * (1 - hole) + hole * (0.35 + 0.5 * cells)
            clear = clear * (1 - hole)
        else:
            clear = np.maximum(clear, 0.93 * hole)
    if g.random() < 0.22:  # the edge of the section
        direction = g.uniform(0, 2 * np.pi)
        edge = (x - 0.5) * np.cos(direction) + (y - 0.5) * np.sin(direction) - g.uniform(0.2, 0.42) + 0.04 * patches
        clear = np.maximum(clear, step(edge, 2 / size))
    clear = clear * (owner == 0)

    # Nuclei of the stroma: slender ones of fibroblasts, along the fibres, and round ones of lymphocytes.
    cy, cx = _points(g, 1.9 * tissue.nucleus)
    row, column = _pixels(cy, size), _pixels(cx, size)
    keep = (g.random(cy.size) < crowded[row, column] * 0.75) & (outside[row, column] > 0.4 * tissue.nucleus)
    keep &= clear[row, column] < 0.5
    cy, cx = cy[keep], cx[keep]
    slender = g.random(cy.size) < 0.45
    angle = tissue.fibre + g.normal(0, 0.35, cy.size)
    length = tissue.nucleus * np.where(slender, 1.7, 0.85) * np.exp(g.normal(0, 0.15, cy.size))
    width = tissue.nucleus * np.where(slender, 0.45, 0.8)
    nuclei = _splat(size, cy, cx, length, width, angle, g.uniform(0.55, 1.0, cy.size))
    return np.maximum(haematoxylin, nuclei * 1.05), eosin * (1 - 0.5 * nuclei), clear


def _fill_glands(
    g: np.random.Generator, tissue: _Tissue, owner: np.ndarray, haematoxylin: np.ndarray, eosin: np.ndarray
) -> None:
    """Paints epithelium, mucin, lumen and nuclei into the stain maps, in place."""
    size = owner.shape[0]
    # How deep inside its gland each pixel lies decides what it is: epithelium up to some height, then lumen.
    depth = np.zeros(owner.shape, np.float32)
    for number in range(1, owner.max() + 1):
        depth = np.maximum(depth, _inner_depth(owner == number))
    depth /= size
    gland = owner > 0
    inner = np.array([0.0] + [depth[owner == n].max(initial=0) for n in range(1, owner.max() + 1)], np.float32)
    individual = np.r_[0.0, g.normal(0, 1, owner.max())].astype(np.float32)
    height = np.clip(inner * g.uniform(0.42, 0.72) * (1 + 0.15 * individual), 0.028, 0.075)[owner]
    ragged = noise(g, size, 16)
    solid = np.r_[False, g.random(owner.max()) < 0.35 * tissue.irregular][owner]
    # Poorly differentiated glands have several narrow lumens or none.
    sieve = 0.16 * ragged + 0.7 * max(tissue.irregular - 0.4, 0) * noise(g, size, 10)
    lumen = step(depth - height * (1 + sieve), 2 / size) * step(depth - 0.02, 0.01) * gland * ~solid

    # Cytoplasm takes eosin, goblet cells hold mucin that takes little of either, and lumens may hold debris.
    cytoplasm = g.uniform(0.3, 0.6) + 0.06 * ragged
    purple = g.uniform(0.12, 0.3) * (0.6 + 0.6 * tissue.irregular)
    spots = noise(g, size, 30)
    mucin = tissue.mucin * step(spots + 0.4 + 0.3 * individual[owner], 0.7) * step(depth - 0.42 * height, 0.014)
    content = g.uniform(0, 0.4) * step(noise(g, size, 12) - g.uniform(-0.5, 1.5), 1.0)
    new_eosin = cytoplasm * (1 - 0.8 * mucin)
    new_haematoxylin = (purple + 0.04 * ragged) * (1 - 0.5 * mucin)
    new_eosin = new_eosin * (1 - lumen) + lumen * (0.03 + content)
    new_haematoxylin = new_haematoxylin * (1 - lumen) + lumen * (0.02 + 0.2 * content)

    # Nuclei of the epithelium: near its base, deeper the less differentiated, and pointing inwards.
    cy, cx = _points(g, 1.35 * tissue.nucleus)
    row, column = _pixels(cy, size), _pixels(cx, size)
    share = depth[row, column] / np.maximum(height[row, column], 1e-6)
    basal = 0.42 + 0.4 * tissue.irregular + 0.08 * g.standard_normal(cy.size)
    keep = gland[row, column] & (share < basal) & (depth[row, column] > 0.45 * tissue.nucleus)
    keep &= g.random(cy.size) < 0.9
    keep |= gland[row, column] & (g.random(cy.size) < 0.008)  # debris and lymphocytes inside
    cy, cx, row, column = cy[keep], cx[keep], row[keep], column[keep]
    smooth = ndimage.gaussian_filter(depth, 0.008 * size)
    down, right = np.gradient(smooth)
    angle = np.arctan2(down[row, column], right[row, column]) + g.normal(0, 0.25, cy.size)
    length = tissue.nucleus * g.uniform(1.0, 1.7) * np.exp(g.normal(0, 0.12, cy.size))
    width = tissue.nucleus * g.uniform(0.6, 0.85, cy.size)
    nuclei = _splat(size, cy, cx, length, width, angle, g.uniform(0.5, 1.0, cy.size)) * gland
    new_haematoxylin = np.maximum(new_haematoxylin, nuclei * 1.05)
    new_eosin = new_eosin * (1 - 0.4 * nuclei)
    haematoxylin[gland], eosin[gland] = new_haematoxylin[gland], new_eosin[gland]


def _inner_depth(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels to the outside of the gland, (H, W); the picture's border does not count as outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    depth = np.zeros(mask.shape, np.float32)
    depth[window] = ndimage.distance_transform_edt(mask[window])
    return depth


def _points(g: np.random.Generator, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Points about `distance` apart all over the picture: a grid, each point shifted at random."""
    count = int(1 / distance) + 1
    rows, columns = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    shift = g.uniform(-0.45, 0.45, (2, count * count))
    return (rows.ravel() + 0.5 + shift[0]) / count, (columns.ravel() + 0.5 + shift[1]) / count


def _pixels(position: np.ndarray, size: int) -> np.ndarray:
    """Index of the pixel at each position, in units of the image side; the nearest one for those outside."""
    return np.clip((position * size).astype(int), 0, size - 1)


def _splat(
    size: int,
    cy: np.ndarray,
    cx: np.ndarray,
    length: np.ndarray,
    width: np.ndarray,
    angle: np.ndarray,
    darkness: np.ndarray,
) -> np.ndarray:
    """float32 (size, size): soft ellipses with semi-axes length and width, the darkest wins where they overlap."""
    canvas = np.zeros((size, size), np.float32)
    if not cy.size:
        return canvas
    reach = int(np.ceil(max(length.max(), width.max()) * size))
    offsets = np.arange(-reach, reach + 1)
    row, column = np.floor(cy * size).astype(int), np.floor(cx * size).astype(int)
    pixels = [cy * size - row, cx * size - column, length * size, width * size]
    ellipses = np.stack([*pixels, np.cos(angle), np.sin(angle), darkness])
    fy, fx, length, width, cos, sin, darkness = ellipses.astype(np.float32)[:, :, None, None]
    dy = offsets.astype(np.float32)[:, None] + 0.5 - fy
    dx = offsets.astype(np.float32) + 0.5 - fx
    r = np.sqrt(((dx * cos + dy * sin) / length) ** 2 + ((dy * cos - dx * sin) / width) ** 2)
    value = darkness * np.clip((1 - r) * width / 0.9 + 0.5, 0, 1)
    rows, columns = np.broadcast_arrays(row[:, None, None] + offsets[:, None], column[:, None, None] + offsets)
    seen = (value > 0) & (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    np.maximum.at(canvas, (rows[seen], columns[seen]), value[seen])
    return canvas


def _stain(g: np.random.Generator, haematoxylin: np.ndarray, eosin: np.ndarray, laboratory: Laboratory) -> np.ndarray:
    """float32 (3, H, W) in [0, 1] by Beer and Lambert's law, with this slide's stains, focus, light and noise."""
    strength = np.exp(g.normal(0, 0.22, 2)) * (laboratory.haematoxylin, laboratory.eosin)
    vectors = np.stack([HAEMATOXYLIN, EOSIN]) * np.exp(g.normal(0, 0.12, (2, 3)))
    size = eosin.shape[0]
    uneven = 1 + 0.08 * noise(g, size, 2)
    density = strength[0] * vectors[0][:, None, None] * (haematoxylin * uneven) + strength[1] * vectors[1][
        :, None, None
    ] * (eosin * uneven)
    blur = g.uniform(0.0015, 0.006) * size * laboratory.defocus
    light = np.exp(-ndimage.gaussian_filter(density, (0, blur, blur))) * g.uniform(0.9, 0.98)
    light *= np.array(laboratory.glass)[:, None, None]
    grain = ndimage.gaussian_filter(g.standard_normal(light.shape), (0, 0.5, 0.5)) * g.uniform(0.015, 0.05)
    return np.clip(light + grain, 0, 1).astype(np.float32)
