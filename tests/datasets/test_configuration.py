"""Every file of conf/dataset/ against the class it names."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from datasets.base import Source

FILES = sorted((Path(__file__).parents[2] / "conf" / "dataset").glob("*.yaml"))
NOTES = ("image_size", "training", "nsd_tolerance", "unions")
LIMIT = {"train": 3, "val": 1, "test": 2}


def settings(path: Path) -> dict:
    root = OmegaConf.create({"paths": {"data": "data"}, "profile": {"limit": LIMIT}, "dataset": OmegaConf.load(path)})
    return OmegaConf.to_container(root, resolve=True)["dataset"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_names_a_source_with_all_its_settings(path):
    given = settings(path)
    kind = get_class(given["_target_"])
    assert issubclass(kind, Source) and kind.name == path.stem and kind.title
    assert set(given) - {"_target_", *NOTES} == set(inspect.signature(kind).parameters) - {"name"}
    assert set(given["image_size"]) == {"tiny", "quick", "paper"}
    axes = 2 if path.stem == "folder" else kind.spatial_dims  # a folder's first image decides
    assert all(len(size) == axes for size in given["image_size"].values())
    if "fit" in given:
        assert given["fit"] == inspect.signature(kind).parameters["fit"].default


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_source_is_built_without_touching_data(path):
    given = {key: value for key, value in settings(path).items() if key not in NOTES}
    if path.stem == "folder":
        given |= {"images": "images", "masks": "masks"}
    source = instantiate(given, _convert_="all")
    assert source.limit == LIMIT and source.augmentation.intensity == 0.05


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_key_has_a_comment_and_the_file_its_command(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# python run_bench.py ")
    for before, line in zip(lines[1:], lines[2:]):
        if line[:1].isalpha() and not line.startswith("_target_"):
            assert before.startswith("# "), f"{line} has no comment above it"
