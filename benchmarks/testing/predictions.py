"""Predictions of all test cases, kept so that anyone can score them elsewhere (suite.save_predictions=true).

TRIAL/predictions/CONDITION/CASE.png, of volumes CASE.nii.gz: class numbers on the case's own grid. A folder is put in
place once it holds all cases.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from benchmarks.errors import cannot_write
from benchmarks.plan.trials import Condition
from benchmarks.store import sums
from benchmarks.store.trial import PREDICTIONS
from datasets.prepare import Prepared

Affine = Callable[[str], np.ndarray | None]
"""From the id of a case to the affine (4, 4) of its file, None where it has none."""


def nowhere(case: str) -> None:
    """The affine of a case whose file has none."""


class Predictions:
    """Takes the predictions under some conditions, and puts them in place where `finish` is reached."""

    def __init__(self, trial: Path, conditions: Sequence[Condition], data: Prepared, affine: Affine) -> None:
        self.data, self.affine = data, affine
        self.places = {condition: trial / PREDICTIONS / condition.key for condition in conditions}
        self.half: dict[Condition, Path] = {}

    def add(self, condition: Condition, index: int, prediction: np.ndarray) -> None:
        """One more prediction, integers (*S). Raises CannotWrite."""
        place, case = self.places[condition], self.data.ids[index]
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if condition not in self.half:
                self.half[condition] = Path(tempfile.mkdtemp(dir=place.parent, prefix=".half-"))
            path = self.half[condition] / case.replace("/", "_")
            mask = prediction.astype(np.uint8)
            if mask.ndim == 2:
                Image.fromarray(mask).save(path.with_name(f"{path.name}.png"))
                return
            affine, (_, spacing) = self.affine(case), self.data.truth(index)
            fallback = np.diag([*(spacing or (1.0, 1.0, 1.0)), 1.0])
            image = nibabel.Nifti1Image(mask, fallback if affine is None else affine)
            nibabel.save(image, path.with_name(f"{path.name}.nii.gz"))
        except OSError as error:
            raise cannot_write(place, error) from error

    def finish(self) -> None:
        """Put all of them in place, with their sums, instead of what lay there. Raises CannotWrite."""
        for condition, half in self.half.items():
            place = self.places[condition]
            try:
                sums.add(half, {path.name: sums.sha256(path) for path in sorted(half.glob("[!.]*"))})
                (half / f".{sums.NAME}.lock").unlink(missing_ok=True)
                half.chmod(0o755)
                shutil.rmtree(place, ignore_errors=True)
                os.rename(half, place)
            except OSError as error:
                raise cannot_write(place, error) from error

    def drop(self) -> None:
        """Delete what was not put in place."""
        for half in self.half.values():
            shutil.rmtree(half, ignore_errors=True)
