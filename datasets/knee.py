"""Knee MRI with femur and tibia, in the layout of the LDSeg experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.formats import NIFTI, listing, stem
from datasets.splits import by_fraction
from datasets.volumes import PERCENTILES, Scaling, by_value, load_pair


class Knee(Source):
    """Image/CaseN.nii.gz with Label/CaseN_label.nii.gz, label values 1 femur and 2 tibia; a case is a patient.

    A fifth of the patients is the test part and a tenth of the others the validation part, by the hash of seed
    and name.
    """

    name = "knee"
    title = "Knee MRI: femur and tibia, 3D, Image/CaseN.nii.gz with Label/CaseN_label.nii.gz (files needed)"
    spatial_dims = 3
    channels = 1
    class_names = ("femur", "tibia")

    def __init__(
        self,
        root: str | Path,
        fit: str = "resize",
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] = PERCENTILES,
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Settings as explained in conf/dataset/knee.yaml. Raises DataError on those that cannot be used."""
        super().__init__(limit, augmentation, name, fit)
        self.root = Path(root)
        self.scaling = Scaling.of(self.name, window, percentiles)
        self.fractions = dict(fractions or {"train": 0.72, "val": 0.08, "test": 0.2})
        self.seed = seed

    def settings(self) -> Mapping[str, Any]:
        """How intensities are scaled."""
        return dict(vars(self.scaling))

    def entries(self) -> list[Entry]:
        """All volumes. Raises DataError when a folder, the volumes or a label is missing."""
        key = f"dataset.{self.name}.root"
        images = {stem(path): path for path in listing(self.root / "Image", key, NIFTI)}
        labels = {stem(path): path for path in listing(self.root / "Label", key, NIFTI)}
        if not images:
            raise DataError(f"{self.root / 'Image'} holds no NIfTI file, expected CaseN.nii.gz. Set {key}.")
        alone = [path for name, path in images.items() if f"{name}_label" not in labels]
        if alone:
            named = ", ".join(map(str, alone[:10])) + (" ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} image(s) without a label: {named}. Expected "
                f"{self.root / 'Label' / f'{stem(alone[0])}_label.nii.gz'}. Add the label or remove the image."
            )
        splits = by_fraction(images, self.fractions, self.seed)
        return [Entry(name, name, splits[name], (images[name], labels[f"{name}_label"])) for name in sorted(images)]

    def read(self, entry: Entry) -> Case:
        """Image (1, X, Y, Z), label and spacing in mm. Raises DataError naming the file, see datasets.volumes."""
        image, stored, spacing = load_pair(*entry.files, self.scaling)
        return Case(entry.id, entry.group, image, by_value(stored, (1, 2), entry.files[1]), spacing)
