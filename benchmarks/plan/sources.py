"""Data sources of a configuration, checked before they are used."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.plan import choices
from benchmarks.store.config import DatasetConfig
from datasets.base import DataError, Entry, Source
from datasets.integrity import check
from datasets.prepare import Prepared, prepare


def source(config: DictConfig, name: str) -> Source:
    """The data source of conf/dataset/NAME.yaml. Raises BadInput where its settings do not fit."""
    settings = {k: v for k, v in config.dataset[name].items() if k not in choices.DATASET_NOTES or k == "_target_"}
    try:
        return instantiate(OmegaConf.create(settings), _convert_="all")
    except Exception as error:  # hydra wraps whatever the constructor raised
        raise BadInput(f"dataset.{name}: {error.__cause__ or error}") from error


def checked_entries(origin: Source, config: DictConfig) -> list[Entry]:
    """The cases in use, once the data set has passed its checks. Raises BadInput naming the files that did not."""
    try:
        return check(origin, Path(config.paths.cache))
    except DataError as error:
        everywhere = " paths.data=DIR, or the environment variable DIFFSEG_DATA, moves all data sets at once."
        raise BadInput(f"dataset.{origin.name}: {error}{everywhere if '.root' in str(error) else ''}") from error


def prepared(config: DictConfig, dataset: DatasetConfig) -> Prepared:
    """The cases of a data set at its image size, from the cache or made now."""
    with console.task(f"{dataset.name}: preparing images") as report:
        return prepare(
            source(config, dataset.name),
            tuple(dataset.image_size),
            Path(config.paths.cache),
            lambda done, total: report(done, total, "images"),
        )
