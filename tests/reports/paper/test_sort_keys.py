"""What cells of tables are sorted by."""

import math

import pandas as pd
import pytest

from reports.paper import sort_keys
from reports.paper.document import Table


@pytest.mark.parametrize(
    "text, key",
    [("0.912 [0.901, 0.923]", 0.912), ("–", None), ("−0.3", -0.3), ("+0.02", 0.02), ("12 ms", 0.012), ("3.4 s", 3.4),
     ("3 min 20 s", 200), ("2 h 05 min", 7500), ("5 min 12 s (800 steps)", 312), ("1.62 M", 1.62e6), ("34.1 k", 34100),
     ("12,345 MiB", 12345), ("0.8 MiB", 0.8), ("1 [1–3]", 1), ("3 of 40", 3), ("1e-05", 1e-5), ("`0.5`", 0.5),
     ("**2**", 2), ("", None), ("words", None), ("58 %", 58), (".5", 0.5), ("1e+03", 1000)],
)  # fmt: skip
def test_cells_are_sorted_by_what_they_say(text, key):
    assert sort_keys.key(text) == (None if key is None else pytest.approx(key))


def test_what_lies_beyond_a_number_is_sorted_next_to_it():
    assert 0.5 < sort_keys.key("> 0.5") < 0.5000001 and 0.0009 < sort_keys.key("< 0.001") < 0.001


def test_unrounded_numbers_sort_where_they_stand_cell_by_cell_and_words_sort_as_words():
    shown = pd.DataFrame({"method": ["A", "B", "C"], "DSC": ["0.91", "0.91", "–"]})
    exact = pd.DataFrame({"m": ["a", "b", "c"], "dsc": [0.9149, 0.9051, math.nan]})
    assert sort_keys.columns(Table("t", "", shown, exact)) == [None, [0.9149, 0.9051, None]]
    assert sort_keys.columns(Table("t", "", shown, exact.assign(more=1))) == [None, [0.91, 0.91, None]]
    assert sort_keys.columns(Table("t", "", shown[:0])) == [None, None]
