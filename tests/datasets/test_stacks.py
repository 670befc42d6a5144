"""TIFF files with the pages of a volume are read as one where volumes are asked for, else refused by name."""

import numpy as np
import pytest
import tifffile

from datasets.base import DataError
from datasets.files import load
from datasets.folder import Folder
from datasets.volumes import load_volume, spatial_axes

VOXELS = np.random.default_rng(0).integers(0, 2**16, (9, 7, 5), np.uint16)
"""(X, Y, Z)."""
PAGES = VOXELS.transpose(2, 1, 0)


def test_the_pages_of_a_stack_are_its_slices(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PAGES, photometric="minisblack", compression="zlib")
    found = load_volume(path)
    np.testing.assert_array_equal(found.voxels, VOXELS)
    assert spatial_axes(path) == 3 and found.spacing is None


def test_imagej_notes_the_spacing(tmp_path):
    path = tmp_path / "a.tif"
    notes = {"spacing": 3.0, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(path, PAGES, imagej=True, resolution=(4, 2), metadata=notes)
    found = load_volume(path)
    np.testing.assert_array_equal(found.voxels, VOXELS)
    np.testing.assert_allclose(found.spacing, (0.25e-3, 0.5e-3, 3e-3))


@pytest.mark.parametrize(("axes", "what"), [("TYX", "frames"), ("CYX", "channels")])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_films_and_channels_are_no_volumes(tmp_path, axes, what, name):
    path = tmp_path / name
    tifffile.imwrite(path, PAGES, imagej=name == "a.tif", photometric="minisblack", metadata={"axes": axes})
    with pytest.raises(DataError, match=rf"{name} holds 5 page\(s\) that are {what}.*a file of its own"):
        load_volume(path)


def test_pages_without_end_are_not_followed(tmp_path):
    """The last page's link leads back to the first one."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PAGES[:2], photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        first, last = (page.offset for page in file.pages)
    content = bytearray(path.read_bytes())
    link = last + 2 + 12 * int.from_bytes(content[last : last + 2], "little")
    content[link : link + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif: its page 3 is one of those before it"):
        load_volume(path)


def test_pages_of_several_sizes_and_colours_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as file:
        for page in (PAGES[0], PAGES[1, :5]):
            file.write(page, contiguous=False, photometric="minisblack")
    with pytest.raises(DataError, match=r"sizes\.tif: page 2 has the size \(5, 9\)"):
        load_volume(tmp_path / "sizes.tif")
    tifffile.imwrite(tmp_path / "colours.tif", np.zeros((4, 8, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"colours\.tif holds colours"):
        load_volume(tmp_path / "colours.tif")


def test_a_folder_of_stacks_is_one_of_volumes_and_a_stack_among_pictures_is_refused(tmp_path):
    for kind, pages in (("images", PAGES), ("masks", (PAGES > 30000).astype(np.uint8))):
        (tmp_path / kind).mkdir()
        for number in range(4):
            tifffile.imwrite(tmp_path / kind / f"case{number}.tif", pages, photometric="minisblack")
    source = Folder(tmp_path / "images", tmp_path / "masks")
    case = source.read(source.entries()[0])
    assert source.spatial_dims == 3 and case.image.shape == (1, 9, 7, 5)
    np.testing.assert_array_equal(case.label, VOXELS > 30000)
    with pytest.raises(DataError, match=r"case0\.tif holds 5 pages, expected one 2D image"):
        load(tmp_path / "images" / "case0.tif")
