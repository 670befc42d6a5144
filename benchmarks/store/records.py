"""The columns of the records, and what tells the conditions of a store apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

RECORD_COLUMNS = [
    "method", "dataset", "seed", "case", "group", "class", "steps", "sampler", "sigma", "image_size",
    "dsc", "iou", "hd95", "assd", "seconds", "nfe", "eta", "ensemble", "empty", "trial",
    "video", "time", "temporal_dsc", "temporal_dsc_label", "corruption", "severity", "tested_on",
    "hd95_penalised", "assd_penalised", "nsd", "tolerance", "unit",
    "object_f1", "object_dice", "object_hausdorff", "subset",
]  # fmt: skip
"""What is not plain: unit is that of all distances, mm, um or px, pixels of the case's own grid; tolerance is that of
nsd, in this unit; subset is the part of the test set that a case belongs to. Records from before these columns existed,
in which 2D cases were scored on the grid that methods work on, have NaN in them."""
WATCHED_COLUMNS = [*RECORD_COLUMNS, "direction", "index", "t", "alpha_bar"]
"""Of a diffusion that was watched. direction: forward or reverse; index: place in the process, from 0; t: time in the
method's own units."""
RECORD_ORDER = ["dataset", "method", "seed", "sampler", "steps", "ensemble", "image_size", "sigma", "case", "class"]
TESTED = ["trial", "steps", "sampler", "eta", "ensemble", "sigma", "corruption", "severity", "tested_on"]
UNDISTURBED = {"corruption": "", "severity": 0, "tested_on": ""}
"""Of tests on images of the data set trained on that nothing but noise was done to, and of all records from before
there were others."""


def tested(record: Mapping[str, Any] | pd.Series) -> tuple:
    """What tells the conditions of a store apart, from a record (a row of the records, or anything with its names)."""
    return tuple(record[name] if name in record else UNDISTURBED[name] for name in TESTED)


def undisturbed(records: pd.DataFrame) -> pd.Series:
    """Of which records (a row each) the images are those of the data set trained on, without a corruption."""
    import pandas as pd

    same = pd.Series(True, index=records.index)
    for name, value in UNDISTURBED.items():
        if name in records:
            same &= records[name].isna() | (records[name] == value)
    return same


def completed(records: pd.DataFrame) -> pd.DataFrame:
    """With all columns that records have, in their order, from records of whatever version of this project."""
    frame = records.reindex(columns=RECORD_COLUMNS)
    known = {name: frame[name].astype(object).where(frame[name].notna(), value) for name, value in UNDISTURBED.items()}
    return frame.assign(**{name: column.astype(type(UNDISTURBED[name])) for name, column in known.items()})
