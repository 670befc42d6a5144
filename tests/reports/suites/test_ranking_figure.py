"""Every method's mean DSC: an interval that is far wider than the others is cut at the frame."""

import pytest

from reports.numbers.curves import Variant
from reports.numbers.statistics import Estimate
from reports.paper.style import Look
from reports.suites.accuracy.ranking import dots


def drawn(*intervals):
    """The panel of methods with these intervals, their means in the middle."""
    variants = [Variant(f"method{place}", f"Method {place}") for place in range(len(intervals))]
    scores = [(variant, Estimate((low + high) / 2, low, high, 12, 12), None)
              for variant, (low, high) in zip(variants, intervals)]  # fmt: skip
    looks = dict.fromkeys(variants, Look("#0072B2", "o", "-"))
    (ax,) = dots({"camus": scores}, {variant: variant.title for variant in variants}, looks).axes
    return ax, [text.get_text() for text in ax.texts]


def test_like_intervals_are_all_inside():
    ax, texts = drawn((0.8, 0.84), (0.82, 0.85), (0.7, 0.76))
    low, high = ax.get_xlim()
    assert low < 0.7 and high > 0.85 and not {"◂", "▸"} & set(texts)


@pytest.mark.parametrize(("wide", "arrows"), [((0.4, 1.0), {"◂", "▸"}), ((0.4, 0.84), {"◂"})])
def test_one_far_wider_is_cut_where_it_leaves_the_frame(wide, arrows):
    ax, texts = drawn((0.8, 0.84), (0.82, 0.85), wide)
    low, high = ax.get_xlim()
    middle = sum(wide) / 2
    assert 0.4 < low < min(0.8, middle) and 0.85 < high < 1
    assert {"◂", "▸"} & set(texts) == arrows
