"""What reports say of a publication's claims, in one table: each claim with our difference, its interval, the trainings
behind it, what was published and the verdict.

Which rows of which table answer a claim stands in claims.yaml. Nothing is tested here: intervals and verdicts are those
of the reports, read from their tables/*.csv, so the table and the reports cannot disagree.

    python -m reports.sections.claims docs/results
"""

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from omegaconf import OmegaConf

from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import AHEAD, BEHIND, SO_FAR, Verdict
from reports.paper import markdown, words
from reports.paper.document import Table
from reports.sections import published

FILE = Path(__file__).with_name("claims.yaml")
COLUMNS = ["claim", "data set", "compared", "ours [95 % interval]", "trainings", "published", "verdict"]
CHANCE = 0.5


class Answer(NamedTuple):
    """What one report says of one claim on one data set. value, low, high: first minus second (DSC, or AUROC), an AUROC
    or an exponent; the ends are None where there is no interval. trainings: of the first, and of the second where that
    is another method. report: the folder whose table says so."""

    claim: str
    dataset: str
    compared: str
    value: float
    low: float | None
    high: float | None
    trainings: tuple[int, ...]
    published: str
    verdict: str
    report: Path


@lru_cache(maxsize=1)
def load() -> dict:
    """The content of claims.yaml."""
    return OmegaConf.to_container(OmegaConf.load(FILE))


def answers(folders: Mapping[str, Sequence[Path]]) -> list[Answer]:
    """What the reports in these folders say, in the order of the claims. folders: of each suite, by its name. A claim
    of which no report has a row is left out."""
    found = []
    for claim in load()["claims"]:
        for folder in folders.get(claim["suite"], ()):
            for path in sorted((folder / "tables").glob(f"{claim['table']}.csv")):
                rows = _rows(claim, pd.read_csv(path))
                for part in _by_data_set(rows) if claim.get("best") else [[row] for row in rows]:
                    found.append(_answer(claim, part, folder))
    return found


def table(folders: Mapping[str, Sequence[Path]]) -> Table | None:
    """The answers as a table; None where the reports have none."""
    found = answers(folders)
    if not found:
        return None
    data = pd.DataFrame([one._replace(report=one.report.name)._asdict() for one in found])
    data["trainings"] = [" and ".join(map(str, one.trainings)) for one in found]
    caption = (
        f"What was claimed ({published.citation(load()['source'])}), and what these reports say of it; the last "
        "claims are ours to ask. Differences are those of DSC unless said otherwise, first minus second. Verdicts are "
        "the reports': so far, of these trainings, margins and families as explained there. "
        "What loses less to noise may have had less to lose: the report has the scores."
    )
    return Table("claims", caption, pd.DataFrame(map(_cells, found), columns=COLUMNS), data)


def _cells(one: Answer) -> list[str]:
    digits, write = (2, words.number) if one.compared.startswith("exponent") else (3, words.signed)
    write = words.number if one.compared.startswith("AUROC of the spread") else write
    ours = words.with_interval(_estimate(one), digits, write)
    return [one.claim, one.dataset, one.compared, ours, " and ".join(map(str, one.trainings)) or words.NOTHING,
            one.published or words.NOTHING, one.verdict]  # fmt: skip


def _estimate(one: Answer) -> Estimate:
    return Estimate(one.value, one.low, one.high, 0, 0)


def _rows(claim: dict, table: pd.DataFrame) -> list[dict]:
    """Rows of a table that speak of a claim, with equal names in all tables: first, second, value, low, high."""
    rows = []
    for row in table.to_dict("records"):
        first, second = row.get("first", row.get("method")), row.get("second", row.get("twin"))
        value = next((name for name in ("difference", "auroc", "exponent") if name in row), None)
        if value is None or _method(first) != claim["first"] or pd.isna(row[value]):
            continue
        if "against" in claim and _method(second) not in claim["against"]:
            continue
        of = claim.get("of", "")
        if not f"{row.get('of', '')} ".startswith(f"{of} " if of else "") or row.get("sigma", 0) != 0:
            continue
        if row.get("fewest") != claim.get("fewest"):
            continue
        low, high = (row.get(f"{value}_{end}", row.get(end)) for end in ("low", "high"))
        rows.append(row | {"first": first, "second": second, "value": row[value], "low": low, "high": high})
    return rows


def _by_data_set(rows: list[dict]) -> list[list[dict]]:
    """The row least in favour of the claim first."""
    sets = dict.fromkeys(row["dataset"] for row in rows)
    return [sorted((row for row in rows if row["dataset"] == name), key=lambda row: row["value"]) for name in sets]


def _answer(claim: dict, rows: list[dict], folder: Path) -> Answer:
    row = rows[0]
    low, high = (None if pd.isna(row[end]) else row[end] for end in ("low", "high"))
    return Answer(claim["claim"], row["dataset"], _compared(claim, rows), row["value"], low, high,
                  _trainings(row, folder), _published(claim, row), _verdict(claim, rows, folder), folder)  # fmt: skip


def _compared(claim: dict, rows: list[dict]) -> str:
    row = rows[0]
    first = _title(row["first"])
    if "exponent" in row:
        # Reports of former versions do not say with how many steps.
        steps = f", K = {row['steps']:g}" if row.get("steps") else ""
        return f"exponent of the side, {row['smallest']} to {row['largest']}{steps}"
    if claim["holds"] == "chance":
        return f"AUROC of the spread of {first}" + (f", {row['steps']:g} steps" if row.get("steps") else "")
    if "fewest" in row:
        return f"{first}, {row['fewest']:g} − {row['most']:g} steps"
    if _method(row["second"]):
        best = ", the best of its rivals" if claim.get("best") and row["value"] < 0 else ""
        return f"{first} − {_title(row['second'])}{best}"
    return f"{first}, AUROC of the spread − of 1 − confidence"


def _verdict(claim: dict, rows: list[dict], folder: Path) -> str:
    row = rows[0]
    if claim["holds"] == "constant":
        return _of_growth(row.get("verdict"))
    if claim["holds"] == "chance":
        return _of_chance(row) + ("" if max(_trainings(row, folder), default=1) > 1 else ", of this training")
    alone = "" if row.get("about") == "methods" else ", of these trainings"
    found = [Verdict(row["verdict"]) for row in rows]
    if claim["holds"] == "enough":
        return _of_sufficiency(found[0]) + alone
    if claim.get("best"):
        return _of_all(found) + alone
    return _of_difference(found[0], row["margin"]) + alone


def _of_difference(found: Verdict, margin: float) -> str:
    """Of a claim that the first is better."""
    if found in (*AHEAD, *BEHIND):
        return ("holds" if found in AHEAD else "falls, the other way round") + (" so far" if found in SO_FAR else "")
    return {
        Verdict.EQUIVALENT: f"falls: equivalent within {margin:g}",
        Verdict.NOT_BETTER: f"not by more than {margin:g}",
        Verdict.NOT_WORSE: f"open: not worse by more than {margin:g}",
    }.get(found, "undecided")


def _of_sufficiency(found: Verdict) -> str:
    """Of a claim that the first is not worse by more than the margin."""
    if found in (*AHEAD, Verdict.EQUIVALENT, Verdict.NOT_WORSE):
        return "holds"
    return {Verdict.WORSE: "falls", Verdict.WORSE_SO_FAR: "falls so far"}.get(found, "undecided")


def _of_all(found: list[Verdict]) -> str:
    """Of a claim that the first is better than all."""
    ahead, behind = (sum(one in side for one in found) for side in (AHEAD, BEHIND))
    counts = f"worse than {behind} of {len(found)}, better than {ahead}"
    if ahead == len(found):
        return "holds so far" if any(one in SO_FAR for one in found) else "holds"
    return f"falls: {counts}" if behind else f"undecided: {counts}"


def _of_growth(said: object) -> str:
    if not isinstance(said, str) or said.startswith("cannot be told"):
        return "undecided"
    return "holds" if said.startswith("is practically constant") else f"falls: {said}"


def _of_chance(row: dict) -> str:
    if pd.isna(row["low"]) or row["low"] <= CHANCE <= row["high"]:
        return "undecided"
    return "holds" if row["low"] > CHANCE else "falls"


def _trainings(row: dict, folder: Path) -> tuple[int, ...]:
    """How many trainings of the first, and of the second method, the report has; nothing where nothing was trained."""
    path = folder / "tables" / "trials.csv"
    if not path.is_file():
        return ()
    trials = pd.read_csv(path)
    trials = trials[(trials["dataset"] == row["dataset"]) & (trials["status"] == "ok")]
    methods = dict.fromkeys(filter(None, (_method(row["first"]), _method(row["second"]))))
    return tuple(int((trials["method"] == method).sum()) for method in methods)


def _published(claim: dict, row: dict) -> str:
    """The published difference of the same two methods, in brackets where it is of other data, or words."""
    said = claim.get("published", "")
    if not isinstance(said, str):
        return said.get(row["dataset"], "")
    if said not in published.load():
        return said
    # What is named after its task, as decathlon is, needs the trials to be told; here its name is all there is.
    place = published.load()["data_sets"].get(row["dataset"])
    scores = published.load()[said].get(place["table"], {}) if place else {}
    both = [scores["methods"].get(_method(row[side])) if scores else None for side in ("first", "second")]
    if None in both:
        return ""
    column = [name for name, (metric, of) in scores["columns"].items() if (metric, of) == ("dsc", "all")][0]
    at = list(scores["columns"]).index(column)
    difference = words.signed(both[0][at] - both[1][at], 2)
    return difference if place["same"] else f"({difference})"


def _method(key: object) -> str:
    """Of a method with its steps and sampler; nothing for none."""
    return str(key).partition("-")[0] if isinstance(key, str) else ""


def _title(key: str) -> str:
    """The method's name, and its number of sampling steps where the key has one."""
    method, _, rest = key.partition("-")
    title = load()["titles"].get(method, method)
    steps = rest.partition("-")[0]
    return f"{title}, K = {steps}" if steps.isdigit() else title


def main(arguments: Sequence[str]) -> None:
    """Print the table, in Markdown, of the reports in DIR/*/SUITE and DIR/SUITE. Raises SystemExit, with what is wrong,
    unless there is one DIR that holds such a report."""
    if len(arguments) != 1:
        raise SystemExit("python -m reports.sections.claims DIR: one folder that holds reports, such as docs/results")
    top = Path(arguments[0])
    suites = {claim["suite"] for claim in load()["claims"]}
    found = table({suite: sorted([*top.glob(suite), *top.glob(f"*/{suite}")]) for suite in suites})
    if found is None:
        raise SystemExit(f"{top}: no report of {words.listing(sorted(suites))}")
    print(markdown.table(found.frame))


if __name__ == "__main__":
    main(sys.argv[1:])
