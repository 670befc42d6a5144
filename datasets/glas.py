"""GlaS: colon glands in H&E-stained sections (Sirinukunwattana et al. 2017, Medical Image Analysis 35, 489-502)."""

import csv
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.files import PICTURES, listing, load_image, load_label, stem
from datasets.splits import BY_PATIENT, balanced, held_out

NAME = re.compile(r"(train|testA|testB)_(\d+)")
SUBSETS = {"testA": "test A", "testB": "test B"}
SPLITS = ("official", BY_PATIENT)
GRADES = "Grade.csv"
COLUMNS = ("name", "patient ID")
NOBODY = ("", "-", "?", "na", "n/a", "nan", "none")
"""What tables have in place of a patient."""
PIXEL = 0.62
"""Side of a pixel in um (section 2 of the paper: 20x, 0.62005 um)."""
TEST_FRACTION = 1 / 3
"""Share of the images that the patient-wise split tests on: about five of 16 patients."""


class Glas(Source):
    """The release's layout: train_N, testA_N and testB_N with NAME_anno, as BMP or any other picture format.

    Instances are merged into one class and kept beside it. Grade.csv, the release's table of patients and grades, says
    whose the images are; without it each image is its own group.

    split "official": testA and testB are the test part, and val_fraction of the training images, chosen by the hash of
    seed and name, is the validation part. The release was split by visual field: nearly all test images are of patients
    who are in training, too, and so are the images held out for validation. "patients": all images, dealt out by
    patient; needs Grade.csv.
    """

    name = "glas"
    title = "GlaS: colon glands in H&E sections, 2D, 85 training and 80 test images (files needed)"
    spatial_dims = 2
    channels = 3
    class_names = ("gland",)
    length_unit = "um"
    instances = True

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        val_fraction: float = 0.15,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """root: the folder that holds train_1 and so on. Raises DataError on settings out of range."""
        super().__init__(limit, augmentation, name)
        if split not in SPLITS:
            raise DataError(f"dataset.{self.name}.split is {split!r}, expected one of {', '.join(SPLITS)}.")
        self.root = Path(root)
        self.split = split
        self.official_split = split == "official"
        self.val_fraction = val_fraction
        self.seed = seed

    @cached_property
    def patients(self) -> bool:
        """Whether the table of patients is there."""
        return (self.root / GRADES).is_file()

    def entries(self) -> list[Entry]:
        """All images that have a mask. Raises DataError when the folder, the images, any mask or, for a split by
        patient, the table of patients is missing, and where the table leaves an image out."""
        files: dict[str, list[Path]] = {}
        for path in listing(self.root, f"dataset.{self.name}.root", PICTURES):
            files.setdefault(stem(path), []).append(path)
        twice = [paths for paths in files.values() if len(paths) > 1]
        if twice:
            raise DataError(f"{twice[0][0]} and {twice[0][1]} are the same case, expected one format. Remove one.")
        images = {key: paths[0] for key, paths in files.items() if NAME.fullmatch(key)}
        if not images:
            raise DataError(
                f"{self.root} holds no image named train_N, testA_N or testB_N ({len(files)} other picture(s) found). "
                f"Expected the GlaS release: set dataset.{self.name}.root to the folder with train_1."
            )
        alone = [images[key] for key in images if f"{key}_anno" not in files]
        if alone:
            named = ", ".join(str(path) for path in alone[:10]) + (" ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} image(s) without a mask: {named}. Expected NAME_anno beside each image, such as "
                f"{stem(alone[0])}_anno{alone[0].suffix}. Add the mask or remove the image."
            )
        groups = self._groups(images)
        splits = self._splits(groups)
        subsets = {key: SUBSETS.get(key.partition("_")[0]) if self.official_split else None for key in images}
        return [
            Entry(key, groups[key], splits[key], (images[key], files[f"{key}_anno"][0]), subset=subsets[key])
            for key in sorted(images)
        ]

    def _groups(self, images: Mapping[str, Path]) -> dict[str, str]:
        """Image -> patient; the image itself where nobody knows."""
        path = self.root / GRADES
        if not self.patients:
            if self.split == BY_PATIENT:
                raise DataError(
                    f"{path} does not exist, and dataset.{self.name}.split={BY_PATIENT} needs it. Expected the "
                    f"release's table of patients: restore it or set dataset.{self.name}.split=official."
                )
            return {key: key for key in images}
        patients = read_patients(path)
        absent = sorted(set(images) - set(patients))
        if absent:
            raise DataError(
                f"{path} names no patient for {', '.join(absent[:10])} ({len(absent)} of {len(images)} images). "
                "Expected a line for every image: restore the table from the release, or remove it."
            )
        return {key: patients[key] for key in images}

    def _splits(self, groups: Mapping[str, str]) -> dict[str, str]:
        """Image -> split."""
        validation = held_out((key for key in groups if key.startswith("train")), self.val_fraction, self.seed)
        if self.split == BY_PATIENT:
            shares = {"test": TEST_FRACTION, "val": (1 - TEST_FRACTION) * self.val_fraction}
            of_patient = balanced(groups.values(), shares | {"train": 1 - sum(shares.values())}, self.seed)
            return {key: of_patient[patient] for key, patient in groups.items()}
        return {key: "val" if key in validation else key.partition("_")[0].rstrip("AB") for key in groups}

    def read(self, entry: Entry) -> Case:
        """RGB image (3, H, W), label with 1 for every gland, their numbers, spacing in um. Raises DataError naming a
        damaged file."""
        image, _ = load_image(entry.files[0])
        instances = load_label(entry.files[1])
        label = (instances > 0).astype(np.int64)
        return Case(entry.id, entry.group, image, label, (PIXEL, PIXEL), instances=instances)


def read_patients(path: Path) -> dict[str, str]:
    """Image -> patient from Grade.csv, whose columns are called name and patient ID. Raises DataError for another file,
    a row without a name or a patient, and rows that give an image to two patients."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}. Restore it from the release.") from error
    reader = csv.DictReader(lines, skipinitialspace=True)
    absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if absent:
        raise DataError(
            f"{path} has no column {' and none '.join(absent)} (found: {', '.join(reader.fieldnames or ['nothing'])}). "
            f"Expected the release's table with the columns {' and '.join(COLUMNS)}: restore it, or remove it."
        )
    found: dict[str, tuple[str, int]] = {}
    for row in reader:
        name, patient = ((row[column] or "").strip() for column in COLUMNS)
        blank = [column for column, value in zip(COLUMNS, (name, patient)) if value.lower() in NOBODY]
        if blank:
            raise DataError(
                f"{path}, line {reader.line_num}: {' and '.join(blank)} is blank (found {name!r}, {patient!r}). "
                "Expected an image and its patient in every line: restore it from the release, or remove the table."
            )
        former, line = found.setdefault(name, (patient, reader.line_num))
        if former != patient:
            raise DataError(
                f"{path}, line {reader.line_num}: {name} is of patient {patient}, but of patient {former} in line "
                f"{line}. Expected one patient for each image: remove the wrong line."
            )
    if not found:
        raise DataError(
            f"{path} names no image. Expected a line for every image, as in the release: restore it, or remove it."
        )
    return {name: patient for name, (patient, _) in found.items()}
