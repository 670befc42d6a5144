"""CAMUS by view, for methods that are trained on one and tested on the other."""

from datasets.camus import Camus


class Camus2CH(Camus):
    """The apical two-chamber views of CAMUS, which show no right ventricle."""

    name = "camus_2ch"
    title = "CAMUS, two-chamber views alone, 2D (files needed)"
    views = ("2CH",)


class Camus4CH(Camus):
    """The apical four-chamber views of CAMUS."""

    name = "camus_4ch"
    title = "CAMUS, four-chamber views alone, 2D (files needed)"
    views = ("4CH",)
