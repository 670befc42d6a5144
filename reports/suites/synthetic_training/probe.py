"""The reverse: what the segmenter of real images makes of synthetic ones, which says whether these show their maps."""

import pandas as pd

from reports.numbers import statistics
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Block, Heading, Table
from reports.suites.synthesis.scores import table_of
from reports.suites.synthetic_training.tables import REAL

REAL_IMAGES = "real images"
"""What `tested_on` says of the probe's real images (benchmarks.synthesis.probing)."""
POOLED = "all"


def makers(it: Study, dataset: str) -> dict[str, str]:
    """Key and title of every method whose images of a data set were segmented."""
    records = it.results.records
    found = records.loc[(records["dataset"] == dataset) & (records["tested_on"] != ""), "tested_on"].unique()
    titles = {variant.method.partition("-")[2]: variant.title for variant in it.names}
    titles = {key: title.partition("(")[2].rstrip(")") for key, title in titles.items()}
    return {key: titles.get(key, key) for key in found if key != REAL_IMAGES}


def compared(it: Study, dataset: str, maker: str) -> tuple[Estimate, Estimate, Estimate]:
    """DSC of the segmenter trained on real images: on synthetic test images by a maker, on the real images of the same
    maps, and the difference of the two."""
    records = it.results.records
    own = records[(records["dataset"] == dataset) & (records["class"] == POOLED) & (records["method"] == REAL)]
    made, real = (own[own["tested_on"] == name] for name in (maker, REAL_IMAGES))
    both = set(zip(made["seed"], made["case"])) & set(zip(real["seed"], real["case"]))
    made, real = (part[[key in both for key in zip(part["seed"], part["case"])]] for part in (made, real))
    one, groups = table_of(made, "dsc")
    two, _ = table_of(real, "dsc")
    bounds = (0.0, 1.0)
    # The same training segments both: what a training adds to both cancels.
    apart = statistics.mean(one - two, groups, bounds=(-1.0, 1.0))
    return statistics.mean(one, groups, bounds=bounds), statistics.mean(two, groups, bounds=bounds), apart


def section(it: Study, measured: list[str]) -> list[Block]:
    """A row per data set and maker; nothing where nothing was probed."""
    rows, data = [], []
    for dataset in measured:
        for maker, title in makers(it, dataset).items():
            made, real, apart = compared(it, dataset, maker)
            rows.append(
                [dataset, title, words.with_interval(made), words.with_interval(real),
                 words.with_interval(apart, write=words.signed)]
            )  # fmt: skip
            data.append({"dataset": dataset, "maker": maker} | {
                f"{name}{end}": value for name, part in (("synthetic", made), ("real", real), ("difference", apart))
                for end, value in (("", part.value), ("_low", part.low), ("_high", part.high))
            })  # fmt: skip
    if not rows:
        return []
    heads = ["data set", "images by", "DSC on synthetic images", "DSC on real images of the same maps", "difference"]
    caption = (
        "The segmenter trained on real images, tested on synthetic images of held-out maps against these maps, and "
        "on the real images of the same maps, both on the grid that methods work on; pooled DSC [95 % interval]. "
        "Images that do not show their maps score low; images simpler than real ones may score higher than those."
    )
    return [Heading("Segmenter of real images on synthetic ones"),
            Table("probe", caption, pd.DataFrame(rows, columns=heads), pd.DataFrame(data))]  # fmt: skip
