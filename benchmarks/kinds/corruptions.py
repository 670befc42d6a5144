"""Suites that test trained methods on corrupted images: kind `corruptions`."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput, unknown
from benchmarks.kinds.base import Batch, Suite, whole
from benchmarks.kinds.trials import Trials
from benchmarks.plan.corruptions import SEVERITIES, kinds
from benchmarks.store.results import Results, Store


class Corruptions(Trials):
    """Train what is missing, and test it on clean images and on images corrupted in every kind and severity."""

    name = "corruptions"
    keys = (*Trials.keys, "corruptions", "severities", "reference")
    report = "corruptions"
    cross_validates = False

    def default_report(self, suite: DictConfig) -> str:
        """The same whatever the suite varies."""
        return self.report

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: known kinds and severities, a reference, no other noise."""
        super().check(config)
        suite = config.suite
        for key, example in (("corruptions", "[blur]"), ("severities", "[1, 3, 5]")):
            if not OmegaConf.is_list(suite[key]) or not suite[key] or len(set(suite[key])) < len(suite[key]):
                raise BadInput(f"suite.{key}={suite[key]}: expected a list without repetitions, e.g. {example}.")
        for name in suite.corruptions:
            if name not in kinds():
                raise unknown("suite.corruptions", str(name), kinds())
        for severity in suite.severities:
            if not whole(severity, SEVERITIES[0]) or severity > SEVERITIES[-1]:
                raise BadInput(f"suite.severities: {severity!r} is none; expected some of {list(SEVERITIES)}.")
        if suite.reference not in config.method or suite.reference == "_target_":
            raise unknown("suite.reference", str(suite.reference), [n for n in config.method if n != "_target_"])
        if list(suite.sigmas) != [0]:
            raise BadInput(
                f"suite.sigmas={list(suite.sigmas)}: expected [0], since nothing else is done to images that are "
                "corrupted; suite=noise_robustness adds noise."
            )

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """The records of exactly the trials of this run."""
        return _told(super().finish(config, store, batches, suite))

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The newest trials that answer the command."""
        return _told(super().collect(config, store, suite))


def _told(results: Results) -> Results:
    """Results whose suite says of each kind what it is (`kinds`), and which kinds are for no image of which data set,
    and why (`left_out`)."""
    names = results.suite["corruptions"]
    results.suite["kinds"] = {
        name: {"title": one.title, "unit": one.unit, "amounts": list(one.amounts), "reason": one.reason}
        for name, one in kinds().items()
        if name in names
    }
    results.suite["left_out"] = {
        view.config.dataset.name: {
            name: reason for name in names if (reason := kinds()[name].reason_against(view.config.dataset))
        }
        for view in results.trials
    }
    return results
