"""Which methods and class a row or column of a table is about."""

import pandas as pd
import pytest

from reports.paper import filters, html
from reports.paper.document import Document, Table

METHODS = ("LDSeg", "LDSeg direct", "LDSeg (ld)", "U-Net", "U-Net++")
DOCUMENT = Document("T", methods=METHODS, classes=("LV", "LA", "pooled"))


@pytest.mark.parametrize(
    "text, found",
    [
        ("LDSeg", [0]),
        ("LDSeg (2 steps)", [0]),
        ("LDSeg direct", [1]),
        ("LDSeg (ld) (2 steps)", [2]),
        ("U-Net++: declined: one class", [4]),
        ("LDSeg (2 steps) \u2212 U-Net", [0, 3]),
        ("LDSegment", []),
        ("the U-Net", []),
        ("0.9", []),
    ],
)
def test_a_cell_names_the_method_whose_name_fits_longest(text, found):
    assert filters.methods_in(text, METHODS) == found


def test_a_row_is_about_all_methods_it_names_and_the_class_of_its_column():
    names = ["data set", "comparison", "class"]
    assert filters.of_row(names, ["glas", "**LDSeg** \u2212 U-Net", "LA"], DOCUMENT) == {"methods": [0, 3], "klass": 1}
    assert filters.of_row(names[::-1], ["LA", "U-Net", "glas"], DOCUMENT)["klass"] == 1
    assert filters.of_row(["method", "what"], ["U-Net", "LA"], DOCUMENT)["klass"] is None


def test_a_column_is_about_the_method_or_the_class_in_its_head():
    assert filters.of_column("DSC LA", DOCUMENT) == {"methods": [], "klass": 1}
    assert filters.of_column("U-Net++", DOCUMENT) == {"methods": [4], "klass": None}
    assert filters.of_column("LA", DOCUMENT)["klass"] is None and filters.of_column("DSC", DOCUMENT)["klass"] is None


def test_a_page_of_one_method_and_one_class_has_no_filter(tmp_path):
    table = Table("t", "T.", pd.DataFrame({"method": ["A"], "x": ["1"]}))
    assert '<details class="filter">' not in html.render(Document("T", [table], methods=("A",)), tmp_path)
    assert '<details class="filter">' in html.render(Document("T", [table], methods=("A", "B")), tmp_path)
