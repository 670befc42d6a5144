"""Pictures of the data themselves: images with their labels, volumes in three slices and as surfaces."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy import ndimage
from skimage.measure import marching_cubes

from benchmarks.store.kept import Shown
from reports.paper.overlays import CORRECT
from reports.paper.style import WIDTH

MOST_FACES = 40_000
"""Triangles drawn of one class; finer surfaces look the same at this size."""
VIEWS = (("sagittal", 0), ("coronal", 1), ("axial", 2))
"""Names of the planes across the first, second and third axis, which NIfTI has as right, anterior and superior."""
MOST_FRAMES = 8


def colour(value: int) -> str:
    """Of the class with this label value."""
    return CORRECT[(value - 1) % len(CORRECT)]


def volumes(cases: list[Shown], class_names: list[str]) -> Figure:
    """A row per case: the three orthogonal slices through the middle of the foreground, and the classes' surfaces."""
    cell = WIDTH / 4
    figure = Figure(figsize=(WIDTH, len(cases) * cell + 0.75))
    # The cells of a grid, with a strip above for titles and one below for the legend.
    grid = figure.add_gridspec(
        len(cases), 4, left=0.06, right=0.995, wspace=0.06, hspace=0.08,
        top=1 - 0.28 / figure.get_figheight(), bottom=0.4 / figure.get_figheight(),
    )  # fmt: skip
    for row, case in enumerate(cases):
        spacing = case.spacing or (1.0, 1.0, 1.0)
        centre = _centre(case.label)
        for column, (name, axis) in enumerate(VIEWS):
            ax = figure.add_subplot(grid[row, column])
            _slice(ax, case, axis, centre[axis], spacing)
            if row == 0:
                ax.set_title(name, fontsize=9)
            if column == 0:
                ax.set_ylabel(case.id, fontsize=7.5)
        ax = figure.add_subplot(grid[row, 3], projection="3d")
        _surfaces(ax, case.label, spacing, len(class_names))
        if row == 0:
            ax.set_title("surfaces", fontsize=9)
    _legend(figure, class_names)
    return figure


def images(rows: list[list[Shown]], class_names: list[str], titles: list[list[str]]) -> Figure:
    """2D: each row of cases as a row of images and, below, the same with their labels."""
    columns = max(map(len, rows))
    height, width = rows[0][0].label.shape
    cell = min(2.4, WIDTH / columns)
    tall = cell * height / width
    figure = Figure(figsize=(max(cell * columns, 3.5), len(rows) * (2 * tall + 0.25) + 0.4))
    grid = figure.add_gridspec(
        2 * len(rows), columns, left=0.01, right=0.99, wspace=0.04, hspace=0.06,
        top=1 - 0.25 / figure.get_figheight(), bottom=0.42 / figure.get_figheight(),
    )  # fmt: skip
    for row, cases in enumerate(rows):
        for column, case in enumerate(cases):
            plain = figure.add_subplot(grid[2 * row, column])
            plain.imshow(_rgb(case.image), interpolation="nearest")
            plain.set_title(titles[row][column], fontsize=7, pad=2)
            marked = figure.add_subplot(grid[2 * row + 1, column])
            marked.imshow(labelled(_rgb(case.image), case.label), interpolation="nearest")
            for ax in (plain, marked):
                ax.set_axis_off()
    _legend(figure, class_names)
    return figure


def labelled(picture: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) in [0, 1] with its label (h, w) laid over it in the colours of the classes."""
    picture = picture.copy()
    for value in np.unique(label[label > 0]):
        inside = label == value
        edge = inside & ~ndimage.binary_erosion(inside)
        picture[inside] = 0.65 * picture[inside] + 0.35 * np.array(to_rgb(colour(value)))
        picture[edge] = to_rgb(colour(value))
    return picture


def _centre(label: np.ndarray) -> tuple[int, ...]:
    """The middle of the foreground, of the volume where there is none."""
    if not label.any():
        return tuple(length // 2 for length in label.shape)
    return tuple(int(round(place)) for place in ndimage.center_of_mass(label > 0))


def _slice(ax: Axes, case: Shown, axis: int, position: int, spacing: Sequence[float]) -> None:
    """The slice across an axis at a position, with its label, in true proportions. spacing: in mm."""
    # The later of the two axes points up, so a head stands on its neck.
    image = np.take(case.image, position, axis=axis + 1).swapaxes(-1, -2)
    label = np.take(case.label, position, axis=axis).T
    across, up = (length for other, length in enumerate(spacing) if other != axis)
    ax.imshow(labelled(_rgb(image), label), origin="lower", aspect=up / across, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_facecolor("black")


def _surfaces(ax: Axes3D, label: np.ndarray, spacing: Sequence[float], classes: int) -> None:
    """The surface of every class in a label (x, y, z), spacing in mm."""
    # The box is that of the foreground, which may fill a small part of the volume.
    box = ndimage.find_objects((label > 0).astype(np.int8))
    ends = [(s.start, s.stop) for s in box[0]] if box else [(0, side) for side in label.shape]
    for value in range(1, classes + 1):
        mask = np.pad(label == value, 1).astype(np.float32)
        if not mask.any():
            continue
        # A little blur takes the steps of the voxels off the surface.
        blurred = ndimage.gaussian_filter(mask, 0.7)
        level = 0.5 if blurred.max() > 0.5 else 0.5 * float(blurred.max())
        step = 1
        corners, faces, *_ = marching_cubes(blurred, level, spacing=tuple(map(float, spacing)), step_size=step)
        while len(faces) > MOST_FACES and step < 8:
            step += 1
            corners, faces, *_ = marching_cubes(blurred, level, spacing=tuple(map(float, spacing)), step_size=step)
        colours = np.tile(to_rgba(colour(value)), (len(faces), 1))
        surface = Poly3DCollection(corners[faces], facecolors=colours, linewidths=0, shade=True)
        ax.add_collection3d(surface)
    limits = [(low * mm, (high + 2) * mm) for (low, high), mm in zip(ends, spacing, strict=True)]
    ax.set(xlim=limits[0], ylim=limits[1], zlim=limits[2])
    ax.set_box_aspect([high - low for low, high in limits], zoom=1.25)
    ax.view_init(elev=20, azim=-60)
    ax.set_axis_off()


def _rgb(image: np.ndarray) -> np.ndarray:
    """(C, h, w) in [0, 1] -> (h, w, 3); other than three channels are shown as their mean in grey."""
    if len(image) != 3:
        image = np.repeat(image.mean(axis=0, keepdims=True), 3, axis=0)
    return np.clip(np.moveaxis(image, 0, -1), 0, 1)


def _legend(figure: Figure, class_names: list[str]) -> None:
    handles = [Patch(color=colour(value), label=name) for value, name in enumerate(class_names, 1)]
    figure.legend(handles=handles, loc="lower center", ncols=min(5, len(handles)), fontsize=8, frameon=False)
