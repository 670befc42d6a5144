"""What the points of a figure stand for."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from reports.paper import style


def lines_of(figure, folder):
    style.save(figure, folder, "it")
    return json.loads((folder / "figures" / "it.json").read_text())["lines"]


def test_a_point_lies_where_it_was_drawn_and_says_its_values(tmp_path):
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.plot([0, 1, 2], [5, 5, 8], "s", color="#ff0000", markersize=4, label="LDSeg")
    ax.set(xlabel="\u03c3", ylabel="DSC", title="glas")
    (line,) = lines_of(figure, tmp_path)
    assert (line["name"], line["x"], line["y"]) == ("glas: LDSeg", "\u03c3", "DSC")
    assert [point[2:] for point in line["points"]] == [["0", "5"], ["1", "5"], ["2", "8"]]
    picture = np.asarray(Image.open(tmp_path / "figures" / "it.png").convert("RGB")).astype(int)
    height, width, _ = picture.shape
    for across, down, *_ in line["points"]:
        red, green, _ = picture[int(down * height), int(across * width)]
        assert red > 200 and green < 120


def test_names_come_from_the_legend_and_words_from_the_axis(tmp_path):
    figure = Figure(figsize=(4, 3))
    one, other = figure.subplots(2, sharex=True)
    one.plot([0.2], [0], "o", color="#0072B2")
    one.plot([0.1, 0.4], [0, 0], color="#0072B2")
    one.set_yticks([0], ["U-Net"])
    other.plot([0.3], [1.5], "o", color="#0072B2")
    other.axvline(0.1)
    other.set_xlabel("mean DSC")
    figure.legend([Line2D([], [], color="#0072B2", marker="o")], ["a method"])
    found = lines_of(figure, tmp_path)
    assert [(line["name"], line["x"], line["points"][0][2:]) for line in found] == [
        ("a method", "mean DSC", ["0.2", "U-Net"]),
        ("a method", "mean DSC", ["0.3", "1.5"]),
    ]


def test_long_lines_are_thinned_and_what_is_outside_or_undefined_is_left_out(tmp_path):
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.plot(np.arange(1000), np.arange(1000), ".")
    ax.plot([0, 1, np.nan], [np.nan, 1, 2], "x")
    found = lines_of(figure, tmp_path)
    assert len(found[0]["points"]) == 60 and found[0]["points"][-1][2] == "999"
    assert [point[2] for point in found[1]["points"]] == ["1"]


@pytest.mark.parametrize("drawn", [lambda ax: ax.imshow(np.zeros((4, 4))), lambda ax: ax.axhline(1), lambda ax: None])
def test_a_figure_without_points_has_no_file_of_them(drawn, tmp_path):
    figure = Figure(figsize=(2, 2))
    drawn(figure.subplots())
    style.save(figure, tmp_path, "it")
    assert not (tmp_path / "figures" / "it.json").exists()
