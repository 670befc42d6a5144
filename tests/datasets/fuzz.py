"""Damaged files of every kind that is read: each is read, or refused by a DataError that names it, soon and in little
memory.

    python -m tests.datasets.fuzz 100000            # so many files; status 1 where anything else happened
    python -m tests.datasets.fuzz 1 --first 4711    # file 4711 again
"""

import argparse
import csv
import faulthandler
import gzip
import io
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset

from datasets.base import DataError
from datasets.camus import Camus
from datasets.decathlon import Description
from datasets.files import load_image, load_label
from datasets.fingerprint import _file_hashes
from datasets.formats import TIFF, ending
from datasets.splits import read_split
from datasets.volumes import load_volume, spatial_axes

SECONDS = 5.0
"""Most processor time that reading one file of a few kilobytes may take."""
HARD_SECONDS = 300.0
"""By the clock: after this the process ends itself, with a traceback, for something hangs."""
MEMORY = 3 * 2**30
"""Address space beyond what the libraries take themselves."""
NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)

Reader = Callable[[Path], object]


# ---- sound files ----------------------------------------------------------------------------------------------------


def sound(folder: Path) -> dict[str, bytes]:
    """One small file of every kind, by its name."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (24, 20), np.uint8)
    colour = random.integers(0, 256, (24, 20, 3), np.uint8)
    made = [*_pictures(folder, grey, colour), *_tiffs(folder, grey, colour), *_volumes(folder, random)]
    made.append(slice_file(folder / "slice.dcm", grey.astype(np.uint16)))
    return {path.name: path.read_bytes() for path in made} | _texts()


def _pictures(folder: Path, grey: np.ndarray, colour: np.ndarray) -> Iterator[Path]:
    exif = Image.Exif()
    exif[274] = 6
    pictures = {
        "grey.png": Image.fromarray(grey),
        "colour.png": Image.fromarray(colour),
        "palette.png": Image.fromarray(colour).convert("P"),
        "deep.png": Image.fromarray(grey.astype(np.uint16) * 200),
        "colour.bmp": Image.fromarray(colour),
        "palette.bmp": Image.fromarray(grey).convert("P"),
        "turned.jpg": Image.fromarray(colour),
        "print.jpeg": Image.fromarray(colour).convert("CMYK"),
    }
    for name, picture in pictures.items():
        picture.save(folder / name, **({"exif": exif} if name.startswith("turned") else {}))
        yield folder / name


def _tiffs(folder: Path, grey: np.ndarray, colour: np.ndarray) -> Iterator[Path]:
    for name, array, more in (
        ("grey.tif", grey, {}),
        ("lzw.tif", colour, {"compression": "lzw", "predictor": True}),
        ("deflate.tiff", colour, {"compression": "zlib", "tile": (16, 16)}),
        ("jpeg.tif", np.resize(colour, (32, 32, 3)), {"compression": "jpeg", "photometric": "rgb"}),
        ("stack.tif", np.stack([grey, grey, grey]), {"photometric": "minisblack"}),
        ("palette.tif", grey, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}),
    ):
        tifffile.imwrite(folder / name, array, **({"metadata": None} | more))
        yield folder / name


def _volumes(folder: Path, random: np.random.Generator) -> Iterator[Path]:
    voxels = random.integers(0, 300, (6, 7, 5)).astype(np.int16)
    for name, image in (
        ("volume.nii", nibabel.Nifti1Image(voxels, np.eye(4))),
        ("volume.nii.gz", nibabel.Nifti1Image(voxels, np.eye(4))),
        ("flat.nii.gz", nibabel.Nifti1Image(voxels[:, :, :1], np.eye(4))),
        ("second.nii", nibabel.Nifti2Image(voxels.astype(np.float32), np.eye(4))),
    ):
        nibabel.save(image, folder / name)
        yield folder / name
    np.savez(folder / "plain.npz", image=voxels, spacing=[1.0, 1.0, 2.0])
    np.savez_compressed(folder / "packed.npz", image=voxels[..., 0], mask=voxels[..., 0] > 5)
    np.save(folder / "array.npy", voxels[..., 0])
    yield from (folder / "plain.npz", folder / "packed.npz", folder / "array.npy")


def slice_file(path: Path, pixels: np.ndarray, place: float = 0.0, series: str = "1.2.3", **changes) -> Path:
    """A CT slice in DICOM: pixels uint16 (rows, columns), `place` in mm along the patient, any tag by its keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    found = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.SeriesInstanceUID, found.Modality = series, "CT"
    found.Rows, found.Columns, found.SamplesPerPixel = *pixels.shape, 1
    found.PhotometricInterpretation, found.PixelRepresentation = "MONOCHROME2", 0
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit = 15
    found.PixelSpacing, found.ImageOrientationPatient = [0.5, 0.75], [1, 0, 0, 0, 1, 0]
    found.ImagePositionPatient = [0, 0, place]
    found.RescaleSlope, found.RescaleIntercept = 1, -1024
    found.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    found.save_as(path, enforce_file_format=True)
    return path


def _texts() -> dict[str, bytes]:
    table = io.StringIO()
    csv.writer(table).writerows([["id", "split"], ["a", "train"], ["b", "val"], ['"c, d"', "test"]])
    task = {
        "labels": {"0": "background", "1": "front"},
        "modality": {"0": "MRI"},
        "training": [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}],
    }
    texts = {
        "split.csv": table.getvalue(),
        "split.json": json.dumps({"train": ["a"], "val": ["b"], "test": ["c"]}),
        "dataset.json": json.dumps(task),
        "subgroup_testing.txt": "patient0001\npatient0002\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def readers(path: Path) -> list[Reader]:
    """All that reads a file of this name."""
    if path.name == "dataset.json":
        return [Description.load]
    if path.suffix in (".csv", ".json"):
        return [lambda file: read_split(file, "dataset.folder.split")]
    if path.suffix == ".txt":
        return [_subgroups]
    if ending(path) in (".nii", ".nii.gz", ".npz", ".npy"):
        return [load_image, load_label, load_volume, spatial_axes]
    if ending(path) == ".dcm":
        return [load_image, lambda file: load_volume((file, file))]
    return [load_image, load_label, *([load_volume, spatial_axes] if ending(path) in TIFF else [])]


def _subgroups(path: Path) -> object:
    for name in ("subgroup_training.txt", "subgroup_validation.txt"):
        (path.parent / name).write_text("patient0003\n")
    return Camus._official_split(path.parent)


# ---- damage ---------------------------------------------------------------------------------------------------------


def damaged(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """The file with one to four things wrong; `other` is a file that parts may come from."""
    found = bytearray(data)
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(len(found) + 1))
        # Headers decide most, and stand at the beginning.
        place = place if random.random() < 0.5 else place % 400
        length = int(random.integers(1, 64))
        match random.integers(9):
            case 0 if found:
                found[place % len(found)] ^= 1 << int(random.integers(8))
            case 1 if found:
                found[place % len(found)] = int(random.integers(256))
            case 2:
                del found[place:]
            case 3:
                del found[place : place + length]
            case 4:
                found[place:place] = random.bytes(length)
            case 5:
                width, order = int(random.choice([2, 4, 8])), str(random.choice(["little", "big"]))
                found[place : place + width] = (int(random.choice(NUMBERS)) % 256**width).to_bytes(width, order)
            case 6:
                start = int(random.integers(len(other) + 1))
                found[place : place + length] = other[start : start + length]
            case 7:
                found[place:place] = found[place : place + length] * int(random.integers(1, 50))
            case _:
                found[place : place + length] = bytes(length)
    return bytes(found)


def repacked(name: str, data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """A packed file with sound packing around damaged content."""
    if name.endswith(".gz"):
        return gzip.compress(damaged(gzip.decompress(data), other, random), 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(packed, "w") as after:
        for member in before.namelist():
            content = before.read(member)
            after.writestr(member, damaged(content, other, random) if random.random() < 0.7 else content)
    return packed.getvalue()


def place_special(path: Path, kind: int) -> None:
    """Something at `path` that is no file, or cannot be reached."""
    match kind:
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(path.name)
        case 2:
            path.mkdir()
        case 3:
            path.symlink_to("nowhere")
        case 4:
            path.symlink_to("/dev/zero")
        case _:
            path.write_bytes(b"")


def write_case(folder: Path, number: int, files: dict[str, bytes], seed: int) -> Path:
    """File `number` of this seed, in `folder`."""
    random = np.random.default_rng([seed, number])
    names = sorted(files)
    name, other = names[number % len(names)], files[str(random.choice(names))]
    path = folder / name
    if random.random() < 0.02:
        place_special(path, int(random.integers(6)))
        return path
    packed = name.endswith((".gz", ".npz"))
    deep = packed and random.random() < 0.6
    path.write_bytes(repacked(name, files[name], other, random) if deep else damaged(files[name], other, random))
    return path


# ---- trial ----------------------------------------------------------------------------------------------------------


def attempt(reader: Reader, path: Path) -> str:
    """What came of a reading: read, refused, or what should not have happened, in words."""
    started = time.process_time()
    faulthandler.dump_traceback_later(HARD_SECONDS, exit=True)
    try:
        reader(path)
        outcome = "read"
    except DataError as error:
        outcome = "refused" if path.name in str(error) or str(path.parent) in str(error) else f"unnamed: {error}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome = f"foreign: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:80]}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    return outcome if time.process_time() - started < SECONDS else f"slow: {time.process_time() - started:.1f} s"


def main(words: list[str]) -> int:
    """Reads so many damaged files; prints what came of them and gives 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    warnings.simplefilter("ignore")
    outcomes: Counter = Counter()
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "sound").mkdir()
        files = sound(Path(place) / "sound")
        for reader, path in ((r, Path(place) / "sound" / name) for name in files for r in readers(Path(name))):
            path.write_bytes(files[path.name])
            assert "foreign" not in attempt(reader, path), path
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, -1))
        for number in range(asked.first, asked.first + asked.count):
            folder = Path(place) / str(number)
            folder.mkdir()
            path = write_case(folder, number, files, asked.seed)
            for reader in [*readers(path), lambda file: _file_hashes([file], None)]:
                outcome = attempt(reader, path)
                outcomes[outcome.partition(":")[0]] += 1
                if outcome not in ("read", "refused"):
                    print(f"file {number} ({path.name}): {outcome}", flush=True)
            path.rmdir() if path.is_dir() and not path.is_symlink() else None
            for left in folder.iterdir():
                left.unlink()
            folder.rmdir()
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    wrong = sum(outcomes.values()) - outcomes["read"] - outcomes["refused"]
    print(f"{asked.count} files, {dict(outcomes)}, {more / 1024:.0f} MiB more at most; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
