"""What is made of a data set by a trained method, in words that need no network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What is made: of the cases of which split and in how many steps (0 for methods without).

    copies: images of each case, every one of another warp of its map (methods.synthesis.warping), None for one image of
    the map as it is; bend: of those warps, most that a control point moves, as a share of the side; most: at most so
    many cases, evenly spread, None for all.
    """

    split: str
    steps: int
    copies: int | None = None
    bend: float = 0.0
    most: int | None = None
