"""Pictures as arrays: Pillow reads PNG, BMP and JPEG, tifffile TIFF.

An image comes back as it is looked at: colours of a palette or of print as red, green and blue, turned as its EXIF
orientation says, without its alpha channel. A label comes back with the values that are stored: of a palette the
indices, and of a TIFF in which 0 is white what it has.
"""

import logging
import math
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from datasets.base import DataError
from datasets.formats import DEFLATED, TIFF, admit, ending, file_size

# What tifffile finds odd is either read all the same or refused here, with the name of the file.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
# A picture may be as large as memory allows, which is made sure of here.
Image.MAX_IMAGE_PIXELS = None
PILLOW = ("PNG", "BMP", "DIB", "JPEG")
"""Kinds that Pillow is let open; as JPEG also a camera's MPO."""
ORIENTATION = 274
"""Number of the tag that says how a picture is to be turned, in EXIF and TIFF."""
PLAIN = ("1", "L", "RGB", "I;16", "I;16L", "I;16B", "I;16N", "I")
GREY_ALPHA, COLOUR_ALPHA = ("LA", "La"), ("RGBA", "RGBa", "RGBX")
PRINTED = ("CMYK", "YCbCr", "LAB", "HSV")
PNG_COLOURS = (2, 4, 6)
"""Colour types of a PNG with more than one channel; Pillow would read 8 of their 16 bits."""


def load_picture(path: Path, label: bool = False) -> np.ndarray:
    """(H, W) or (H, W, channels) of the type stored: bool, uint8, uint16, or what a TIFF has. label: values as stored.

    To be called within `formats.reading`. Raises DataError for several pages, for colours that are not known, and for a
    label whose alpha channel says something.
    """
    return _tiff(path, label) if ending(path) in TIFF else _picture(path, label)


def _picture(path: Path, label: bool) -> np.ndarray:
    with Image.open(path, formats=PILLOW) as picture:
        depth = _png_depth(path) if picture.format == "PNG" else 8
        bands = len(picture.getbands())
        # JPEG and run lengths hold no more a byte than deflate does; of one bit a pixel there are eight.
        admit(path, (*picture.size[::-1], *([bands] if bands > 1 else [])), depth // 8, 8 * DEFLATED * file_size(path))
        # The further pictures of a camera's MPO are previews and other views.
        if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
            _refuse_pages(path, picture.n_frames)
        turn = int(picture.getexif().get(ORIENTATION, 1) or 1)
        if depth == 16 and bands > 1:
            array = imagecodecs.png_decode(path.read_bytes())
            return _turned(_without_alpha(path, array, label, array.shape[-1] in (2, 4)), turn)
        return _turned(_converted(path, picture, label), turn)


def _png_depth(path: Path) -> int:
    """Bits of a channel, by the header that every PNG begins with."""
    with path.open("rb") as file:
        head = file.read(26)
    return 16 if head[24] == 16 else 8


def _converted(path: Path, picture: Image.Image, label: bool) -> np.ndarray:
    mode = picture.mode
    if mode == "P" and label:
        return np.asarray(picture)
    if mode in ("P", "PA"):
        if label:
            raise DataError(f"{path} has a palette with alpha, expected plain class values. Save it as a grey PNG.")
        colours = np.asarray(picture.convert("RGB"))
        return colours[..., 0] if (colours == colours[..., :1]).all() else colours
    if mode in GREY_ALPHA + COLOUR_ALPHA:
        return _without_alpha(path, np.asarray(picture), label, mode != "RGBX")
    if mode in PRINTED:
        return np.asarray(picture.convert("RGB"))
    if mode not in PLAIN:
        raise NotImplementedError(f"a picture of mode {mode}")
    array = np.asarray(picture)
    # Pillow before 10.3 gives 16 bits as int32.
    return array.astype(np.uint16) if mode.startswith("I") and picture.format == "PNG" else array


def _without_alpha(path: Path, array: np.ndarray, label: bool, alpha: bool) -> np.ndarray:
    """Without the last channel; one channel becomes (H, W)."""
    if not alpha and array.shape[-1] == 3:
        return array
    if label and alpha and (array[..., -1] != array[0, 0, -1]).any():
        raise DataError(
            f"{path} is transparent in places, expected a class value per pixel in one channel. Save what is meant as "
            "a grey PNG."
        )
    array = array[..., :-1]
    return array[..., 0] if array.shape[-1] == 1 else array


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """The rows and columns in the order in which they are looked at (EXIF 2.32, tag Orientation)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def _refuse_pages(path: Path, pages: int) -> None:
    raise DataError(
        f"{path} holds {pages} pages, expected one 2D image a file. "
        "Split it into single images, or save a volume as NIfTI or npz."
    )


# ---- TIFF -----------------------------------------------------------------------------------------------------------

REDUCED, TRANSPARENCY = 1, 4
"""Bits of the tag NewSubfileType: a smaller copy of another page, and a mask of one."""
MOST_PAGES = 64
RATIOS = {1: 1, 5: 2**11, 8: DEFLATED, 32946: DEFLATED, 32773: 2**7}
"""Bytes that a byte can hold at most, by number of the compression: none, LZW, deflate (two numbers), PackBits."""
ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
COLOURS = tifffile.PHOTOMETRIC


def _tiff(path: Path, label: bool) -> np.ndarray:
    with tifffile.TiffFile(path, _multifile=False) as file:
        page: Any = file.pages[0]
        planes = max(_full_pages(file), int(page.imagedepth or 1))
        if planes > 1:
            _refuse_pages(path, planes)
        return load_page(path, page, label)


def load_page(path: Path, page: Any, label: bool) -> np.ndarray:
    """One page (tifffile.TiffPage) of an open TIFF file, as `load_picture` promises."""
    stored = 8 * RATIOS.get(int(page.compression), math.inf) * file_size(path)
    admit(path, page.shape, page.dtype.itemsize if page.dtype else 1, stored)
    _check_segments(path, page)
    array = np.asarray(page.asarray(maxworkers=1))
    axes = page.axes
    if axes == "SYX":
        array, axes = np.moveaxis(array, 0, -1), "YXS"
    if axes not in ("YX", "YXS") or array.dtype.kind not in "biuf":
        raise NotImplementedError(f"axes {axes} with values of type {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    tag = page.tags.get(ORIENTATION)
    return _turned(_tiff_colours(path, page, array, label), int(tag.value) if tag else 1)


def _full_pages(file: tifffile.TiffFile) -> int:
    """Pages that are no smaller copy or mask of another, counted up to MOST_PAGES: a damaged file can have endless."""
    count = 0
    for number in range(MOST_PAGES):
        try:
            page: Any = file.pages[number]
        except IndexError:
            break
        count += not int(getattr(page, "subfiletype", 0) or 0) & (REDUCED | TRANSPARENCY)
    return count


def _check_segments(path: Path, page: Any) -> None:
    """Raises EOFError where strips or tiles are missing, which would otherwise be read as zeros."""
    size = file_size(path)
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    expected = int(np.prod([max(int(n), 1) for n in page.chunked]))
    if len(places) < expected or any(offset <= 0 or count <= 0 or offset + count > size for offset, count in places):
        raise EOFError(f"not all of its {expected} strips or tiles are there")


def _tiff_colours(path: Path, page: Any, array: np.ndarray, label: bool) -> np.ndarray:
    """As `load_picture` promises, from what the page's tags say of its channels."""
    kind = page.photometric
    if kind == COLOURS.MINISWHITE and not label:
        if array.dtype.kind not in "bu":
            raise NotImplementedError(f"values of type {array.dtype} of which the smallest is white")
        array = ~array if array.dtype == bool else np.asarray(2 ** int(page.bitspersample) - 1 - array, array.dtype)
    elif kind == COLOURS.PALETTE and not label:
        array = _looked_up(array, np.asarray(page.colormap))
    elif kind == COLOURS.SEPARATED:
        if array.ndim != 3 or array.shape[-1] != 4 or array.dtype.kind != "u":
            raise NotImplementedError(f"print colours of shape {array.shape} and type {array.dtype}")
        most = float(np.iinfo(array.dtype).max)
        ink = array.astype(np.float32) / most
        array = np.rint((1 - ink[..., :3]) * (1 - ink[..., 3:]) * most).astype(array.dtype)
    elif kind == COLOURS.YCBCR:
        # What is packed as JPEG is turned into red, green and blue while it is unpacked.
        if int(page.compression) not in (6, 7) or array.ndim != 3:
            raise NotImplementedError("YCbCr that is not packed as JPEG")
    elif kind not in (COLOURS.MINISBLACK, COLOURS.MINISWHITE, COLOURS.RGB, COLOURS.PALETTE):
        raise NotImplementedError(f"the colours {getattr(kind, 'name', kind)}")
    extra = tuple(page.extrasamples or ())
    alpha = bool(extra) and extra[-1] in ALPHA or (kind == COLOURS.RGB and array.ndim == 3 and array.shape[-1] == 4)
    return _without_alpha(path, array, label, True) if alpha and array.ndim == 3 else array


def _looked_up(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours uint8 of a palette (3, colours), grey (H, W) where all of them are. Some programs write 8 of 16 bits."""
    table = (palette // 257 if palette.max() > 255 else palette).astype(np.uint8).T
    colours = table[indices]
    return colours[..., 0] if (table == table[:, :1]).all() else colours
