"""The report of suite=data_overview: figure 3 of the LDSeg paper, and how large the structures are."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.kept import Overview, Shown
from benchmarks.store.results import Results
from reports.paper import style, words
from reports.paper.document import Block, Document, Figure, Heading, Paragraph, Table
from reports.sections import common
from reports.suites.data_overview import overview_figure


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(Paragraph(str(results.suite["question"])))
    for overview in results.overviews:
        name = overview.about["name"]
        document.add(Heading(name), Paragraph(overview.about["title"] + "."))
        document.add(_splits(overview), _structures(overview), *_pictures(overview, folder))
    document.add(*common.commands(results))
    return document


def _splits(overview: Overview) -> Table:
    cases, name = overview.cases, overview.about["name"]
    dims = overview.about["spatial_dims"]
    rows = []
    for split in ("train", "val", "test"):
        part = cases[cases["split"] == split]
        row = {"split": split, "cases": len(part), "groups": part["group"].nunique()}
        if part["video"].notna().any():
            row["videos"] = part["video"].nunique()
        sides = np.array([[int(side) for side in shape.split("x")] for shape in part["shape"]])
        row["size in voxels"] = "x".join(_range(sides[:, axis], "d") for axis in range(dims))
        row["spacing in mm"] = "x".join(_range(part[f"spacing_{axis}"], ".3g") for axis in range(dims))
        row["cases without foreground"] = int((part[_columns(overview)].sum(axis=1) == 0).sum())
        rows.append(row)
    known = " (the patient)" if cases["group"].nunique() < len(cases) else ""
    caption = f"{name}: cases of each split; a group is what must not be split between training and test{known}."
    return Table(f"splits_{name}", caption, pd.DataFrame(rows).astype(str), pd.DataFrame(rows))


def _structures(overview: Overview) -> Table:
    """How large each class is, over all cases in which it is there."""
    cases, dims = overview.cases, overview.about["spatial_dims"]
    voxel = np.prod([cases[f"spacing_{axis}"] for axis in range(dims)], axis=0)
    total = cases["shape"].map(lambda shape: np.prod([int(side) for side in shape.split("x")]))
    unit, scale = ("mm\u00b2", 1.0) if dims == 2 else ("ml", 1e-3)
    rows, data = [], []
    for name, column in zip(overview.about["class_names"], _columns(overview), strict=True):
        there = cases[column] > 0
        share, size = (100 * cases[column] / total)[there], (cases[column] * voxel * scale)[there]
        data.append(
            {"class": name, "cases": int(there.sum()), "share_median": share.median(), "share_min": share.min(),
             "share_max": share.max(), "size_median": size.median(), "size_min": size.min(), "size_max": size.max(),
             "size_unit": unit}
        )  # fmt: skip
        rows.append(
            {
                "class": name,
                "cases that have it": f"{int(there.sum())} of {len(cases)}",
                "share of the image, %": _spread(share),
                f"size, {unit}": _spread(size),
            }
        )
    caption = (
        f"{overview.about['name']}: size of the structures, median (smallest to largest) over the cases that have them."
    )
    name = f"structures_{overview.about['name']}"
    return Table(name, caption, pd.DataFrame(rows), pd.DataFrame(data))


def _pictures(overview: Overview, folder: Path) -> list[Block]:
    cases, about = overview.pictures(), overview.about
    name, names = f"overview_{about['name']}", about["class_names"]
    if about["spatial_dims"] == 3:
        figure = overview_figure.volumes(cases, names)
        caption = (
            f"{about['name']}: {words.plural(len(cases), 'test case')} in three orthogonal slices through the middle "
            "of the foreground, and the surfaces of the classes."
        )
        alt = f"Slices and surface rendering of {words.listing(names)} in {words.listing([c.id for c in cases])}."
    else:
        rows, titles = _rows(overview, cases)
        figure = overview_figure.images(rows, names, titles)
        what = "videos, frame by frame," if overview.cases["video"].notna().any() else "test cases"
        caption = f"{about['name']}: {what} and below each image the same with its labels."
        alt = f"Images of {about['name']} with {words.listing(names)} marked."
    style.save(figure, folder, name)
    return [Figure(name, caption, alt)]


def _rows(overview: Overview, cases: list[Shown]) -> tuple[list[list[Shown]], list[list[str]]]:
    """Videos as rows of frames in the order of time; other cases all in one row."""
    known = overview.cases.set_index("case")
    if not known["video"].notna().any():
        return [cases], [[case.id for case in cases]]
    ordered = sorted(cases, key=lambda case: (known.loc[case.id, "video"], known.loc[case.id, "time"]))
    grouped = [list(frames) for _, frames in groupby(ordered, key=lambda case: known.loc[case.id, "video"])]
    rows = [frames[: overview_figure.MOST_FRAMES] for frames in grouped]
    return rows, [[case.id for case in row] for row in rows]


def _columns(overview: Overview) -> list[str]:
    return [f"voxels {name}" for name in overview.about["class_names"]]


def _range(values: np.ndarray | pd.Series, form: str) -> str:
    """From the smallest to the largest, or the one value there is."""
    low, high = min(values), max(values)
    if not np.isfinite(low):
        return "?"
    return f"{low:{form}}" if low == high else f"{low:{form}}\u2013{high:{form}}"


def _spread(values: pd.Series) -> str:
    """Median and range."""
    if not len(values) or not np.isfinite(values).any():
        return words.NOTHING
    return f"{values.median():.3g} ({values.min():.3g} to {values.max():.3g})"
