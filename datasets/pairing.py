"""Which mask belongs to which image, in a user's own folders."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.base import DataError
from datasets.formats import DICOM, ending, listing, said, stem

SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Names of folders, in lower case, that are a split."""
ANY = "*"
"""What stands in a path for the folder of a split."""


@dataclass(frozen=True)
class Pair:
    """An image with its mask. name: its path below the folder of images, without the ending, parts joined by /; image:
    the file, or the slices of a DICOM series; split: the one whose folder it lies in, if any."""

    name: str
    image: tuple[Path, ...]
    mask: Path
    split: str | None = None

    @property
    def stem(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]

    @property
    def where(self) -> Path:
        """What an error calls the image."""
        return self.image[0] if len(self.image) == 1 else self.image[0].parent


@dataclass(frozen=True)
class Layout:
    """Where images and masks of data set `dataset` lie. suffix: what a mask's name has after its image's; pattern: what
    an image's name has to match, else it is left out; None takes all."""

    dataset: str
    images: Path
    masks: Path
    suffix: str = ""
    pattern: re.Pattern | None = None

    def key(self, setting: str) -> str:
        """A setting as the command line names it."""
        return f"dataset.{self.dataset}.{setting}"

    def pairs(self) -> list[Pair]:
        """Every image with its mask, sorted by name. Raises DataError for a missing folder, an image without a mask and
        for two files of one name."""
        places = self._places()
        found = [pair for split, images, masks in places for pair in self._below(images, masks, split)]
        if not found:
            left = f" whose name matches {self.key('pattern')}={self.pattern.pattern!r}" if self.pattern else ""
            raise DataError(
                f"{self.images} holds no image{left}. Expected PNG, TIFF, BMP, JPEG, npz, NIfTI or DICOM files, also "
                f"in sub-folders: set {self.key('images')}."
            )
        if places[0][0] is None:
            found = _split_by_folder(found)
        return sorted(found, key=lambda pair: (pair.name, pair.split or ""))

    def _places(self) -> list[tuple[str | None, Path, Path]]:
        """(split, folder of images, folder of masks); one of no split unless the paths have a * for it."""
        before, found, _ = str(self.images).partition(ANY)
        if not found and ANY not in str(self.masks):
            return [(None, self.images, self.masks)]
        if not found or ANY not in str(self.masks) or before[-1:] not in ("", "/"):
            raise DataError(
                f"{self.key('images')} is {self.images} and {self.key('masks')} {self.masks}, expected a * in both in "
                "place of the folders train, val and test, such as data/*/images and data/*/masks."
            )
        parent = Path(before or ".")
        try:
            folders = sorted(path for path in parent.iterdir() if path.name.lower() in SPLIT_FOLDERS)
        except OSError as error:
            raise DataError(f"{parent} cannot be read: {said(error)}. Check {self.key('images')}.") from error
        if not folders:
            raise DataError(
                f"{parent} has no folder train, val or test, which the * in {self.key('images')} stands for."
            )
        images, masks = str(self.images), str(self.masks)
        return [
            (
                SPLIT_FOLDERS[folder.name.lower()],
                Path(images.replace(ANY, folder.name, 1)),
                Path(masks.replace(ANY, folder.name, 1)),
            )
            for folder in folders
        ]

    def _below(self, images: Path, masks: Path, split: str | None) -> list[Pair]:
        marked = _by_name(listing(masks, self.key("masks"), below=True), masks)
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for name, path in marked.items():
            by_stem[name.rpartition("/")[2]].append(path)

        def mask_of(name: str) -> Path | None:
            same = by_stem.get(name.rpartition("/")[2] + self.suffix, [])
            return marked.get(name + self.suffix) or (same[0] if len(same) == 1 else None)

        found = self._images(images, masks, mask_of)
        alone = {name: files for name, files in found.items() if mask_of(name) is None}
        if alone:
            named = ", ".join(str(files[0]) for files in [*alone.values()][:10]) + (" ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} of {len(found)} image(s) without a mask: {named}. Expected {masks}/"
                f"{next(iter(alone))}{self.suffix} with a known ending. Add the mask, remove the image, set "
                f"{self.key('mask_suffix')} to what the masks' names have after the images', or {self.key('pattern')} "
                "to what the names of images have in common."
            )
        return [Pair(name, files, mask_of(name), split) for name, files in found.items()]

    def _images(self, images: Path, masks: Path, mask_of: Callable[[str], Path | None]) -> dict[str, tuple[Path, ...]]:
        """Files of every image by its name."""
        paths = listing(images, self.key("images"), below=True)
        if images.resolve() == masks.resolve():
            if not self.suffix and any(ending(path) != ".npz" for path in paths):
                raise DataError(
                    f"{images} is given for both images and masks, so names cannot tell them apart. "
                    f"Expected {self.key('mask_suffix')}, such as _mask."
                )
        elif masks.resolve().is_relative_to(images.resolve()):
            paths = [path for path in paths if not path.resolve().is_relative_to(masks.resolve())]
        if self.suffix:
            paths = [path for path in paths if not stem(path).endswith(self.suffix)]
        slices: dict[Path, list[Path]] = defaultdict(list)
        for path in paths:
            if ending(path) in DICOM and path.parent != images:
                slices[path.parent].append(path)
        # A folder of slices is one volume where there is one mask for it.
        series = {
            name: tuple(files)
            for folder, files in slices.items()
            if mask_of(name := folder.relative_to(images).as_posix()) is not None
        }
        taken = {path for files in series.values() for path in files}
        single = _by_name([path for path in paths if path not in taken], images)
        found = {name: (path,) for name, path in single.items()} | series
        return {name: files for name, files in found.items() if self.pattern is None or self.pattern.search(name)}


def _by_name(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = (path.parent / stem(path)).relative_to(folder).as_posix()
        other = found.setdefault(name, path)
        if other != path:
            raise DataError(f"{other} and {path} have the same name, expected one file a case. Rename one.")
    return found


def _split_by_folder(pairs: Sequence[Pair]) -> list[Pair]:
    """With their splits and without the folder in the name, where all lie in folders of training and test."""
    tops = {pair.name.partition("/")[0].lower() for pair in pairs if "/" in pair.name}
    inside = all("/" in pair.name for pair in pairs)
    if not inside or not tops <= set(SPLIT_FOLDERS) or not {"train", "test"} <= {SPLIT_FOLDERS[top] for top in tops}:
        return list(pairs)
    return [
        Pair(rest, pair.image, pair.mask, SPLIT_FOLDERS[top.lower()])
        for pair in pairs
        for top, _, rest in [pair.name.partition("/")]
    ]


def ids(pairs: Sequence[Pair]) -> list[str]:
    """A short name for each: that of the file where no two are alike, else its path with _ for /, with its split before
    it where that is needed."""
    for name_of in (
        lambda pair: pair.stem,
        lambda pair: pair.name.replace("/", "_"),
        lambda pair: f"{pair.split}_{pair.name.replace('/', '_')}",
    ):
        names = [name_of(pair) for pair in pairs]
        if max(Counter(names).values(), default=0) < 2:
            return names
    twice = next(name for name, count in Counter(names).items() if count > 1)
    raise DataError(f"{len(pairs)} images have names that become {twice!r} more than once. Rename their folders.")


def split_of(pairs: Sequence[Pair], given: dict[str, str], names: Sequence[Sequence[str]], where: Path) -> list[str]:
    """The split of each pair from a file's {name: split}. names: what the file may call each; endings are passed over.

    Raises DataError for images and lines that do not meet.
    """
    by_name = {name[: len(name) - len(ending(Path(name)))]: split for name, split in given.items()}
    keys = [next((name for name in own if name in by_name), None) for own in names]
    absent = sorted(pair.name for pair, key in zip(pairs, keys) if key is None)
    extra = sorted(set(by_name) - set(keys))
    if absent or extra:
        raise DataError(
            f"{where} does not fit the images: no split for {absent[:5]} ({len(absent)} in all), no image "
            f"for {extra[:5]} ({len(extra)} in all). Expected each image's name without ending, or its patient's: "
            "correct it."
        )
    return [by_name[key] for key in keys if key is not None]
