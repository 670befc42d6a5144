"""Do the fewest sampling steps suffice? Each method with its fewest against itself with its most.

Both numbers are fixed before anything is measured. The best number is not: it is chosen on the cases that it would be
tested on, and no test of it would hold its level.
"""

import pandas as pd

from reports.numbers.collapse import any_collapsed
from reports.numbers.curves import paired_values
from reports.numbers.study import Study
from reports.numbers.verdicts import Tested, tested
from reports.paper.document import Table
from reports.sections.score_tables import TEST_CELLS, numbers, test_cells, test_columns
from reports.sections.verdict_words import cautions, sentence, subjects
from reports.suites.sampling_steps.curves_by_steps import StepCurve


def contests(it: Study, curves: list[StepCurve]) -> list[tuple[StepCurve, Tested]]:
    """DSC at the fewest steps minus that at the most, of all methods of one data set: one family."""
    several = [curve for curve in curves if len(curve.parts) > 1]
    pairs = [paired_values(curve.parts[0], curve.parts[-1], curve.sigma) for curve in several]
    fallen = [any_collapsed(curve.parts, curve.sigma) for curve in several]
    results = tested(pairs, it.margin, collapsed=fallen)
    return [(curve, result) for curve, result in zip(several, results, strict=True) if result is not None]


def sentences(it: Study, curves: list[StepCurve]) -> list[str]:
    """Better, not worse by more than the margin, or undecided, for each method; and what that takes for granted."""
    found = contests(it, curves)
    said = []
    for curve, (estimate, test) in found:
        names = subjects(it.names, curve.parts[0], curve.parts[-1], curve.sigma, estimate)
        said.append(sentence(*names, estimate, test))
    return [*said, *cautions([result for _, result in found], it.unit(curves[0].dataset))] if found else []


def table(it: Study, found: dict[str, list[StepCurve]]) -> Table | None:
    """The same as a table; None where no method was tested at two numbers of steps."""
    rows, data = [], []
    for dataset, curves in found.items():
        for curve, result in contests(it, curves):
            fewest, most = int(curve.steps[0]), int(curve.steps[-1])
            rows.append([dataset, curve.name, f"{fewest} − {most}", *test_cells(*result)])
            data.append(
                {"dataset": dataset, "method": curve.method, "fewest": fewest, "most": most}
                | numbers("difference", result[0]) | test_columns(*result)
            )  # fmt: skip
    if not rows:
        return None
    caption = (
        "DSC at the fewest steps tested minus that at the most, on the same cases by the same trainings. Tests as "
        f"docs/statistics.md explains them, with a margin of {it.margin.within:g} DSC; Holm's family: the methods of a "
        "data set."
    )
    columns = ["data set", "method", "steps", *TEST_CELLS]
    return Table("fewest_against_most", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
