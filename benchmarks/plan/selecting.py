"""How many sampling steps each generative method takes where validation cases say so (suite.steps=validated)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.plan import building, choices
from benchmarks.plan.trials import Condition
from benchmarks.store.config import TrialConfig
from benchmarks.store.selection import Selection, fewest_enough, validation_scores
from benchmarks.store.trial import TrialView

MOST_STEPS = 1000
"""All times that the diffusion methods were trained at."""

Chosen = dict[tuple[str, str], Selection]
"""By data set and method."""


def candidates(config: DictConfig, trial: TrialConfig) -> tuple[Condition, ...]:
    """How a trial's method is sampled on undisturbed validation cases: with every number of steps there is to choose
    from. None of a deterministic method, and none where the suite gives the numbers itself."""
    if config.suite.steps != choices.VALIDATED or not _generative(config, trial):
        return ()
    size = tuple(trial.dataset.image_size)
    return tuple(
        Condition(0.0, how, size, config.noise.rescale) for how in choices.samplings(config, trial.method.name)
    )


def _generative(config: DictConfig, trial: TrialConfig) -> bool:
    return building.traits(trial.method, Path(config.paths.cache)).generative


def unseen(config: DictConfig, view: TrialView | None, trial: TrialConfig) -> list[Condition]:
    """The candidates of a trial without stored validation records."""
    return [c for c in candidates(config, trial) if view is None or not view.has_validation(c.key)]


def selections(config: DictConfig, views: Iterable[TrialView]) -> Chosen:
    """What the validation records of trials choose, the trainings of a method on a data set together: the fewest steps
    whose mean DSC lies within `TOLERANCE` of the best. Of trials that were not sampled with every candidate nothing is
    used, so a method without any that was has no entry."""
    import pandas as pd

    alike: dict[tuple[str, str], list[TrialView]] = {}
    for view in views:
        if candidates(config, view.config) and view.status == "ok" and not unseen(config, view, view.config):
            alike.setdefault((view.config.dataset.name, view.config.method.name), []).append(view)
    counts = {key: _counter(config, same[0].config) for key, same in alike.items()}
    found: Chosen = {}
    for key, same in alike.items():
        ways = candidates(config, same[0].config)
        seeds = dict.fromkeys(view.config.seed for view in same)
        # The folds of a seed together.
        frames = {
            seed: [pd.concat([v.validation(way.key) for v in same if v.config.seed == seed]) for way in ways]
            for seed in seeds
        }
        steps, scores, cases = validation_scores(frames)
        chosen = int(fewest_enough(steps, scores.mean(axis=0)))
        nfe = counts[key](chosen)
        found[key] = Selection(steps, tuple(frames), scores, cases, chosen, nfe, chosen, nfe)
    most = {dataset: max(s.nfe for (where, _), s in found.items() if where == dataset) for dataset, _ in found}
    return {key: _equal(one, counts[key], most[key[0]]) for key, one in found.items()}


def _counter(config: DictConfig, trial: TrialConfig) -> Callable[[int], int]:
    """From a number of steps to the network evaluations of one image."""
    network, how = building.build(trial.method, trial.dataset), choices.samplings(config, trial.method.name)[0]
    return lambda steps: network.network_evaluations(replace(how, steps=steps))  # type: ignore[arg-type]


def _equal(own: Selection, evaluations: Callable[[int], int], most: int) -> Selection:
    """With the fewest steps that bring a method as near to `most` evaluations as it comes from below."""
    steps, nfe = own.steps, own.nfe
    for more in range(own.steps, MOST_STEPS + 1):
        reached = evaluations(more)
        if reached > most:
            break
        if reached > nfe:
            steps, nfe = more, reached
    return replace(own, equal_steps=steps, equal_nfe=nfe)


def narrowed(planned: Sequence[Condition], selection: Selection | None) -> tuple[Condition, ...]:
    """Of the conditions that a generative method is planned to be tested under, with every candidate, those with the
    chosen steps, and on the least disturbed images also that with the steps of equal evaluations; none where nothing
    has been chosen yet."""
    if selection is None:
        return ()
    own = [(c, c.sampling) for c in planned if c.sampling is not None and c.sampling.steps == selection.steps]
    clean, sampling = min(own, key=lambda pair: pair[0].sigma)
    equal = replace(clean, sampling=replace(sampling, steps=selection.equal_steps))
    return tuple(dict.fromkeys([*(c for c, _ in own), equal]))
