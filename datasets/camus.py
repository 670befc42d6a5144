"""CAMUS: apical two- and four-chamber echocardiograms (Leclerc et al. 2019, IEEE TMI 38, 2198-2210)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import SPLITS, Augmentation, Case, DataError, Entry, Source
from datasets.files import load_image, load_label
from datasets.formats import FORMATS, ending, listing, stem, text
from datasets.splits import by_fraction

FRAME = re.compile(r"(patient\d+)_(2CH|4CH)_(ED|ES)")
STRUCTURES = {"LV": 1, "wall": 2, "LA": 3}
SPLIT_FILES = {"train": "subgroup_training.txt", "val": "subgroup_validation.txt", "test": "subgroup_testing.txt"}


class Camus(Source):
    """End-diastolic and end-systolic frames, in either of two layouts, told apart by what is in `root`.

    NIfTI, as released: patientNNNN/patientNNNN_2CH_ED.nii.gz with _gt. The split is the release's where its
    subgroup_*.txt files are found (in root, root/database_split or beside root), else by patient from `fractions`
    and `seed`. Pictures: {train,val,test}/patientNNNN_2CH_ED.png with _gt.png, where the folders are the split.
    A patient is a group. Structures not in `classes` become background. Frames of views not in `views` are left out.
    """

    name = "camus"
    title = "CAMUS: heart chambers in echocardiograms, 2D, 500 patients with four frames each (files needed)"
    spatial_dims = 2
    channels = 1
    views: Sequence[str] = ("2CH", "4CH")

    def __init__(
        self,
        root: str | Path,
        classes: Sequence[str] = tuple(STRUCTURES),
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """classes: any of LV, wall and LA, in the order of the label values wanted. Raises DataError on other names."""
        super().__init__(limit, augmentation, name)
        self.root = Path(root)
        self.class_names = tuple(classes)
        if not self.class_names or set(self.class_names) - set(STRUCTURES) or len(set(classes)) < len(classes):
            raise DataError(
                f"dataset.{self.name}.classes is {list(classes)}, expected one or more of {', '.join(STRUCTURES)}, "
                "each once."
            )
        self.fractions = dict(fractions or {"train": 0.8, "val": 0.1, "test": 0.1})
        self.seed = seed

    def settings(self) -> Mapping[str, Any]:
        """The structures in use, in the order of their label values."""
        return {"classes": list(self.class_names)}

    def entries(self) -> list[Entry]:
        """All frames. Raises DataError when the folder, the frames or any mask is missing."""
        key = f"dataset.{self.name}.root"
        if not self.root.is_dir():
            raise DataError(f"{self.root} does not exist or is not a folder. Expected CAMUS there: set {key}.")
        parts = [split for split in SPLITS if (self.root / split).is_dir()]
        if parts:
            return sorted(
                (entry for split in parts for entry in self._pairs(listing(self.root / split, key), split)), key=_id
            )
        base = self.root / "database_nifti" if (self.root / "database_nifti").is_dir() else self.root
        patients = sorted(path for path in base.iterdir() if path.is_dir() and re.fullmatch(r"patient\d+", path.name))
        if not patients:
            raise DataError(
                f"{self.root} holds neither patientNNNN folders nor train, val and test folders. "
                f"Expected one of the two layouts of CAMUS: set {key} to the folder that holds them."
            )
        splits = self._official_split(base) or by_fraction((p.name for p in patients), self.fractions, self.seed)
        absent = [path.name for path in patients if path.name not in splits]
        if absent:
            raise DataError(
                f"{base / absent[0]} is in none of {', '.join(SPLIT_FILES.values())} ({len(absent)} such patient(s)). "
                "Add the patients to one of these files or remove the files to split by seed."
            )
        return sorted((e for p in patients for e in self._pairs(listing(p, key), splits[p.name])), key=_id)

    def _pairs(self, files: Iterable[Path], split: str) -> list[Entry]:
        found = {stem(path): path for path in files if ending(path) in FORMATS}
        entries = []
        for key, path in found.items():
            match = FRAME.fullmatch(key)
            if match is None or match[2] not in self.views:
                continue  # sequences and masks
            mask = found.get(f"{key}_gt")
            if mask is None:
                raise DataError(
                    f"{path} has no mask. Expected {path.with_name(f'{key}_gt{ending(path)}').name} beside it: "
                    "add the mask or remove the image."
                )
            entries.append(Entry(key, match[1], split, (path, mask)))
        return entries

    @staticmethod
    def _official_split(base: Path) -> dict[str, str]:
        """Patient -> split from the release's files; empty without them. Raises DataError on a double patient."""
        for folder in (base, base / "database_split", base.parent / "database_split", base.parent):
            if all((folder / name).is_file() for name in SPLIT_FILES.values()):
                break
        else:
            return {}
        splits: dict[str, str] = {}
        for split, name in SPLIT_FILES.items():
            for patient in text(folder / name).split():
                if splits.setdefault(patient, split) != split:
                    raise DataError(
                        f"{folder / name} names {patient}, which is also in {SPLIT_FILES[splits[patient]]}. "
                        "Expected each patient in one file: remove it from one of them."
                    )
        return splits

    def read(self, entry: Entry) -> Case:
        """Grey image (1, H, W), label with k + 1 for class_names[k], spacing (rows, columns) in mm for NIfTI.

        Raises DataError naming a damaged file or one with values other than 0 to 3.
        """
        image, spacing = load_image(entry.files[0])
        stored = load_label(entry.files[1])
        if stored.size and (stored.min() < 0 or stored.max() > 3):
            wrong = [int(value) for value in np.unique(stored) if not 0 <= value <= 3][:8]
            raise DataError(
                f"{entry.files[1]} holds the value(s) {wrong}, expected 0 background, 1 LV cavity, 2 LV wall, 3 LA. "
                "Restore the mask from the release."
            )
        table = np.zeros(4, np.int64)
        for value, structure in enumerate(self.class_names, 1):
            table[STRUCTURES[structure]] = value
        return Case(entry.id, entry.group, image, table[stored], spacing)


def _id(entry: Entry) -> str:
    return entry.id
