"""The nnU-Net package seen from here: its folders, its commands, and its predictions behind the methods' interface."""

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import console
from benchmarks.errors import TrialFailed
from datasets.prepare import Prepared
from methods.base import Callback, Sampling, Segmenter

TRAINER = "DiffsegTrainer"
TRAINER_FOLDER = Path(__file__).resolve().parent / "trainer"
ENDING = ".nii.gz"


# ---- the package's folders ----------------------------------------------------------------------------------------


def dataset_name(data: Prepared) -> str:
    """The name the package requires: Dataset, three digits, and a word."""
    return f"Dataset001_{re.sub('[^A-Za-z0-9]', '', data.name.title())}"


def identifier(index: int) -> str:
    """A case's name in the package's folders: its index in the prepared data, since ids may hold any character."""
    return f"case{index:06d}"


def export(data: Prepared, raw: Path) -> None:
    """Write the prepared data in the package's raw format; `dataset.json` last, so that it stands for a whole folder.

    imagesTr and labelsTr hold training and validation cases, imagesTs the test cases, one file per channel: NIfTI with
    the float32 values every method sees, voxels of 1 mm. splits_final.json has our split as its one fold.
    """
    if (raw / "dataset.json").exists():
        return
    fitted = [*data.split["train"].tolist(), *data.split["val"].tolist()]
    for folder, cases in (("imagesTr", fitted), ("imagesTs", data.split["test"].tolist())):
        for index in cases:
            write_image(raw / folder, identifier(index), data.images[index])
    for index in fitted:
        write_nifti(raw / "labelsTr" / f"{identifier(index)}{ENDING}", np.asarray(data.labels[index], np.uint8))
    split = {part: [identifier(index) for index in data.split[part]] for part in ("train", "val")}
    (raw / "splits_final.json").write_text(json.dumps([split]))
    content = {
        # A name the package has no rule for: every channel is z-scored.
        "channel_names": {str(channel): f"channel{channel}" for channel in range(len(data.images[0]))},
        "labels": {"background": 0} | {name: k for k, name in enumerate(data.class_names, start=1)},
        "numTraining": len(fitted),
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    (raw / "dataset.json").write_text(json.dumps(content, indent=1))


def write_image(folder: Path, name: str, image: np.ndarray) -> None:
    """An image (C, *spatial) as one file per channel."""
    for channel, values in enumerate(image):
        write_nifti(folder / f"{name}_{channel:04d}{ENDING}", np.asarray(values, np.float32))


def write_nifti(path: Path, values: np.ndarray) -> None:
    """values (*spatial), last axis first as NIfTI has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.T, np.eye(4)), path)


def read_label(path: Path) -> np.ndarray:
    """A label map (*spatial) int64 that the package wrote. Raises TrialFailed where there is none."""
    try:
        return np.asarray(nibabel.load(path).dataobj).T.astype(np.int64)
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        raise TrialFailed(f"nnUNetv2_predict left no segmentation at {path} ({error})") from error


# ---- the package's commands ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """The package at work on one data set in `work`. Each step is left out where its result is there already.

    commands: name -> path; name: of the data set; device, epochs, iterations: of the training.
    """

    commands: Mapping[str, str]
    work: Path
    name: str
    spatial_dims: int
    device: str
    epochs: int
    iterations: int

    @property
    def raw(self) -> Path:
        """Folder of the data set in the package's raw format."""
        return self.work / "raw" / self.name

    @property
    def log(self) -> Path:
        """What the package's commands say."""
        return self.work / "log.txt"

    @property
    def configuration(self) -> str:
        """The package's name for networks of so many dimensions at full resolution."""
        return {2: "2d", 3: "3d_fullres"}[self.spatial_dims]

    @property
    def results(self) -> Path:
        """Folder of the trained network."""
        return self.work / "results" / self.name / f"{TRAINER}__nnUNetPlans__{self.configuration}" / "fold_0"

    def plan(self) -> None:
        """Fingerprint, plan and preprocessed images."""
        planned = self.work / "planned"
        if planned.exists():
            return
        self._call(
            "nnUNetv2_plan_and_preprocess", "-d", "1", "-c", self.configuration, "--verify_dataset_integrity",
            "--clean", "--no_pbar", "-npfp", processes(), "-np", processes(),
            # The planner takes this number for its threads, too, and fails at 0, which training understands.
            nnUNet_n_proc_DA="1",
        )  # fmt: skip
        shutil.copy(self.raw / "splits_final.json", self.work / "preprocessed" / self.name / "splits_final.json")
        planned.touch()

    def train(self) -> None:
        """Train fold 0, which is our split; goes on from the package's last checkpoint if there is one."""
        if (self.results / "summary.json").exists():
            return
        resumed = ["--c"] if list(self.results.glob("checkpoint_*.pth")) else []
        started = time.perf_counter()
        self._call(
            "nnUNetv2_train", "1", self.configuration, "0", "-tr", TRAINER, "-device", self.device, *resumed,
            DIFFSEG_EPOCHS=str(self.epochs), DIFFSEG_ITERATIONS=str(self.iterations),
        )  # fmt: skip
        console.say(f"  trained in {console.duration(time.perf_counter() - started)}")

    def summary(self) -> dict[str, Any]:
        """What was trained, where and for how long, as trainer/diffseg_trainer.py left it."""
        return json.loads((self.results / "summary.json").read_text())

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Label maps (B, *spatial) int64 of images (B, C, *spatial) by the final weights of fold 0."""
        with tempfile.TemporaryDirectory(dir=self.work, prefix="predict-") as place:
            given, found = Path(place, "images"), Path(place, "labels")
            names = [identifier(index) for index in range(len(images))]
            for name, image in zip(names, images):
                write_image(given, name, image)
            self._call(
                "nnUNetv2_predict", "-i", str(given), "-o", str(found), "-d", "1", "-c", self.configuration, "-f", "0",
                "-tr", TRAINER, "-device", self.device, "-npp", "0", "-nps", "0", "--disable_progress_bar",
            )  # fmt: skip
            return np.stack([read_label(found / f"{name}{ENDING}") for name in names])

    def _call(self, command: str, *arguments: str, **variables: str) -> None:
        """Run a command under these environment variables and append what it says to the log.

        Raises TrialFailed with the last line it said.
        """
        folders = {name: str(self.work / name) for name in ("raw", "preprocessed", "results")}
        for path in folders.values():
            Path(path).mkdir(parents=True, exist_ok=True)
        # The package starts eight worker processes, each with its own torch, unless told otherwise.
        environment = {"nnUNet_def_n_proc": processes()} | os.environ
        environment |= {f"nnUNet_{name}": path for name, path in folders.items()}
        environment |= {"nnUNet_extTrainer": str(TRAINER_FOLDER), **variables}
        # Started in the package's folder: beside this project's own the names of its packages would be found first.
        with open(self.log, "a") as log:
            before = log.tell()
            ended = subprocess.run(
                [self.commands[command], *arguments], cwd=self.work, env=environment, stdout=log, stderr=log
            )
        if ended.returncode:
            said = self.log.read_bytes()[before:].decode(errors="replace").strip().splitlines() or ["nothing"]
            raise TrialFailed(f"{command} ended with status {ended.returncode}: {said[-1][:200]} (log: {self.log})")


def processes() -> str:
    """How many the package is to start."""
    return str(min(8, os.cpu_count() or 1))


class Predictor(Segmenter):
    """The trained package behind the interface of the methods, for `evaluate`. Every call starts its processes anew."""

    any_size = True  # the package has windows of its own

    def __init__(self, package: Package, data: Prepared) -> None:
        super().__init__()
        self.package, self.classes = package, len(data.class_names) + 1
        self.evaluations = 2 ** len(data.image_size) * windows(data.image_size, package.summary()["patch_size"])

    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Probabilities that are 0 or 1: the package hands out label maps. The other arguments are ignored."""
        label = torch.from_numpy(self.package.predict(image.cpu().numpy()))
        return F.one_hot(label, self.classes).movedim(-1, 1).float()

    def network_evaluations(self, sampling: Sampling) -> int:
        """Windows of an image, each in all its mirror images; an image cropped to its content may need fewer."""
        return self.evaluations


def windows(image_size: Sequence[int], patch_size: Sequence[int]) -> int:
    """Places of a patch that the package predicts: half a patch apart at most, along each axis."""
    return math.prod(
        math.ceil(max(edge - patch, 0) / (patch / 2)) + 1 for edge, patch in zip(image_size, patch_size, strict=True)
    )
