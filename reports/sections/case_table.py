"""Every test case with what each method scored in it, the hardest first, for the page."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Case, Table
from reports.sections.score_tables import under

MOST_ROWS = 300
"""Cases shown; the numbers of all of them are in the CSV."""


def table(it: Study, dataset: str, stored: Sequence[Case]) -> Table | None:
    """DSC of every case, classes pooled, by method, at the smallest sigma; None where nothing was measured.

    stored: the cases of which there are pictures; they are shown however many there are.
    """
    curves = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
    if not curves:
        return None
    columns = {it.names[c.variant]: pd.Series(c.by_case("dsc")[c.at(it.clean)], c.cases) for c in curves}
    scores = pd.DataFrame(columns)
    groups = pd.concat([pd.Series(c.groups, c.cases) for c in curves])
    groups = groups[~groups.index.duplicated()].reindex(scores.index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = pd.Series(np.nanmean(scores.to_numpy(), axis=1), scores.index)
    order = mean.sort_values(kind="stable").index
    scores, groups, mean = scores.loc[order], groups.loc[order], mean.loc[order]
    pictured = {case.name for case in stored if case.dataset == dataset}
    shown = [case for place, case in enumerate(order) if place < MOST_ROWS or case in pictured]
    unit = it.unit(dataset)
    grouped = (groups != groups.index).any()
    frame = pd.DataFrame({"case": shown, **({unit: groups.loc[shown].to_list()} if grouped else {})})
    frame["mean"] = [words.number(value) for value in mean.loc[shown]]
    for name in scores:
        frame[name] = [words.number(value) for value in scores.loc[shown, name]]
    data = pd.DataFrame({"case": order, "group": groups.to_list(), "mean": mean.to_list()})
    data = pd.concat([data, scores.reset_index(drop=True)], axis=1)
    told = f"the {len(shown)} hardest of {len(order)}" if len(shown) < len(order) else words.plural(len(order), "case")
    caption = (
        f"{dataset}: DSC of every test case{under(it)}, classes pooled, mean over seeds ({told}, the hardest first). A "
        "case that can be chosen opens its pictures above; of the others none are stored."
    )
    return Table(f"cases_{dataset}", caption, frame, data, opens=dataset)
