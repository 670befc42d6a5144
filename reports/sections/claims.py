"""What reports say of a publication's claims, in one table: each claim with our difference, its interval, the trainings
behind it, what was published and the verdict.

Which rows of which table answer a claim stands in claims.yaml. Nothing is tested here: intervals and verdicts are those
of the reports, read from their tables/*.csv, so the table and the reports cannot disagree.

    python -m reports.sections.claims docs/results
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from omegaconf import OmegaConf

from benchmarks.store.selection import TOLERANCE
from reports.numbers import rounds
from reports.numbers.hypotheses import ALPHA
from reports.numbers.statistics import MIN_SEEDS, Estimate
from reports.numbers.verdicts import AHEAD, BEHIND, SO_FAR, Verdict
from reports.paper import markdown, words
from reports.paper.document import Table
from reports.sections import published

FILE = Path(__file__).with_name("claims.yaml")
COLUMNS = ["claim", "data set", "compared", "ours [95 % interval]", "trainings", "published", "verdict"]
CHANCE = 0.5
COLLAPSED = "undecided, as a training collapsed"


class Answer(NamedTuple):
    """What one report says of one claim on one data set. value, low, high: first minus second (DSC, or AUROC), an AUROC
    or an exponent; the ends are None where there is no interval or a training collapsed. trainings: of the first, and
    of the second where that is another method. report: the folder whose table says so."""

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
                rows = _rows(claim, _read(path))
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
        f"What was claimed ({published.citation(load()['source'])}), and what these reports say of it. Differences are "
        "those of DSC unless said otherwise, first minus second; published ones in brackets are of other data. "
        "Verdicts are the reports': so far, of these trainings, margins and families as explained there. What loses "
        "less to noise may have had less to lose. Where a training collapsed, no interval is printed: the report's is "
        f"of the patients alone. {unanswered(found)}"
    )
    # Of one claim on one data set two reports may say two things.
    known = {(one.claim, one.dataset, one.report) for one in found}
    times = Counter((claim, dataset) for claim, dataset, _ in known)
    cells = [_cells(one, times[one.claim, one.dataset] > 1) for one in found]
    return Table("claims", caption.strip(), pd.DataFrame(cells, columns=COLUMNS), data)


def unanswered(found: Sequence[Answer]) -> str:
    """A sentence that names the claims of which these answers say nothing; nothing where there are none."""
    told = {one.claim for one in found}
    missing = [f"“{claim['claim']}”" for claim in load()["claims"] if claim["claim"] not in told]
    return f"Nothing here answers {words.listing(missing)}." if missing else ""


def _cells(one: Answer, named: bool) -> list[str]:
    """The row of the table. named: whether the data set does not tell which report it is of."""
    dataset = f"{one.dataset} ({one.report.parent.name}/{one.report.name})" if named else one.dataset
    digits, write = (2, words.number) if one.compared.startswith("exponent") else (3, words.signed)
    write = words.number if one.compared.startswith("AUROC of the spread") else write
    ours = words.with_interval(_estimate(one), digits, write)
    return [one.claim, dataset, one.compared, ours, " and ".join(map(str, one.trainings)) or words.NOTHING,
            one.published or words.NOTHING, one.verdict]  # fmt: skip


def _estimate(one: Answer) -> Estimate:
    return Estimate(one.value, one.low, one.high, 0, 0)


def _read(path: Path) -> pd.DataFrame:
    """A report's table; without rows where it has none. Names stay as they are written: 007 and NA may be data sets."""
    names = dict.fromkeys(("dataset", "method", "first", "second", "twin"), str)
    try:
        return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


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
    # The interval of a difference with a collapsed training is of the patients alone, too narrow to stand here.
    untold = _is(row, "collapsed")
    low, high = (None if untold or pd.isna(row[end]) else row[end] for end in ("low", "high"))
    return Answer(claim["claim"], row["dataset"], _compared(claim, rows, folder), row["value"], low, high,
                  _trainings(row, folder), _published(claim, row), _verdict(claim, rows, folder), folder)  # fmt: skip


def _compared(claim: dict, rows: list[dict], folder: Path) -> str:
    row = rows[0]
    first = _title(row["first"])
    if "exponent" in row:
        # Reports of former versions do not say with how many steps.
        steps = f", K = {row['steps']:g}" if row.get("steps") else ""
        return f"exponent of the side, {row['sizes']} sizes from {row['smallest']} to {row['largest']}{steps}"
    if claim["holds"] == "chance":
        return f"AUROC of the spread of {first}" + (f", {row['steps']:g} steps" if row.get("steps") else "")
    if "fewest" in row:
        return f"{first}, {row['fewest']:g} − {row['most']:g} steps{_needed(row, folder)}"
    if _method(row["second"]):
        # The table of twins has the number of steps in a column of its own.
        first = _title(f"{row['first']}-{row['steps']:g}") if "twin" in row and row.get("steps") else first
        best = _rivals(claim, rows, folder) if claim.get("best") else ""
        return f"{first} − {_title(row['second'])}{best}"
    return f"{first}, AUROC of the spread − of 1 − confidence"


def _needed(row: dict, folder: Path) -> str:
    """With how many steps the method first comes close to its best, in brackets: the most are not always that."""
    path = folder / "tables" / "steps_needed.csv"
    table = _read(path) if path.is_file() else pd.DataFrame()
    for one in table.to_dict("records"):
        if (one["dataset"], one["method"]) == (row["dataset"], row["method"]):
            low, high = one["enough_low"], one["enough_high"]
            interval = "" if pd.isna(low) else f" [{low:g}, {high:g}]"
            return f" (within {TOLERANCE:g} of its best first with {one['enough']:g}{interval})"
    return ""


def _rivals(claim: dict, rows: list[dict], folder: Path) -> str:
    """How many methods the first was compared with, and which have no result."""
    compared = {_method(row["second"]) for row in rows}
    trials = _trials(rows[0], folder)
    tried = [] if trials.empty else [name for name in claim["against"] if name in set(trials["method"]) - compared]
    count = f", the best of {len(compared)} rivals" if len(compared) > 1 else ", the only rival"
    return count + (f" (no result: {', '.join(map(_title, tried))})" if tried else "")


def _verdict(claim: dict, rows: list[dict], folder: Path) -> str:
    row = rows[0]
    if claim["holds"] == "constant":
        return f"{_of_growth(row)}, on this machine"
    if claim["holds"] == "chance":
        return _of_chance(row) + _of_so_many(max(_trainings(row, folder), default=1))
    # A verdict that rests on several comparisons is of methods only if each of them is.
    alone = "" if all(one.get("about") == "methods" for one in rows) else ", of these trainings"
    if claim.get("best"):
        return _of_all(rows) + alone
    judged = _of_sufficiency if claim["holds"] == "enough" else _of_difference
    return (COLLAPSED if _is(row, "collapsed") else judged(row)) + alone


def _of_difference(row: dict) -> str:
    """Of a claim that the first is better."""
    found, margin = Verdict(row["verdict"]), row["margin"]
    if found in (*AHEAD, *BEHIND):
        return ("holds" if found in AHEAD else "falls, the other way round") + (" so far" if found in SO_FAR else "")
    return {
        Verdict.EQUIVALENT: f"falls: equivalent within {margin:g}",
        Verdict.NOT_BETTER: f"not by more than {margin:g}",
        Verdict.NOT_WORSE: f"open: not worse by more than {margin:g}",
    }.get(found, "undecided")


def _of_sufficiency(row: dict) -> str:
    """Of a claim that the first is not worse by more than the margin: it may be worse, and by less; and better so far
    says nothing of the margin."""
    found, margin = Verdict(row["verdict"]), row["margin"]
    so_far = " so far" if found in SO_FAR else ""
    sure = found in (Verdict.BETTER, Verdict.EQUIVALENT, Verdict.NOT_WORSE) or row["p_not_worse"] < ALPHA
    if found in BEHIND:
        if sure:
            return f"holds: worse{so_far}, but not by more than {margin:g}"
        beyond = row["high"] < -margin
        return f"falls{so_far}" if beyond else f"undecided: worse{so_far}, perhaps by no more than {margin:g}"
    return "holds" if sure else "holds so far" if found in AHEAD else "undecided"


def _of_all(rows: list[dict]) -> str:
    """Of a claim that the first is better than all. A method with several numbers of steps is one rival: the first is
    better than it only if it is better than with each of them."""
    rivals: dict[str, list[Verdict]] = {}
    for row in rows:
        rivals.setdefault(_method(row["second"]), []).append(Verdict(row["verdict"]))
    ahead = sum(all(one in AHEAD for one in found) for found in rivals.values())
    behind = sum(any(one in BEHIND for one in found) for found in rivals.values())
    alike = sum(Verdict.EQUIVALENT in found for found in rivals.values())
    said = {one for found in rivals.values() for one in found}
    counts = f"worse than {behind} of {len(rivals)}, better than {ahead}"
    if ahead == len(rivals):
        return f"holds{' so far' if said & set(SO_FAR) else ''}: better than {ahead} of {len(rivals)}"
    if behind:
        return f"falls{'' if Verdict.WORSE in said else ' so far'}: {counts}"
    if alike:
        return f"falls: equivalent within {rows[0]['margin']:g} to {alike} of {len(rivals)}, better than {ahead}"
    return f"undecided: {counts}"


def _of_growth(row: dict) -> str:
    """Of a claim that time is constant."""
    said = row.get("verdict")
    if "verdict" not in row and not pd.isna(row["low"]):
        # A report of a former version, which says it in its text alone.
        said = rounds.growth(row["low"], row["high"], row["smallest"].count("x") + 1)
    if not isinstance(said, str) or said.startswith("cannot be told"):
        return "undecided"
    if said == "does not grow":
        return "open: does not grow, but may fall"
    if said != "is practically constant":
        return f"falls: time {said}"
    grows = row.get("last_low", 0) > rounds.CONSTANT
    return "open: grows between the two largest sizes" if grows else "holds"


def _of_chance(row: dict) -> str:
    if _is(row, "collapsed"):
        return COLLAPSED
    if _is(row, "constant"):
        return "falls: there is no spread"
    if pd.isna(row["low"]) or row["low"] <= CHANCE <= row["high"]:
        return "undecided"
    return "holds" if row["low"] > CHANCE else "falls"


def _of_so_many(trainings: int) -> str:
    """What is said of so few trainings speaks of them alone."""
    return "" if trainings >= MIN_SEEDS else ", of these trainings" if trainings > 1 else ", of this training"


def _is(row: dict, name: str) -> bool:
    """A column of yes and no, which other rows of the table may leave empty."""
    return str(row.get(name)) == "True"


def _trials(row: dict, folder: Path) -> pd.DataFrame:
    """The report's trials on the data set of a row; without rows where it has none."""
    path = folder / "tables" / "trials.csv"
    trials = _read(path) if path.is_file() else pd.DataFrame()
    return trials if trials.empty else trials[trials["dataset"] == row["dataset"]]


def _trainings(row: dict, folder: Path) -> tuple[int, ...]:
    """How many trainings of the first, and of the second method, a row speaks of; nothing where nothing was trained.
    The folds of one seed are one training."""
    methods = [one for one in dict.fromkeys((_method(row["first"]), _method(row["second"]))) if one]
    told = [row[name] for name in ("first_seeds", "second_seeds")[: len(methods)] if not pd.isna(row.get(name))]
    if len(told) == len(methods):
        return tuple(map(int, told))
    trials = _trials(row, folder)
    if trials.empty:
        return ()
    trials = trials[trials["status"] == "ok"]
    return tuple(int(trials.loc[trials["method"] == method, "seed"].nunique()) for method in methods)


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
    """The method of a key, which may end in its number of sampling steps; nothing for none."""
    return _parts(key)[0] if isinstance(key, str) else ""


def _parts(key: str) -> tuple[str, str]:
    """Method and number of sampling steps, empty where the key has none. A method's name may hold a dash of its own."""
    method, _, steps = key.rpartition("-")
    return (method, steps) if method and steps.isdigit() else (key, "")


def _title(key: str) -> str:
    """The method's name, and its number of sampling steps where the key has one."""
    method, steps = _parts(key)
    title = load()["titles"].get(method, method)
    return f"{title}, K = {steps}" if steps else title


def main(arguments: Sequence[str]) -> None:
    """Print the table, in Markdown, of the reports in DIR/*/SUITE and DIR/SUITE. Raises SystemExit, with what is wrong,
    unless there is one DIR that holds such a report."""
    if len(arguments) != 1:
        raise SystemExit("python -m reports.sections.claims DIR: one folder that holds reports, such as docs/results")
    top = Path(arguments[0])
    suites = {claim["suite"] for claim in load()["claims"]}
    folders = {suite: sorted([*top.glob(suite), *top.glob(f"*/{suite}")]) for suite in suites}
    found = table(folders)
    if found is None:
        raise SystemExit(f"{top}: no report of {words.listing(sorted(suites))}")
    print("\n\n".join(filter(None, (markdown.table(found.frame), unanswered(answers(folders))))))


if __name__ == "__main__":
    main(sys.argv[1:])
