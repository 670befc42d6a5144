"""Pictures of every common kind are read as they are looked at, or refused by name."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from datasets.base import DataError
from datasets.files import load, load_image, load_label
from datasets.formats import admit

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (21, 30), np.uint8)
COLOUR = RANDOM.integers(0, 256, (21, 30, 3), np.uint8)
DEEP = RANDOM.integers(0, 2**16, (21, 30), np.uint16)


def as_rgb(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def test_a_palette_gives_its_colours_as_image_and_its_indices_as_label(tmp_path):
    picture = Image.fromarray(COLOUR).quantize(7)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(load(tmp_path / "a.png")[0], as_rgb(picture))
    np.testing.assert_array_equal(load_label(tmp_path / "a.png"), np.asarray(picture))


def test_a_palette_of_greys_is_grey(tmp_path):
    Image.fromarray(GREY).convert("P").save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(load(tmp_path / "a.bmp")[0], GREY)


def test_print_colours_become_red_green_and_blue(tmp_path):
    picture = Image.fromarray(np.full((16, 16, 4), (0, 200, 100, 50), np.uint8), "CMYK")
    picture.save(tmp_path / "a.jpg", quality=100)
    tifffile.imwrite(tmp_path / "a.tif", np.asarray(picture), photometric="separated")
    for name in ("a.jpg", "a.tif"):
        # Pillow's own conversion is the plain one; a rounding apart.
        assert np.abs(load(tmp_path / name)[0].astype(int) - as_rgb(picture)).max() <= 3, name
    with pytest.raises(DataError, match=r"a\.jpg is a colour picture"):
        load_label(tmp_path / "a.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_pictures_are_turned_as_their_tag_says(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[274] = orientation
    smooth = np.add.outer(np.arange(16) * 3, np.arange(24) * 8).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / name, exif=exif)
    upright = Image.fromarray(smooth)
    upright.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright)).astype(int)
    assert load(tmp_path / name)[0].shape == expected.shape
    assert np.abs(load(tmp_path / name)[0] - expected).max() <= 2


def test_alpha_is_left_out_of_images_and_refused_in_labels_where_it_says_something(tmp_path):
    alpha = np.full((21, 30), 255, np.uint8)
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "opaque.png")
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(load(tmp_path / "opaque.png")[0], COLOUR)
    np.testing.assert_array_equal(load_label(tmp_path / "grey.png"), GREY)
    alpha[:5] = 0
    Image.fromarray(np.dstack([GREY * 0, alpha])).save(tmp_path / "holes.png")
    with pytest.raises(DataError, match=r"holes\.png is transparent in places"):
        load_label(tmp_path / "holes.png")


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    Image.fromarray(DEEP).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(load(tmp_path / "grey.png")[0], DEEP)
    assert load_image(tmp_path / "grey.png")[0].max() == pytest.approx(DEEP.max() / 65535)
    import imagecodecs

    colours = RANDOM.integers(0, 2**16, (21, 30, 3), np.uint16)
    (tmp_path / "colour.png").write_bytes(imagecodecs.png_encode(colours))
    np.testing.assert_array_equal(load(tmp_path / "colour.png")[0], colours)


TIFFS = {
    "plain": (GREY, {}),
    "big-endian 16 bits": (DEEP, {"byteorder": ">"}),
    "float": (GREY.astype(np.float32) / 7, {}),
    "signed": (GREY.astype(np.int16) - 100, {}),
    "bits": (GREY > 100, {"photometric": "minisblack"}),
    "LZW with predictor": (COLOUR, {"compression": "lzw", "predictor": True}),
    "deflate in tiles": (COLOUR, {"compression": "zlib", "tile": (16, 16)}),
    "ZSTD": (DEEP, {"compression": "zstd"}),
    "packbits": (GREY, {"compression": "packbits"}),
    "LZMA in strips": (GREY, {"compression": "lzma", "rowsperstrip": 4}),
    "planes": (np.moveaxis(COLOUR, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "BigTIFF": (GREY, {"bigtiff": True}),
    "ImageJ": (DEEP, {"imagej": True}),
    "OME": (DEEP, {"ome": True}),
    "alpha": (np.dstack([COLOUR, GREY]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_every_kind_of_tiff_holds_its_picture(tmp_path, kind):
    array, how = TIFFS[kind]
    tifffile.imwrite(tmp_path / "a.tif", array, **how)
    expected = np.moveaxis(array, 0, -1) if kind == "planes" else array[..., :3] if kind == "alpha" else array
    found = load(tmp_path / "a.tif")[0]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype.newbyteorder("=")


def test_a_tiff_of_which_0_is_white_is_turned_round_and_a_palette_looked_up(tmp_path):
    tifffile.imwrite(tmp_path / "white.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(load(tmp_path / "white.tif")[0], 255 - GREY)
    # NumPy's masks are written so: what is 1 in the array is to stay the foreground.
    tifffile.imwrite(tmp_path / "mask.tif", GREY > 200)
    np.testing.assert_array_equal(load_label(tmp_path / "mask.tif"), GREY > 200)
    table = RANDOM.integers(0, 256, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "palette.tif", GREY, photometric="palette", colormap=table * 257)
    np.testing.assert_array_equal(load(tmp_path / "palette.tif")[0], table.T[GREY])
    np.testing.assert_array_equal(load_label(tmp_path / "palette.tif"), GREY)


def test_a_jpeg_inside_a_tiff_is_read_in_its_colours(tmp_path):
    smooth = np.dstack([np.full((32, 32), value, np.uint8) for value in (200, 100, 50)])
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg", photometric="rgb")
    assert np.abs(load(tmp_path / "a.tif")[0].astype(int) - smooth).max() <= 3


def test_reduced_copies_of_a_page_are_passed_over_and_further_pages_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(COLOUR, photometric="rgb")
        file.write(COLOUR[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(load(tmp_path / "pyramid.tif")[0], COLOUR)
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([GREY] * 3), photometric="minisblack")
    with pytest.raises(DataError, match=r"stack\.tif holds 3 pages"):
        load(tmp_path / "stack.tif")


def test_a_tiff_whose_strips_are_not_there_is_not_read_as_zeros(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, rowsperstrip=4, compression="zlib")
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) - 100])
    with pytest.raises(DataError, match=r"a\.tif cannot be read: not all of its 6 strips"):
        load(tmp_path / "a.tif")


def test_colours_that_are_not_known_are_refused_as_such(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="cielab")
    with pytest.raises(DataError, match=r"a\.tif is stored in a way that cannot be read: the colours CIELAB"):
        load(tmp_path / "a.tif")


def test_a_header_that_announces_what_no_memory_holds_is_refused_before_it_is_taken(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**20, 2**20)}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"a\.npy cannot be read: its header announces 1048576x1048576 values"):
        load(tmp_path / "a.npy")
    tifffile.imwrite(tmp_path / "b.tif", GREY)
    data = bytearray((tmp_path / "b.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        places = [file.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    for place in places:
        data[place : place + 4] = (2**30).to_bytes(4, "little")
    (tmp_path / "b.tif").write_bytes(data)
    with pytest.raises(DataError, match=r"b\.tif cannot be read: its header announces .* more than the file can hold"):
        load(tmp_path / "b.tif")
    with pytest.raises(DataError, match=r"c\.jpg announces 4194304x4194304 values, .* GiB are needed"):
        admit(tmp_path / "c.jpg", (2**22, 2**22), 1)


def test_a_file_of_another_kind_under_a_known_name_is_no_picture(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png cannot be read: cannot identify image file"):
        load(tmp_path / "a.png")
