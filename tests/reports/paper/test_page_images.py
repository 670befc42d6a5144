"""report.html in a browser: leafing through maps and the images that methods made of them."""

import io

import numpy as np
import pytest
from PIL import Image

from reports.paper import html
from reports.paper.document import Browser, Case, Cell, Document, Heading

METHODS = ("Echo from Noise", "Replay")


def picture(grey: int, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 12), grey, np.uint8)).save(file, form)
    return file.getvalue()


def case(name: str, slices: int, first: int = 0) -> Case:
    levels = range(slices)
    return Case(
        "knee", name, ("femur", "tibia"), (tuple(picture(10 + k) for k in levels),),
        tuple(picture(60 + k, "PNG") for k in levels),
        {METHODS[0]: (Cell(tuple(picture(110 + k) for k in levels), "SSIM 0.5"),), METHODS[1]: (None,)},
        tuple(f"slice {k + 1} of {slices}" if slices > 1 else "" for k in levels), first,
        (("#1b9e77", "femur"), ("#4393c3", "tibia")),
    )  # fmt: skip


@pytest.fixture
def page(chromium, tmp_path):
    document = Document("Images", methods=METHODS)
    document.add(Heading("Test cases"), Browser("", ("",), (case("flat", 1), case("volume", 3, 2)), images=True))
    path = tmp_path / "images.html"
    path.write_text(html.render(document, tmp_path))
    chromium.get(path.as_uri())
    return chromium


def tiles(driver) -> list[dict]:
    """Of each tile that is shown: its words, the description of its picture, and the grey in its middle."""
    return driver.execute_async_script(
        """const done = arguments[0];
        const tiles = [...document.querySelectorAll(".tile")].filter((tile) => !tile.hidden);
        Promise.all(tiles.map(async (tile) => {
          const [button, base, paint] = [".enlarge", ".base", ".paint"].map((name) => tile.querySelector(name));
          const words = tile.querySelector("figcaption").textContent.trim();
          if (button.hidden) return { words, grey: null };
          await base.decode();
          const canvas = document.createElement("canvas");
          const context = canvas.getContext("2d");
          context.drawImage(base, 0, 0);
          const grey = context.getImageData(6, 4, 1, 1).data[0];
          return { words, alt: base.alt, grey, painted: !paint.hidden, kind: base.src.slice(5, 15) };
        })).then(done);"""
    )


def test_map_real_image_and_what_was_made_of_it_stand_side_by_side(page):
    label_map, real, made, missing = tiles(page)
    assert [one["words"] for one in (label_map, real, made)] == ["Label map", "Real image", f"{METHODS[0]} SSIM 0.5"]
    assert [round(one["grey"], -1) for one in (label_map, real, made)] == [60, 10, 110]
    assert (label_map["alt"], real["alt"]) == ("Label map, flat", "Real image, flat")
    assert made["alt"] == f"Image made by {METHODS[0]}, flat" and label_map["kind"].startswith("image/png")
    assert not any(one["painted"] for one in (label_map, real, made))
    assert missing == {"words": f"{METHODS[1]} not stored", "grey": None}
    legend = [item.text for item in page.find_elements("css selector", ".legend li")]
    assert legend == ["femur", "tibia"] and page.get_log("browser") == []


def test_the_slices_of_a_volume_are_leafed_through_together(page):
    page.execute_script("const c = document.querySelector('.case'); c.value = 1; c.dispatchEvent(new Event('change'));")
    status = page.find_element("css selector", ".status")
    assert status.text == "knee, volume, slice 3 of 3"
    assert [one["grey"] for one in tiles(page)[:3]] == pytest.approx([62, 12, 112], abs=1)
    page.execute_script("const s = document.querySelector('.slice'); s.value = 0; s.dispatchEvent(new Event('input'));")
    assert status.text == "knee, volume, slice 1 of 3"
    assert [one["grey"] for one in tiles(page)[:3]] == pytest.approx([60, 10, 110], abs=1)
