"""Every method against every other in one table, for reports of more methods than sentences can set side by side."""

from itertools import combinations

import pandas as pd

from reports.numbers import curves as selection
from reports.numbers.collapse import any_collapsed
from reports.numbers.study import Study
from reports.numbers.verdicts import Tested, Verdict, tested, verdict
from reports.paper import words
from reports.paper.document import Table
from reports.sections.score_tables import by_score, judged, test_columns, under

LEAST_METHODS = 3
"""Of two methods one sentence says as much."""

TURNED = {Verdict.BETTER: "worse", Verdict.WORSE: "better", Verdict.NOT_WORSE: "not better",
          Verdict.NOT_BETTER: "not worse", Verdict.BETTER_SO_FAR: "worse so far",
          Verdict.WORSE_SO_FAR: "better so far", "scored higher": "scored lower", "scored lower": "scored higher",
          "scored higher so far": "scored lower so far", "scored lower so far": "scored higher so far",
          "not lower": "not higher", "not higher": "not lower"}  # fmt: skip
"""A verdict with the two methods the other way round."""
TONES = {"better": "better", "scored higher": "better", "worse": "worse", "scored lower": "worse",
         "equivalent": "alike", "scored alike": "alike"}  # fmt: skip


def table(it: Study, dataset: str) -> list[Table]:
    """Row minus column in mean DSC at the smallest sigma with its verdict, methods by falling DSC; nothing for fewer
    than `LEAST_METHODS` methods."""
    curves = by_score(it, it.curves[dataset])
    if len(curves) < LEAST_METHODS:
        return []
    pairs = list(combinations(range(len(curves)), 2))
    found = tested(
        [selection.paired_values(curves[a], curves[b], it.clean) for a, b in pairs],
        it.margin,
        collapsed=[any_collapsed([curves[a], curves[b]], it.clean) for a, b in pairs],
    )
    names = [it.names[curve.variant] for curve in curves]
    cells = pd.DataFrame("", index=names, columns=names)
    tones = cells.copy()
    data = []
    for (a, b), pair in zip(pairs, found):
        for row, column, sign in ((a, b, 1), (b, a, -1)):
            cells.iat[row, column], tones.iat[row, column] = _cell(pair, sign)
        if pair is not None:
            estimate, test = pair
            first, second = curves[a].variant.key, curves[b].variant.key
            data.append({"dataset": dataset, "first": first, "second": second, "difference": estimate.value,
                         "low": estimate.low, "high": estimate.high, "cases": estimate.cases}
                        | test_columns(estimate, test))  # fmt: skip
    for place, curve in enumerate(curves):
        cells.iat[place, place] = words.number(curve.mean(it.clean).value)
    frame, colors = (part.rename_axis("method").reset_index() for part in (cells, tones))
    colors["method"] = ""
    family = sum(pair is not None and pair[1].p is not None for pair in found)
    caption = (
        f"{dataset}: every method against every other{under(it)}, row minus column in mean DSC on the same cases and "
        "what the tests say of it, methods by falling DSC; on the diagonal the mean DSC. Green: the row's method is "
        "better, red: worse, blue: equivalent within the margin; without colour the tests show none of these, or so "
        "far only. p after "
        f"Holm over all {family} pairs, a larger family than that of the sentences about the first method: a pair may "
        "be decided there and open here. Intervals and p are in the CSV."
    )
    return [Table(f"pairs_{dataset}", caption, frame, pd.DataFrame(data), colors)]


def _cell(pair: Tested | None, sign: int) -> tuple[str, str]:
    """What a cell says and its tone; sign: -1 for the second method minus the first."""
    if pair is None:
        return words.NOTHING, ""
    estimate, test = pair
    said = judged(estimate, test)
    if sign < 0:
        said = TURNED.get(verdict(estimate, test) if estimate.seeds > 1 else said, said)
    return f"{words.signed(sign * estimate.value)} {said}", TONES.get(said, "")
