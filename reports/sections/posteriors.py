"""The comparisons of a report in Bayes' terms: how probable it is that a method is better, equivalent or worse."""

import pandas as pd

from reports.numbers import bayes, hypotheses, statistics
from reports.numbers.curves import paired_values
from reports.numbers.study import Study, comparisons
from reports.paper import words
from reports.paper.document import Block, Table
from reports.sections.score_tables import keys


def posteriors(it: Study) -> list[Block]:
    """A row for each comparison with the reference; nothing where there are too few groups everywhere."""
    rows, data, within = [], [], it.margin.within
    left_out: list[str] = []
    for dataset in it.datasets:
        for comparison in comparisons(it, dataset):
            for sigma in comparison.at:
                names = [it.names[curve.variant] for curve in (comparison.reference, comparison.other)]
                if comparison.tests[sigma].collapsed:
                    left_out.append(" \u2212 ".join(names) + f" on {dataset}")
                    continue
                pair = paired_values(comparison.reference, comparison.other, sigma)
                differences = hypotheses.mean_differences(*pair)
                if len(differences) < statistics.MIN_GROUPS:
                    continue
                found = bayes.signed_rank(differences, within)
                rows.append([dataset, " \u2212 ".join(names), f"{sigma:g}", *map(words.share, found)])
                data.append(
                    keys(comparison.reference) | {"other": comparison.other.variant.key, "sigma": sigma,
                                                  "margin": within, "groups": len(differences)} | found._asdict()
                )  # fmt: skip
    if not rows:
        return []
    fallen = "; ".join(dict.fromkeys(left_out))
    columns = ["data set", "comparison", "σ", "first better", "equivalent", "second better"]
    caption = (
        f"Bayesian signed-rank test on the mean differences of DSC by {it.unit()}: the probability that the first "
        f"method is better by more than {within:g}, that both are equivalent within {within:g}, and that the "
        "second is better (Benavoli et al. 2017). It takes the trainings as given: with another training it may be "
        "another."
        f"{f' Left out, as a training collapsed: {fallen}.' if fallen else ''}"
    )
    return [Table("posteriors", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))]
