"""docs/results/synthetic_training: its tables against the records beside them, and its sentences against the tables."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.reports.committed import RESULTS

FOLDER = RESULTS / "synthetic_training"
DATASETS = sorted(
    path.name.removeprefix("records_").removesuffix(".csv.gz") for path in FOLDER.glob("records_*.csv.gz")
)
NEAR = {"abs": 2e-5}
"""Records and tables are rounded to five digits."""
ROWS = {
    "real": "real", "synthetic, Echo from Noise": "synthetic-echo_from_noise",
    "both, Echo from Noise": "both-echo_from_noise", "shuffled, Echo from Noise": "shuffled-echo_from_noise",
    "synthetic, Med-LSDM": "synthetic-med_lsdm", "both, Med-LSDM": "both-med_lsdm",
    "shuffled, Med-LSDM": "shuffled-med_lsdm", "control: class statistics": "synthetic-class_stats",
    "control: replay": "synthetic-replay",
}  # fmt: skip

NAMED = {"pooled": "dsc", "share of real": "share_of_real"}
"""Columns of the tables in words that are not named after a structure."""


@pytest.fixture(params=DATASETS)
def result(request):
    """(name, records, tables by their name)."""
    name = request.param
    tables = {kind: pd.read_csv(FOLDER / "tables" / f"{kind}_{name}.csv")
              for kind in ("arms", "by_image", "pairs", "probe", "makers")}  # fmt: skip
    return name, pd.read_csv(FOLDER / f"records_{name}.csv.gz", low_memory=False), tables


def by_case(records, method, part="all", tested_on=None):
    """DSC (cases, seeds) with the patient of each case."""
    rows = records[(records["method"] == method) & (records["class"] == part)]
    rows = rows[rows["tested_on"].isna() if tested_on is None else rows["tested_on"] == tested_on]
    table = rows.pivot(index="case", columns="seed", values="dsc")
    return table, rows.drop_duplicates("case").set_index("case")["group"].loc[table.index]


def by_patient(records, method, part="all", tested_on=None):
    table, groups = by_case(records, method, part, tested_on)
    return table.mean(axis=1).groupby(groups).mean()


def brackets(row, name, value):
    """The value, and that it lies within its interval."""
    assert row[name] == pytest.approx(value, **NEAR) and row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_arms_are_means_over_patients_of_their_records(result):
    _, records, tables = result
    real = by_patient(records, "real").mean()
    for row in tables["arms"].to_dict("records"):
        parts = [name for name in tables["arms"] if re.fullmatch(r"dsc( .*)?(?<!_low)(?<!_high)", name)]
        for name in parts:
            part = name.removeprefix("dsc").strip() or "all"
            if part != "mean over classes":
                brackets(row, name, by_patient(records, row["method"], part).mean())
        if row["method"] != "real":
            brackets(row, "share_of_real", by_patient(records, row["method"]).mean() / real)


def test_scores_by_image_are_means_and_sds_over_images(result):
    _, records, tables = result
    for row in tables["by_image"].to_dict("records"):
        for name in (name for name in row if name.startswith("dsc ") and not name.endswith("classes")):
            table, _ = by_case(records, row["method"], name.removeprefix("dsc "))
            assert row[name] == pytest.approx(table.to_numpy().mean(), **NEAR)
            assert row[name.replace("dsc", "sd", 1)] == pytest.approx(table.std(ddof=1).mean(), **NEAR)


def test_pairs_are_differences_on_the_same_patients(result):
    _, records, tables = result
    for row in tables["pairs"].to_dict("records"):
        apart = by_patient(records, row["first"]) - by_patient(records, row["second"])
        assert (
            row["difference"] == pytest.approx(apart.mean(), **NEAR) and row["low"] <= row["difference"] <= row["high"]
        )
        # An interval that holds 0 decides nothing, whatever the verdict's words.
        assert row["low"] > 0 or row["high"] < 0 or row["verdict"] not in ("better", "worse")


def test_the_probe_is_the_real_segmenter_on_images_of_the_same_maps(result):
    _, records, tables = result
    for row in tables["probe"].to_dict("records"):
        for name, where in (("synthetic", row["maker"]), ("real", "real images")):
            brackets(row, name, by_patient(records, "real", tested_on=where).mean())
        brackets(row, "difference", row["synthetic"] - row["real"])


def test_what_was_asked_for_was_reached(result):
    """S at 0.85 of R or more, whole interval included; shuffled maps clearly less."""
    name, _, tables = result
    arms = tables["arms"].set_index("method")
    if name.startswith("camus"):
        assert arms.loc["synthetic-echo_from_noise", "share_of_real_low"] >= 0.85
        assert arms.loc["shuffled-echo_from_noise", "dsc_high"] < arms.loc["synthetic-echo_from_noise", "dsc_low"]


@pytest.mark.parametrize("name", DATASETS)
def test_the_table_in_words_is_that_of_the_arms(name):
    text = (FOLDER / "README.md").read_text().replace("\u2212", "-")
    section = text.partition(f"datasets=[{name}]")[2].partition("\n## ")[0]
    arms, columns, checked = pd.read_csv(FOLDER / "tables" / f"arms_{name}.csv").set_index("method"), [], 0
    for line in section.splitlines():
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if first == "trained on":
            columns = [NAMED.get(cell, f"dsc {cell.partition(' (')[0]}") for cell in cells]
        if first not in ROWS:
            continue
        for column, cell in zip(columns, cells, strict=True):
            found = [float(number) for number in re.findall(r"[\d.]+", cell)]
            own = arms.loc[ROWS[first], [column, f"{column}_low", f"{column}_high"]].to_numpy(float)
            near = 0.501 * 10 ** -(2 if column == "share_of_real" else 3)
            assert found == ([] if np.isnan(own[0]) else pytest.approx(own.tolist(), abs=near))
            checked += 1
    assert checked == len(arms) * len(columns)


def test_every_interval_that_is_quoted_is_one_of_a_table():
    text = (FOLDER / "README.md").read_text().replace("\u2212", "-")
    known = []
    for path in sorted((FOLDER / "tables").glob("*.csv")):
        table = pd.read_csv(path)
        for low in (column for column in table if column.endswith("low")):
            known += [sorted(ends) for ends in table[[low, low.replace("low", "high")]].dropna().abs().to_numpy()]
    quoted = re.findall(r"\[([-+]?[\d.]+), ([-+]?[\d.]+)\]", text)
    assert quoted
    for ends in quoted:
        # A value that was rounded twice may end on either side.
        near = 0.501 * 10 ** -len(ends[0].partition(".")[2])
        own = sorted(abs(float(end)) for end in ends)
        assert np.isclose(own, known, rtol=0, atol=near).all(axis=1).any(), ends
