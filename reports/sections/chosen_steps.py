"""Numbers of sampling steps that validation cases chose, and what methods score at equal network evaluations."""

from dataclasses import replace

import pandas as pd

from benchmarks.store.selection import TOLERANCE, Selection, fewest_enough
from reports.numbers import curves
from reports.numbers.curves import Curve
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Block, Heading, Paragraph, Table
from reports.sections import accuracy_table


def section(it: Study) -> list[Block]:
    """What was chosen, and for every data set the accuracy at equal evaluations; nothing where a suite gives the
    numbers of steps itself."""
    if not it.results.selection:
        return []
    cases = sorted({choice.cases for choice in it.results.selection.values()})
    said = (
        "How many sampling steps each generative method takes was chosen on "
        f"{words.listing([f'{n:,}' for n in cases])} validation cases, never on test cases: the fewest whose mean DSC "
        f"there lies within {TOLERANCE:g} of the best, all trainings of a method on a data set together. The tables "
        "above show every method at its own choice."
    )
    blocks: list[Block] = [Heading("Sampling steps"), Paragraph(said), _choices(it)]
    for dataset in it.datasets:
        if not it.curves[dataset]:
            continue
        equal = at_equal_evaluations(it, dataset)
        blocks.append(Paragraph(_nothing_else(it, dataset)) if equal is None else _table(equal, dataset))
    return blocks


def of_dataset(it: Study, dataset: str) -> dict[str, Selection]:
    """By method, what was chosen on a data set."""
    return {method: choice for (name, method), choice in it.results.selection.items() if name == dataset}


def at_equal_evaluations(it: Study, dataset: str) -> Study | None:
    """The study of one data set with every generative method at as many network evaluations as the one that chose the
    most; None where all are there already, or that is not tested."""
    choices = of_dataset(it, dataset)
    if all(choice.equal_steps == choice.steps for choice in choices.values()):
        return None
    found = []
    for curve in it.curves[dataset]:
        choice = choices.get(curve.variant.method)
        if choice is not None:
            variant = replace(curve.variant, steps=choice.equal_steps)
            curve = curves.curve(it.results, dataset, variant, any_steps=True)
        found.append(curve)
    tested: list[Curve] = [curve for curve in found if curve is not None]
    if len(tested) < len(found):
        return None
    return replace(it, curves={dataset: tested}, names=curves.labels([curve.variant for curve in tested]), noisy=None)


def _table(equal: Study, dataset: str) -> Table:
    table = accuracy_table.table(equal, dataset)
    choices = of_dataset(equal, dataset)
    most = max(choice.equal_nfe for choice in choices.values())
    caption = (
        f"{dataset} at equal network evaluations: every generative method with the steps that bring it to the {most} "
        "evaluations an image of the one that chose the most, or as near below as its samples admit; methods without "
        f"sampling steps as before. {table.caption}"
    )
    return replace(table, name=f"accuracy_equal_{dataset}", caption=caption)


def _nothing_else(it: Study, dataset: str) -> str:
    choices = of_dataset(it, dataset)
    if not choices:
        return f"On {dataset} no method takes sampling steps."
    if len(choices) == 1:
        return f"On {dataset} one method alone takes sampling steps: there is no other to give as many evaluations."
    if any(choice.equal_steps != choice.steps for choice in choices.values()):
        return f"On {dataset} not every method has been tested at equal network evaluations yet."
    nfe = max(choice.nfe for choice in choices.values())
    return (
        f"On {dataset} the choices are at equal network evaluations as they are, or as near as can be: at most {nfe} "
        "an image."
    )


def _choices(it: Study) -> Table:
    """A row for each method on each data set."""
    titles = {trial.config.method.name: trial.label for trial in it.results.trials}
    rows, data = [], []
    order = curves.method_order(it.results)
    for dataset in it.datasets:
        for method, choice in sorted(of_dataset(it, dataset).items(), key=lambda item: order.index(item[0])):
            scores = "; ".join(f"{k}: {words.number(dsc)}" for k, dsc in zip(choice.candidates, choice.means))
            alone = [str(k) for k in fewest_enough(choice.candidates, choice.scores)]
            title = titles.get(method, method)
            rows.append(
                [dataset, title, scores, str(choice.steps), str(choice.nfe), ", ".join(alone),
                 f"{choice.equal_steps} ({choice.equal_nfe})"]
            )  # fmt: skip
            for seed, row in zip(choice.seeds, choice.scores):
                data += [
                    {"dataset": dataset, "method": method, "seed": seed, "candidate": k, "validation_dsc": dsc,
                     "chosen": choice.steps, "nfe": choice.nfe, "equal_steps": choice.equal_steps,
                     "equal_nfe": choice.equal_nfe, "cases": choice.cases}
                    for k, dsc in zip(choice.candidates, row)
                ]  # fmt: skip
    columns = ["data set", "method", "validation DSC by steps", "chosen", "NFE", "each training alone would choose",
               "steps (NFE) at equal evaluations"]  # fmt: skip
    caption = (
        "Sampling steps chosen on validation cases: mean DSC, foreground classes pooled, over "
        f"{it.units()} and trainings. NFE: evaluations of the main network for one image."
    )
    return Table("chosen_steps", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
