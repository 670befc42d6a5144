"""Suites that test methods on another data set than the one they were trained on: kind `shift`."""

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput, unknown
from benchmarks.kinds.trials import Trials


class Shift(Trials):
    """Train what is missing, and test it on its own data set and on each that the suite's `pairs` name with it."""

    name = "shift"
    keys = (*Trials.keys, "pairs")
    report = "shift"
    cross_validates = False

    def default_report(self, suite: DictConfig) -> str:
        """The same whatever the suite varies."""
        return self.report

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: pairs of known data sets. A command that names no data sets means
        those that pairs begin with. Whether classes agree is seen when the data have been read."""
        pairs = config.suite.get("pairs")
        if not OmegaConf.is_list(pairs) or not pairs or not all(OmegaConf.is_list(p) and len(p) == 2 for p in pairs):
            raise BadInput(
                f"suite.pairs={pairs}: expected pairs of data sets, the one trained on and the one tested on, e.g. "
                "[[glas,phantom_glands]]."
            )
        known = [name for name in config.dataset if name != "_target_"]
        for first, second in pairs:
            for name in (first, second):
                if name not in known:
                    raise unknown("suite.pairs", str(name), known)
            if first == second:
                raise BadInput(
                    f"suite.pairs: [{first}, {second}] is no shift; expected two data sets (each is tested on its own "
                    "anyway)."
                )
        starts = list(dict.fromkeys(first for first, _ in pairs))
        if config.datasets is None:
            config.suite.datasets = starts
        for name in config.datasets or ():
            if name not in starts and name in known:
                raise BadInput(
                    f"datasets={list(config.datasets)}: no pair begins with {name}; say what it is tested on, "
                    f"e.g. suite.pairs=[[{name},{next(other for other in known if other != name)}]]."
                )
        super().check(config)
        if list(config.suite.sigmas) != [0]:
            raise BadInput(f"suite.sigmas={list(config.suite.sigmas)}: expected [0], images as they are.")
