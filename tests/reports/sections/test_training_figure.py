"""The figure of training curves: everything that it shows is inside it."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.paper import style
from reports.sections import training_figure

METHODS = ("ldseg", "lsegdiff", "resunet", "unet")


@pytest.mark.parametrize("count", range(1, len(METHODS) + 1))
def test_the_legend_is_inside_the_figure_and_below_the_panels(fabricate, count):
    """One with a ceiling first, then one in two stages: all entries that a legend can have."""
    for method in METHODS[:count]:
        stages = ("autoencoder", "denoiser") if method == "lsegdiff" else ("train",)
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=4, stages=stages, samples=False)
    style.theme()
    look = style.Look("#555555", "o", style.SOLID)
    figure = training_figure.draw({trial.label: (look, [trial]) for trial in fabricate.results().trials})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent(canvas.get_renderer())
    assert legend.get_texts()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1
    assert box.y1 <= min(axes.get_tightbbox(canvas.get_renderer()).y0 for axes in figure.axes)
