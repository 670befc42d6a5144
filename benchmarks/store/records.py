"""The columns of the records, and what tells the conditions of a store apart."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

RECORD_COLUMNS = [
    "method", "dataset", "seed", "case", "group", "class", "steps", "sampler", "sigma", "image_size",
    "dsc", "iou", "hd95", "assd", "seconds", "nfe", "eta", "ensemble", "empty", "trial",
    "video", "time", "temporal_dsc", "temporal_dsc_label", "corruption", "severity", "tested_on",
]  # fmt: skip
RECORD_ORDER = ["dataset", "method", "seed", "sampler", "steps", "ensemble", "image_size", "sigma", "case", "class"]
TESTED = ["trial", "steps", "sampler", "eta", "ensemble", "sigma", "corruption", "severity", "tested_on"]
UNDISTURBED = {"corruption": "", "severity": 0, "tested_on": ""}
"""Of tests on images of the data set trained on that nothing but noise was done to, and of all records from before there
were others."""


def tested(record: Mapping[str, Any] | pd.Series) -> tuple:
    """What tells the conditions of a store apart, from a record (a row of the records, or anything with its names)."""
    return tuple(record[name] if name in record else UNDISTURBED[name] for name in TESTED)


def undisturbed(records: pd.DataFrame) -> pd.Series:
    """Of which records (a row each) the images are those of the data set trained on, without a corruption."""
    same = [records[name].fillna(value) == value for name, value in UNDISTURBED.items() if name in records]
    return pd.Series(True, index=records.index) if not same else pd.concat(same, axis=1).all(axis=1)
