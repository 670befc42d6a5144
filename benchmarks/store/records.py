"""The columns of the records, and what tells the conditions of a store apart."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

RECORD_COLUMNS = [
    "method", "dataset", "seed", "case", "group", "class", "steps", "sampler", "sigma", "image_size",
    "dsc", "iou", "hd95", "assd", "seconds", "nfe", "eta", "ensemble", "empty", "trial",
    "video", "time", "temporal_dsc", "temporal_dsc_label",
]  # fmt: skip
RECORD_ORDER = ["dataset", "method", "seed", "sampler", "steps", "ensemble", "image_size", "sigma", "case", "class"]
TESTED = ["trial", "steps", "sampler", "eta", "ensemble", "sigma"]


def tested(record: Mapping[str, Any] | pd.Series) -> tuple:
    """What tells the conditions of a store apart, from a record (a row of the records, or anything with its names)."""
    return tuple(record[name] for name in TESTED)
