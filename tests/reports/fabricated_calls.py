"""Fabricated records of timings: every call by a simple rule."""

import numpy as np
import pandas as pd

from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results

TITLES = {"ldseg": "LDSeg", "resunet": "Res-UNet", "sdf_ddpm": "SDF-DDPM"}
MORE = [
    "title",
    "call",
    "first",
    "peak_memory_mib",
    "parameters",
    "status",
    "reason",
    "device",
    "cpu",
    "threads",
    "torch",
]


def contestant(
    method="ldseg", dataset="phantom_glands", size="64x64", steps=50, seconds=1.0, calls=7, memory=10.0, spread=0.1,
    status="ok", reason=None,
) -> list[dict]:  # fmt: skip
    """A first call of twice `seconds`, and repeated ones around `seconds`; one row with the reason where not ok."""
    row = {
        "method": method, "dataset": dataset, "title": TITLES[method], "image_size": size, "steps": steps,
        "sampler": "ddim" if steps else "", "eta": 0.0 if steps else np.nan, "ensemble": 1, "parameters": 1000.0,
        "device": "a processor", "cpu": "a processor", "threads": 2, "torch": "2.14.0",
    }  # fmt: skip
    if status != "ok":
        return [row | {"call": 0, "first": True, "seconds": np.nan, "nfe": np.nan, "peak_memory_mib": np.nan,
                       "status": status, "reason": reason}]  # fmt: skip
    random = np.random.default_rng([steps, len(size), int(size.split("x")[0]), sum(map(ord, method + dataset))])
    taken = [2 * seconds, *(seconds * (1 + spread * random.exponential(size=calls)))]
    return [
        row | {"call": call, "first": call == 0, "seconds": value, "nfe": max(1, steps - 1), "status": "ok",
               "reason": None, "peak_memory_mib": memory if call == 0 else np.nan}
        for call, value in enumerate(taken)
    ]  # fmt: skip


def results(suite: str, *contestants: list[dict]) -> Results:
    rows = [row for rows in contestants for row in rows]
    command = f"python run_bench.py suite={suite}"
    about = {
        "name": suite, "title": suite, "question": "How long?", "command": command, "longest_call": 10.0,
        "redraw_command": f"{command} action=report", "least_calls": 5, "seconds": 8.0,
        "methods": list(dict.fromkeys(row["method"] for row in rows)),
        "datasets": list(dict.fromkeys(row["dataset"] for row in rows)),
    }  # fmt: skip
    return Results(about, [], pd.DataFrame(rows).reindex(columns=[*RECORD_COLUMNS, *MORE]))
