"""What a command asks for, in words that need no data: settings of trials and conditions."""

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan.trials import Condition
from methods.base import Sampling

DATASET_NOTES = ("_target_", "image_size", "title")
PATH_KEYS = ("root", "images", "masks", "split", "download")


def chosen(config: DictConfig, key: str) -> list:
    """methods, datasets or seeds: those of the command, else those of the suite."""
    return list(dict.fromkeys(config.suite[key] if config[key] is None else config[key]))


def image_size(config: DictConfig, dataset: str) -> list[int]:
    """The size a data set is worked on at in this profile. Raises BadInput where none is given."""
    sizes = config.dataset[dataset].image_size
    if config.profile.name not in sizes:
        raise BadInput(
            f"dataset.{dataset}.image_size: has no entry for profile {config.profile.name}; "
            f"give one: +dataset.{dataset}.image_size.{config.profile.name}=[128,128]."
        )
    return [int(side) for side in sizes[config.profile.name]]


def training_settings(config: DictConfig, method: str, dataset: str) -> dict:
    """Settings of one training: the profile's, then the method's, then those of the command."""
    profile = config.profile
    settings = {
        "steps": profile.steps.get(dataset, profile.steps.default),
        "seconds": None,
        "batch_size": profile.batch_size.get(dataset, profile.batch_size.default),
        "validations": profile.validations,
        "val_cases": profile.val_cases,
        "validation_steps": 2,
        "learning_rate": 1e-3,
        "lr_schedule": "constant",
        "lr_final_factor": 1.0,
        "ema_warmup": True,
        "deterministic": config.deterministic,
    }
    for layer in (config.method[method].get("training") or {}, config.training):
        unknown = set(layer) - set(settings) - set(config.training)
        if unknown:
            raise BadInput(f"method.{method}.training: {sorted(unknown)} mean nothing; known: {sorted(settings)}.")
        settings |= {name: value for name, value in layer.items() if value is not None}
    if settings["seconds"] is not None:
        settings["steps"] = None
    # Off is as if never mentioned: trainings from before these settings existed keep their names.
    settings = {k: v for k, v in settings.items() if (k, v) not in (("accumulate", 1), ("checkpointing", False))}
    if settings["lr_schedule"] not in ("exp", "poly", "constant"):
        raise BadInput(f"training.lr_schedule={settings['lr_schedule']}: expected exp, poly or constant.")
    return settings


def samplings(config: DictConfig, method: str) -> list[Sampling]:
    """How the suite samples a generative method; what the suite leaves open (null) is the method's own `sampling`, no
    more steps and samples than the profile admits. Raises BadInput for a sampling that cannot be."""
    suite, most = config.suite, config.profile.sampling
    own = OmegaConf.to_container(config.method[method].get("sampling") or OmegaConf.create())
    unknown = set(own) - {"steps", "sampler", "ensemble"}
    if unknown:
        raise BadInput(f"method.{method}.sampling: {sorted(unknown)} mean nothing; expected steps, sampler, ensemble.")
    for key, limit in (("steps", most.most_steps), ("ensemble", most.most_samples)):
        if key in own and limit is not None:
            own[key] = min(own[key], limit)
    own |= {key: suite[key] for key in ("sampler", "eta", "ensemble") if suite[key] is not None}
    try:
        return [Sampling(**own | {"steps": steps}) for steps in suite.steps or [own.get("steps", Sampling.steps)]]
    except ValueError as error:
        raise BadInput(f"suite and method.{method}.sampling: {error}") from error


def conditions(config: DictConfig, method: str, generative: bool, size: list[int]) -> tuple[Condition, ...]:
    """What the suite tests one trial under. Raises BadInput for a sampling that cannot be."""
    suite = config.suite
    sampled = samplings(config, method) if generative else [None]
    if suite.kind != "trials":  # they use what was trained in their own way
        return ()
    return tuple(
        Condition(float(sigma), sampling, tuple(size), config.noise.rescale)
        for sigma in suite.sigmas
        for sampling in sampled
    )


def request(config: DictConfig, method: str, dataset: str, seed: int) -> dict:
    """What is asked for, in words that need no data: the part of a trial's config that the command decides."""
    method_config = OmegaConf.to_container(config.method[method])
    dataset_config = OmegaConf.to_container(config.dataset[dataset])
    return {
        "method": {"name": method, **{k: v for k, v in method_config.items() if k not in ("training", "sampling")}},
        "dataset": {
            "name": dataset,
            "image_size": image_size(config, dataset),
            "settings": {k: v for k, v in dataset_config.items() if k not in (*DATASET_NOTES, *PATH_KEYS)},
        },
        "training": training_settings(config, method, dataset),
        "seed": seed,
        "profile": config.profile.name,
    }
