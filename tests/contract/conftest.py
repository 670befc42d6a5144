"""What the contract tests run on: every method, synthesizer and data set of conf/, or the one named on the command
line."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from benchmarks.plan.configuration import names
from benchmarks.plan.recipes import layers
from benchmarks.store.config import TrainingConfig
from benchmarks.training.loop import lr_factor
from benchmarks.training.optimizers import optimizer_of
from methods.synthesis.base import Synthesizer

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
DATA = Path(os.environ.get("DIFFSEG_DATA", ROOT.parent / "shared" / "data"))
NO_ARGUMENTS = ("_target_", "title", "summary", "twin_of", "loss", "training", "sampling", "search", "image_size",
                "nsd_tolerance", "unions")  # fmt: skip
PATHS = ("root", "images", "masks")


def pytest_ignore_collect(collection_path, config):
    """With one method or data set named, only its tests are wanted."""
    named = {group for group in SUBJECTS if config.getoption(group)}
    ours = collection_path.stem.removeprefix("test_")
    return True if named and ours in {*SUBJECTS, "options"} - named else None


def pytest_generate_tests(metafunc):
    for group, (folder, subject, belongs) in SUBJECTS.items():
        if group in metafunc.fixturenames:
            named = metafunc.config.getoption(group)
            names = [named] if named else sorted(path.stem for path in (CONF / folder).glob("*.yaml"))
            found = [one for one in map(subject, names) if named or belongs(one)]
            metafunc.parametrize(group, found, ids=[one.name for one in found], scope="module")


def settings(group, name):
    """Class, constructor arguments and training settings of conf/GROUP/NAME.yaml in the profile tiny."""
    whole = OmegaConf.create(
        {
            "profile": OmegaConf.load(CONF / "profile" / "tiny.yaml"),
            "paths": {"data": str(DATA)},
            "it": OmegaConf.load(CONF / group / f"{name}.yaml"),
        }
    )
    found = OmegaConf.to_container(whole.it, resolve=True)
    arguments = {key: value for key, value in found.items() if key not in NO_ARGUMENTS}
    training = {}
    for layer in layers("training", OmegaConf.create(found.get("training") or {}), "tiny", names("profile")).values():
        training |= {key: value for key, value in layer.items() if value is not None}
    return get_class(found["_target_"]), arguments, training


def own_class(group, name):
    """A class given by its dotted path."""
    try:
        return get_class(name)
    except Exception as error:  # importing a user's module can raise anything
        raise pytest.UsageError(
            f"--{group} {name}: no file conf/{group}/{name}.yaml, and not importable as a class either "
            f"({error.__cause__ or error}). Expected a key of conf/{group}/ or package.Class on the Python path."
        ) from error


def method_subject(name):
    """name, cls, build(spatial_dims=, in_channels=, classes=, image_size=), further arguments, and of its training
    optimizer(model, stage), optimizer(model, stage, learning_rate=) and decay(progress), the factor on the rate.
    """
    if not (CONF / "method" / f"{name}.yaml").exists():
        cls = own_class("method", name)
        arguments, training = {}, {}
    else:
        cls, arguments, training = settings("method", name)
    recipe = TrainingConfig(**training)
    return SimpleNamespace(
        name=name,
        cls=cls,
        build=partial(cls, **arguments),
        arguments=arguments,
        optimizer=lambda model, stage, **changed: optimizer_of(model, stage, replace(recipe, **changed)),
        decay=partial(lr_factor, schedule=recipe.lr_schedule, final=recipe.lr_final_factor),
    )


def dataset_subject(name):
    """name, build() and absent (why it cannot be tested here, or None) of a data source."""
    if not (CONF / "dataset" / f"{name}.yaml").exists():
        return SimpleNamespace(name=name, build=own_class("dataset", name), absent=None)
    cls, arguments, _ = settings("dataset", name)
    missing = [key for key in PATHS if key in arguments and not (arguments[key] and Path(arguments[key]).exists())]
    absent = f"dataset.{name}.{missing[0]} is {arguments[missing[0]]}: not there" if missing else None
    return SimpleNamespace(name=name, build=partial(cls, **arguments), absent=absent)


def synthesizes(subject):
    """Whether a method makes images from label maps."""
    return issubclass(subject.cls, Synthesizer)


# By option and fixture: the folder of conf/, what is made of a name, and which of all names belong here.
SUBJECTS = {
    "method": ("method", method_subject, lambda subject: not synthesizes(subject)),
    "synthesizer": ("method", method_subject, synthesizes),
    "dataset": ("dataset", dataset_subject, lambda subject: True),
}
