"""Moving pictures: panels side by side that change from frame to frame, as a GIF that any browser shows."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DPI = 100
LIMIT = 1_400_000
"""Bytes: what a page with several animations can carry. Where a GIF has more, it gets fewer colours."""
COLORS = (256, 128, 64, 32)
NEARLY_WHITE = 246
PAUSE = 2.5
"""Seconds the last frame stays before the first one comes again."""
PER_ROW = 4
PANEL = 1.85
"""Inches: the largest width of a panel."""


class Frame(NamedTuple):
    """title: what changes, above all panels; pictures: per panel (h, w, 3) in [0, 1], of the same shapes in all frames;
    notes: per panel what is printed into its corner, or nothing."""

    title: str
    pictures: list[np.ndarray]
    notes: list[str]


def write(frames: list[Frame], panels: list[str], handles: list, folder: Path, name: str, seconds: float = 0.7) -> None:
    """figures/NAME.gif under the report's folder, repeated for ever. The same frames give the same bytes.

    panels: a title for each; handles: legend; seconds: how long a frame stays."""
    images, place = _drawn(frames, panels, handles)
    # One palette for all frames: with one each, colours that stay would flicker. Half of it is for the first panel,
    # whose colours, with noise on them, would leave none to the others.
    first = _sheet([image.crop(place) for image in images])
    for image in (rest := [image.copy() for image in images]):
        image.paste("white", place)
    for colors in COLORS:
        palette = _palette([first, _sheet(rest)], colors // 2)
        content = _gif([image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images], seconds)
        if len(content) <= LIMIT:
            break
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "figures" / f"{name}.gif").write_bytes(content)


def _sheet(images: list[Image.Image]) -> Image.Image:
    return Image.fromarray(np.concatenate([np.asarray(image) for image in images]))


def _palette(sheets: list[Image.Image], colors: int) -> Image.Image:
    """An image that has the palettes of the sheets, so many colours of each, nearly white ones made white, lest the
    picture stand out from a white page."""
    found = []
    for sheet in sheets:
        part = sheet.quantize(colors, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        found += part.getpalette()[: 3 * colors]
    table = np.array(found).reshape(-1, 3)
    table[table.min(axis=1) >= NEARLY_WHITE] = 255
    image = Image.new("P", (1, 1))
    image.putpalette(table.ravel().tolist())
    return image


def _gif(images: list[Image.Image], seconds: float) -> bytes:
    stay = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * PAUSE)]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=stay, loop=0, optimize=False)
    return file.getvalue()


def _drawn(frames: list[Frame], panels: list[str], handles: list) -> tuple[list[Image.Image], tuple[int, ...]]:
    """The frames as RGB images, and where the first panel lies in them (left, top, right, bottom).

    Figure and legend are laid out once, since that takes most of the time.
    """
    columns = min(PER_ROW, len(panels))
    rows = -(-len(panels) // columns)
    shape = np.max([picture.shape[:2] for picture in frames[0].pictures], axis=0)
    height, gap, title, top, legend = PANEL * shape[0] / shape[1], 0.08, 0.22, 0.34, 0.3
    width, height = (PANEL, height) if height <= 1.4 * PANEL else (PANEL * 1.4 * PANEL / height, 1.4 * PANEL)
    # A legend in one row where it fits, else in two.
    wide = max(columns * width + (columns + 1) * gap, 4.6)
    legend_columns = max(1, min(len(handles), int(wide / 1.55)))
    legend = 0.1 + 0.19 * -(-len(handles) // legend_columns)
    tall = top + rows * (title + height) + (rows - 1) * gap + legend
    figure = Figure(figsize=(wide, tall), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    left = (wide - columns * width - (columns - 1) * gap) / 2
    heading = figure.text(left / wide, 1 - 0.2 / tall, "", va="center", fontsize=11.5)
    shown, notes = [], []
    for place, name in enumerate(panels):
        row, column = divmod(place, columns)
        bottom = tall - top - (row + 1) * (title + height) - row * gap
        where = (left + column * (width + gap)) / wide, bottom / tall, width / wide, height / tall
        ax = figure.add_axes(where)
        ax.set_axis_off()
        ax.set_title(name, fontsize=9.5, fontweight="normal", pad=3)
        shown.append(ax.imshow(frames[0].pictures[place], interpolation="nearest", aspect="equal"))
        notes.append(
            ax.text(0.97, 0.03, "", transform=ax.transAxes, ha="right", va="bottom", fontsize=9.5, color="black",
                    bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.6})
        )  # fmt: skip
    if handles:
        figure.legend(
            handles=handles, loc="lower center", ncols=legend_columns, fontsize=8.5, handlelength=1.3,
            columnspacing=1.2, borderaxespad=0.15, frameon=False,
        )  # fmt: skip
    images = []
    for frame in frames:
        heading.set_text(frame.title)
        for picture, image, note, text in zip(frame.pictures, shown, notes, frame.notes, strict=True):
            image.set_data(picture)
            note.set_text(text)
            note.set_visible(bool(text))
        canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    box = shown[0].axes.get_window_extent()
    place = (round(box.x0), round(images[0].height - box.y1), round(box.x1), round(images[0].height - box.y0))
    return images, place
