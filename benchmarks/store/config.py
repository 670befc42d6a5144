"""What a trial is: its method, its data, its training and its seed, under the names that config.json has for them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

Known = TypeVar("Known")
SAID = ("title", "summary", "twin_of", "loss")
"""What is only said of a method."""
ADDED = (
    "accumulate", "devices", "checkpointing", "noise", "first_stage", "warmup",
    "optimizer", "momentum", "weight_decay", "clip", "clip_by", "lr_drops",
)  # fmt: skip
"""Settings of a training that there were none of at first: config.json has them where they are not at their default."""


@dataclass(frozen=True)
class MethodConfig:
    """A method as conf/method/NAME.yaml describes it, but for how it is trained and sampled.

    target: its class, as package.module.Class; title, summary: what is said of it; arguments: what its constructor is
    given besides what the data set decides; twin_of: the method it is the twin of without diffusion, if it is one;
    loss: what its training minimises, in words.
    """

    name: str
    target: str = ""
    title: str = ""
    summary: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    twin_of: str = ""
    loss: str = ""

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.title or self.name

    def to_json(self) -> dict[str, Any]:
        """As config.json has it: the constructor's arguments stand beside the rest."""
        said = {"name": self.name, "_target_": self.target, "title": self.title, "summary": self.summary,
                "twin_of": self.twin_of, "loss": self.loss}  # fmt: skip
        return {name: value for name, value in said.items() if value} | dict(self.arguments)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "MethodConfig":
        """From what `to_json` gave."""
        own = {"name", "_target_", *SAID}
        return cls(
            content["name"],
            content.get("_target_", ""),
            content.get("title") or "",
            content.get("summary") or "",
            {name: value for name, value in content.items() if name not in own},
            content.get("twin_of") or "",
            content.get("loss") or "",
        )

    def identity(self) -> dict[str, Any]:
        """What decides the network: all but what is only said of it."""
        return {name: value for name, value in self.to_json().items() if name not in SAID}


@dataclass(frozen=True)
class DatasetConfig:
    """A data set at the size it is worked on. All from `title` on is known only once the data have been read.

    settings: those of its source, but for where its files lie; channels: of an image; class_names: of the foreground;
    fingerprint: hash of the content; augmentation: settings of datasets.base.Augmentation; fit: how cases of other
    sizes are brought to `image_size`; distance_unit: of surface distances; cases: number in each split; patients:
    whether the groups of cases are patients, None in stores that do not say; shared: test cases whose patient is in
    training or validation, too; fold: which fold of how many is tested, from 1, empty for the data set's own split.
    """

    name: str
    image_size: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    spatial_dims: int | None = None
    channels: int | None = None
    class_names: tuple[str, ...] = ()
    fingerprint: str | None = None
    augmentation: Mapping[str, Any] | None = None
    fit: str | None = None
    distance_unit: str | None = None
    cases: Mapping[str, int] = field(default_factory=dict)
    patients: bool | None = None
    shared: int | None = None
    fold: tuple[int, ...] = ()

    @property
    def part(self) -> str:
        """The fold in words, such as fold 2 of 5; nothing for the data set's own split."""
        return "fold {} of {}".format(*self.fold) if self.fold else ""

    @property
    def size(self) -> str:
        """The image size in words, such as 64x64."""
        return "x".join(map(str, self.image_size))

    @property
    def classes(self) -> int:
        """Number of classes, background included."""
        return len(self.class_names) + 1

    def asked(self) -> dict[str, Any]:
        """What a command says of a data set."""
        said = {"name": self.name, "image_size": list(self.image_size), "settings": dict(self.settings)}
        return said | ({"fold": list(self.fold)} if self.fold else {})

    def to_json(self) -> dict[str, Any]:
        """As config.json has it; what is not known is left out."""
        known = {
            "distance_unit": self.distance_unit,
            "title": self.title or None,
            "spatial_dims": self.spatial_dims,
            "channels": self.channels,
            "class_names": list(self.class_names) or None,
            "fingerprint": self.fingerprint,
            "augmentation": self.augmentation,
            "fit": self.fit,
            "cases": dict(self.cases) or None,
            "patients": self.patients,
            "shared": self.shared,
        }
        return {name: value for name, value in known.items() if value is not None} | self.asked()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "DatasetConfig":
        """From what `to_json` gave."""
        found = _known(cls, content)
        for name in ("image_size", "class_names", "fold"):
            found[name] = tuple(found.get(name, ()))
        return cls(**found)

    def identity(self) -> dict[str, Any]:
        """What decides the weights: names of folders on disk and of test settings do not."""
        return {
            "name": self.name,
            "image_size": list(self.image_size),
            "fingerprint": self.fingerprint,
            "augmentation": self.augmentation,
        } | ({"fold": list(self.fold)} if self.fold else {})


@dataclass(frozen=True)
class TrainingConfig:
    """How a method is trained; conf/config.yaml explains each. Either `steps` (of the optimiser, all stages together)
    or `seconds` is None."""

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 1
    validations: int = 1
    val_cases: int = 1
    validation_steps: int = 2
    learning_rate: float = 1e-3
    lr_schedule: str = "constant"
    lr_final_factor: float = 1.0
    ema_warmup: bool = True
    deterministic: bool = True
    shuffle: bool = True
    precision: str = "32-true"
    accumulate: int = 1
    devices: int = 1
    checkpointing: bool = False
    noise: float = 0.0
    first_stage: float | None = None
    warmup: float = 0.0
    optimizer: str | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    clip_by: str = "norm"
    lr_drops: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As config.json has it. What is off is as if never mentioned: trainings from before these settings existed
        keep their names."""
        off = {name: getattr(TrainingConfig, name) for name in ADDED}
        known = asdict(self) | {"lr_drops": list(self.lr_drops)}
        return {name: value for name, value in known.items() if name not in off or getattr(self, name) != off[name]}

    def shares(self, stages: int) -> tuple[float, ...]:
        """Share of the budget of each of the stages: equal ones, or `first_stage` for the first and equal ones for the
        rest."""
        if self.first_stage is None or stages == 1:
            return (1 / stages,) * stages
        return (self.first_stage, *((1 - self.first_stage) / (stages - 1),) * (stages - 1))

    def stage_steps(self, stages: int) -> tuple[int, ...] | None:
        """Optimiser steps of each of the stages; None where the budget is given in seconds."""
        if self.steps is None:
            return None
        return tuple(max(1, int(self.steps * share + 1e-9)) for share in self.shares(stages))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrainingConfig":
        """From what `to_json` gave."""
        return cls(**_known(cls, content) | {"lr_drops": tuple(content.get("lr_drops", ()))})


@dataclass(frozen=True)
class TrialConfig:
    """One method trained once on one data set: the content of config.json.

    profile: name of the profile it was asked for in; request: hash of what was asked for, in words that need no data;
    code: hash of the method's code. The last two are empty where the data have not been read.
    """

    method: MethodConfig
    dataset: DatasetConfig
    training: TrainingConfig
    seed: int
    profile: str = ""
    request: str = ""
    code: str = ""

    @property
    def name(self) -> str:
        """In words: method, data set, seed and fold."""
        part = f", {self.dataset.part}" if self.dataset.fold else ""
        return f"{self.method.name} on {self.dataset.name}, seed {self.seed}{part}"

    def to_json(self) -> dict[str, Any]:
        """As config.json has it."""
        whole = {
            "method": self.method.to_json(),
            "dataset": self.dataset.to_json(),
            "training": self.training.to_json(),
            "seed": self.seed,
            "profile": self.profile,
        }
        return whole | {name: value for name in ("request", "code") if (value := getattr(self, name))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrialConfig":
        """From what `to_json` gave. Keys of other versions of this project are passed over."""
        return cls(
            MethodConfig.from_json(content["method"]),
            DatasetConfig.from_json(content["dataset"]),
            TrainingConfig.from_json(content.get("training") or {}),
            content.get("seed", 0),
            content.get("profile", ""),
            content.get("request", ""),
            content.get("code", ""),
        )


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """Of a JSON object what a dataclass has a field for."""
    names = {entry.name for entry in fields(kind)}
    return {name: value for name, value in content.items() if name in names}
