"""What a suite asks for: trials to train and conditions to test them under, each named by its content."""

import ast
import hashlib
import importlib.util
import json
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from methods.base import Sampling, Segmenter

TRAINING_VERSION = 1
"""Raised when train.py changes what a given configuration is trained to."""
EVALUATION_VERSION = 1
"""Raised when evaluate.py or metrics.py change what is recorded for given weights."""

METHOD_NOTES = ("_target_", "title", "summary", "training", "sampling")
DATASET_NOTES = ("_target_", "image_size", "title")
PATH_KEYS = ("root", "images", "masks", "split", "download")

DETERMINISTIC = "it gives one segmentation of an image, whatever the seed, so there is no spread to measure"
"""Why a method that is not generative has no part in a suite that samples an image many times."""


def digest(content: object) -> str:
    """A short hash of anything JSON can hold; equal content gives equal hashes on every machine."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Condition:
    """How a trial is tested. `sampling` is None for deterministic methods, which are tested once per sigma."""

    sigma: float
    sampling: Sampling | None
    image_size: tuple[int, ...]
    rescale: str
    noise_seed: int = 0

    @cached_property
    def key(self) -> str:
        how = f"{self.sampling.sampler}{self.sampling.steps}" if self.sampling else "direct"
        return f"sigma{self.sigma:g}-{how}-{digest([asdict(self), EVALUATION_VERSION])[:8]}"


@dataclass(frozen=True)
class Trial:
    """One method trained once on one data set. `config` is what config.json holds."""

    config: dict
    conditions: tuple[Condition, ...]
    declined: str | None = None

    @property
    def name(self) -> str:
        return f"{self.config['method']['name']} on {self.config['dataset']['name']}, seed {self.config['seed']}"

    @cached_property
    def key(self) -> str:
        """The folder's name. Everything that decides the weights is in the hash; names of folders on disk and what
        is only said about a method are not."""
        config = self.config
        method = {k: v for k, v in config["method"].items() if k not in ("title", "summary")}
        dataset = {k: config["dataset"].get(k) for k in ("name", "image_size", "fingerprint", "augmentation")}
        hashed = digest([method, dataset, config["training"], config["seed"], config["code"], TRAINING_VERSION])
        return f"{dataset['name']}-{method['name']}-s{config['seed']}-{hashed}"


def method_class(name: str, target: str) -> type[Segmenter]:
    """The class of conf/method/NAME.yaml. Raises BadInput where it cannot be imported or is no Segmenter."""
    try:
        found = get_class(target)
    except Exception as error:  # importing a user's module can raise anything
        cause = error.__cause__ or error
        raise BadInput(
            f"method.{name}._target_={target}: cannot be imported ({cause}). Expected package.Class."
        ) from error
    if not issubclass(found, Segmenter):
        raise BadInput(f"method.{name}._target_={target}: expected a subclass of methods.base.Segmenter.")
    return found


def arguments(config: dict) -> dict:
    """The constructor's own arguments among the keys of conf/method/NAME.yaml."""
    return {k: v for k, v in config.items() if k not in (*METHOD_NOTES, "name")}


def build(config: dict) -> Segmenter:
    """The untrained network of a trial's config. Raises BadInput naming the method where its arguments do not fit."""
    method, dataset = config["method"], config["dataset"]
    try:
        return method_class(method["name"], method["_target_"])(
            spatial_dims=len(dataset["image_size"]),
            in_channels=dataset["channels"],
            classes=len(dataset["class_names"]) + 1,
            image_size=tuple(dataset["image_size"]),
            **arguments(method),
        )
    except (ValueError, TypeError) as error:
        raise BadInput(f"method.{method['name']} on {dataset['name']}: {error}") from error


@cache
def code_version(target: type) -> str:
    """Hash of the module of a method and of all it imports from the same package. Comments, layout and docstrings
    do not count: only what can change a result does."""
    packages = {"methods", target.__module__.partition(".")[0]}
    seen: dict[str, str] = {}
    waiting = [target.__module__]
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] not in packages:
            continue
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:  # the name of a class or function, not of a module
            continue
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        tree = _without_docstrings(ast.parse(Path(spec.origin).read_text()))
        seen[name] = ast.dump(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), spec.parent or name)
                waiting += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return digest(seen)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        node.body = [
            item
            for item in body
            if not (
                isinstance(item, ast.Expr)
                and isinstance(item.value, ast.Constant)
                and isinstance(item.value.value, str)
            )
        ]
    return tree


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


def request_key(asked: dict) -> str:
    """Finds a trial in the store without its data: hash of what was asked for."""
    method = {k: v for k, v in asked["method"].items() if k not in ("title", "summary")}
    return digest([method, asked["dataset"], asked["training"], asked["seed"]])
