"""How figures look: one theme, and for every method one colour, marker and line that it keeps in all figures.

Colours follow Okabe and Ito's palette for colour-blind readers (Color Universal Design, 2008) and differ in lightness;
marker and line tell methods apart in black-and-white print.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import seaborn  # noqa: E402  (the backend is chosen before anything can open a window)
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import to_hex, to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from reports.numbers.curves import Curve, Variant
from reports.paper import marks

DPI = 160
WIDTH = 7.6
"""Inches: the width of a page's text."""

SOLID, DASHED, DOTTED, DASHDOT = "-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1.2, 2))
LONG, DOUBLE = (0, (9, 2.5)), (0, (4, 1.5, 1, 1.5, 1, 1.5))
LINES = (SOLID, DASHED, DASHDOT, DOTTED, LONG, DOUBLE)


@dataclass(frozen=True)
class Look:
    """How a method is drawn. color: as #rrggbb; line: a style of matplotlib; filled: whether its markers are."""

    color: str
    marker: str
    line: object
    filled: bool = True

    @property
    def plot(self) -> dict:
        """Keyword arguments for Axes.plot."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.line,
            "markerfacecolor": self.color if self.filled else "white",
            "markeredgecolor": self.color,
        }

    @property
    def point(self) -> dict:
        """The same without a line; what is hollow lets others be seen through it."""
        return self.plot | {"linestyle": "none", "markerfacecolor": self.color if self.filled else "none"}


LOOKS = {
    "ldseg": Look("#0072B2", "o", SOLID),
    "resunet": Look("#D55E00", "s", DASHED),
    "lsegdiff": Look("#009E73", "^", DASHDOT),
    "medsegdiff": Look("#CC79A7", "v", DOTTED),
    "sdf_ddpm": Look("#E69F00", "D", LONG),
    "flowsdf": Look("#C51B7D", "d", SOLID),
    "sdseg": Look("#7B5FC4", "^", DOUBLE),
    "unet": Look("#56B4E9", "P", DOUBLE),
    "unetpp": Look("#332288", "X", DASHED),
    "vnet": Look("#882255", "<", DASHDOT),
    "nnunet": Look("#000000", "*", SOLID),
    "swinunet": Look("#7A5C00", ">", DOTTED),
    "swinunetr": Look("#5E8A00", ">", DASHED),
    "medt": Look("#7F7F7F", "h", LONG),
    "ldseg_ld": Look("#44AA99", "d", DASHED),
    "ldseg_id": Look("#AA4499", "p", DASHDOT),
    "ldseg_ld_id": Look("#999933", "8", DOTTED),
    "resunet_noise": Look("#7F2A00", "s", DOUBLE, filled=False),
    # Twins are darker, with hollow markers of the same shape.
    "ldseg_direct": Look("#003F66", "o", DASHED, filled=False),
    "lsegdiff_direct": Look("#00523C", "^", DOTTED, filled=False),
    "medsegdiff_direct": Look("#7D3F64", "v", LONG, filled=False),
    "sdf_ddpm_direct": Look("#8A5E00", "D", DASHDOT, filled=False),
}
OTHERS = (
    Look("#117733", "H", SOLID),
    Look("#661100", "d", DOTTED),
    Look("#6699CC", "p", DASHED),
    Look("#AA7700", "8", SOLID),
)
"""For methods of a user's own, in order of their names."""


def looks(variants: list[Variant]) -> dict[Variant, Look]:
    """The look of every variant. Further samplings of one method are darker or lighter, with hollow markers."""
    own = sorted({variant.method for variant in variants} - set(LOOKS))
    base = LOOKS | {name: OTHERS[k % len(OTHERS)] for k, name in enumerate(own)}
    found, seen = {}, {}
    for variant in variants:
        place = seen.get(variant.method, 0)
        seen[variant.method] = place + 1
        found[variant] = _sibling(base[variant.method], place)
    return found


def _sibling(look: Look, place: int) -> Look:
    """The look of the next sampling of a method, of which so many are drawn already."""
    if place == 0:
        return look
    toward, share = (("white", 0.35), ("black", 0.4))[(place - 1) % 2]
    line = LINES[(LINES.index(look.line) + place) % len(LINES)]
    return replace(look, color=_mix(look.color, toward, share), line=line, filled=place % 2 == 0)


def _mix(color: str, other: str, share: float) -> str:
    """(1 - share) of a colour and so much of the other, as #rrggbb."""
    return to_hex([(1 - share) * a + share * b for a, b in zip(to_rgb(color), to_rgb(other))])


def theme() -> None:
    """Set the theme of everything drawn from here on."""
    seaborn.set_theme(
        context="paper",
        style="ticks",
        rc={
            "axes.grid": True,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.labelsize": 9,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "font.size": 9,
            "grid.color": "#e3e3e3",
            "grid.linewidth": 0.6,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "lines.linewidth": 1.5,
            "lines.markersize": 4.5,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            # Without these, redrawing the same records would give other bytes.
            "svg.hashsalt": "diffseg",
            "svg.fonttype": "path",
        },
    )


def columns(panels: int) -> int:
    """How many of so many panels stand side by side."""
    return {1: 1, 2: 2, 4: 2}.get(panels, 3)


def save(figure: Figure, folder: Path, name: str) -> None:
    """figures/NAME.png and figures/NAME.svg under the report's folder, and figures/NAME.json with what their points
    stand for."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "figures" / f"{name}.png", dpi=DPI)
    # The layout is found once, for the first file, and kept for the second: finding it takes as long as drawing.
    figure.set_layout_engine("none")
    marks.write(figure, folder / "figures" / f"{name}.json")
    figure.savefig(folder / "figures" / f"{name}.svg", dpi=DPI, metadata={"Date": None})


def curve_line(ax: Axes, curve: Curve, look: Look) -> None:
    """A variant's mean DSC against sigma or what stands for it in `curve.sigmas`, with its band where there is one."""
    means = curve.means()
    ax.plot(curve.sigmas, [estimate.value for estimate in means], zorder=3, **look.plot)
    if all(estimate.has_interval for estimate in means):
        low, high = [estimate.low for estimate in means], [estimate.high for estimate in means]
        ax.fill_between(curve.sigmas, low, high, color=look.color, alpha=0.18, linewidth=0, zorder=2)
        if len(means) == 1:
            # A band over a single sigma has no area.
            ax.vlines(curve.sigmas, low, high, color=look.color, linewidth=1.2, zorder=2)
