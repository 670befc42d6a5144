"""The page of action=leaderboard: every method of any number of stores, data set by data set."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers.curves import Curve
from reports.numbers.study import CLEAN, Study, study
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Heading, Paragraph, Table
from reports.sections import cost
from reports.sections.score_tables import INTERVAL, keys, numbers

SHOWS = "leaderboard"
SCORES = {"dsc": "DSC", "iou": "IoU", "hd95_penalised": "HD95", "nsd": "NSD"}
SHOWN = 12
"""Characters of a fingerprint that are printed."""


@dataclass(frozen=True)
class Entrant:
    """Trainings that differ in their seed alone: one method by one recipe on one content of a data set."""

    trials: tuple[TrialView, ...]

    @property
    def first(self) -> TrialView:
        """By which all of them are described."""
        return self.trials[0]

    @property
    def board(self) -> tuple[str, str, int]:
        """Name and content of the data set, and folds of a cross-validation, else 0: entrants that share them were
        tested on the same cases."""
        data = self.first.config.dataset
        return data.name, data.fingerprint or "", data.fold[1] if data.fold else 0


def build(results: Results, folder: Path) -> Document:
    """The document: a table for each data set and content."""
    style.theme()
    found = entrants(results)
    boards: dict[tuple[str, str, int], list[Entrant]] = {}
    for one in found:
        boards.setdefault(one.board, []).append(one)
    document = Document(results.suite["title"])
    document.add(
        Paragraph(
            f"{words.plural(len(found), 'entrant')} from {words.plural(len(results.suite['stores']), 'store')}. An "
            "entrant is a method by one recipe, with all the seeds that it was trained with."
        ),
        Bullets(
            (
                "Scores are means over patients, or images where nobody knows the patients. Intervals hold the "
                "variance of training from three seeds on; with fewer they are of these trainings alone.",
                "A higher line is not yet a better method: recipes, profiles and machines may differ here. The report "
                "of a suite that runs both tests their difference.",
                "Times and memory were taken on the machine that the line names, and compare within one machine.",
            )
        ),
    )
    names = [dataset for dataset, *_ in boards]
    for number, ((dataset, content, folds), group) in enumerate(sorted(boards.items())):
        several = names.count(dataset) > 1
        title = f"{dataset}, content {content[:SHOWN]}" if several else dataset
        title += f", cross-validated in {folds} folds" if folds else ""
        document.add(Heading(title), *_board(f"leaderboard_{dataset}{f'_{number}' if several else ''}", results, group))
    document.add(*_without(results, found))
    document.add(Heading("Stores"), Bullets(tuple(f"`{place}`" for place in results.suite["stores"])))
    return document


def entrants(results: Results) -> list[Entrant]:
    """Trials that ended well, by all that they share but the seed and the fold."""
    alike: dict[str, list[TrialView]] = {}
    for view in results.trials:
        if view.status == "ok":
            config = view.config
            data = config.dataset.identity() | {"fold": config.dataset.fold[1:]}
            parts = [config.method.identity(), data, config.training.to_json(), config.code]
            alike.setdefault(json.dumps(parts, sort_keys=True, default=str), []).append(view)
    return [Entrant(tuple(sorted(same, key=lambda view: view.config.seed))) for same in alike.values()]


def _board(name: str, results: Results, group: list[Entrant]) -> Iterator[Block]:
    lines = [line for one in group for line in _lines(results, one)]
    if not lines:
        yield Paragraph("Nothing was tested.")
        return
    lines.sort(key=lambda line: (pd.isna(line[1]["dsc"]), -line[1]["dsc"]))
    shown = [metric for metric in SCORES if any(pd.notna(data.get(metric)) for _, data in lines)]
    units = {data["unit"] for _, data in lines if data["unit"]}
    unit = f" ({', '.join(sorted(units))})" if units else ""
    heads = [SCORES[metric] + (unit if metric == "hd95_penalised" else "") for metric in shown]
    columns = ["method", *heads, "seeds", "cases", "groups", *cost.COLUMNS, "profile", "image size", "trained on"]
    frame = pd.DataFrame(
        [[row[column] for column in ("method", *shown, *columns[1 + len(shown) :])] for row, _ in lines]
    )
    frame.columns = columns
    data = group[0].first.config.dataset
    caption = (
        f"{data.title or data.name}: means [{INTERVAL}] on undisturbed test images, classes pooled, by falling DSC. "
        f"HD95 counts the diagonal of the image where one of mask and label is empty. {cost.EXPLAINED} Content "
        f"`{(data.fingerprint or 'not known')[:SHOWN]}`."
    )
    yield Table(name, caption, frame, pd.DataFrame([data for _, data in lines]))


def _lines(results: Results, one: Entrant) -> Iterator[tuple[dict[str, str], dict]]:
    """(cells, numbers) of each way in which an entrant was sampled."""
    records = results.records[results.records["trial"].isin([view.key for view in one.trials])]
    own = Results({}, list(one.trials), records.reset_index(drop=True))
    it = study(own)
    for curve in it.curves.get(one.board[0], []):
        if curve.at(CLEAN) is not None:
            yield _line(it, curve, one)


def _line(it: Study, curve: Curve, one: Entrant) -> tuple[dict[str, str], dict]:
    config, sigma = one.first.config, CLEAN
    estimates = {metric: curve.mean(sigma, metric) for metric in SCORES if curve.has(metric)}
    dsc = estimates["dsc"]
    assert dsc is not None
    spent = cost.cost(it.results, curve)
    unit = _only(it.results.records["unit"])
    device = words.listing(sorted({str(view.environment.get("device", "not known")) for view in one.trials}))
    cells = {"method": it.names[curve.variant]}
    cells |= {metric: words.with_interval(found) if found else words.NOTHING for metric, found in estimates.items()}
    cells |= {metric: words.NOTHING for metric in SCORES if metric not in estimates}
    cells |= {"seeds": str(curve.trainings(sigma)), "cases": str(dsc.cases), "groups": str(dsc.groups)}
    cells |= dict(zip(cost.COLUMNS, cost.cells(spent), strict=True))
    cells |= {"profile": config.profile, "image size": config.dataset.size, "trained on": device}
    data = keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma}
    for metric, found in estimates.items():
        data |= numbers(metric, found) if found else {}
    data |= {"seeds": curve.trainings(sigma), "cases": dsc.cases, "groups": dsc.groups, "unit": unit}
    data |= cost.values(spent) | {"profile": config.profile, "image_size": config.dataset.size, "device": device}
    return cells, data | {"trials": " ".join(view.key for view in one.trials)}


def _only(values: pd.Series) -> str:
    found = values.dropna().unique()
    return str(found[0]) if len(found) == 1 else ""


def _without(results: Results, found: list[Entrant]) -> Iterator[Block]:
    """Methods that have no result on a data set anywhere, and why."""
    done = {(one.first.config.method.name, *one.board) for one in found}
    lines = []
    for view in results.trials:
        data = view.config.dataset
        if view.status != "ok" and (view.config.method.name, *Entrant((view,)).board) not in done:
            lines.append(
                f"{view.label} on {data.name}, {view.config.profile}: {view.status}: {words.one_line(view.reason)}"
            )
    if lines:
        yield Heading("Without a result")
        yield Bullets(tuple(dict.fromkeys(lines)))
