"""The table of accuracy says of a method what the other tables of the report say of it."""

import numpy as np

from reports.numbers.study import study
from reports.sections import accuracy_table, rank_tables

METHODS = ("ldseg", "lsegdiff", "resunet", "unet", "vnet", "unetpp")
COLUMNS = ["method", "rank", "rank_low", "rank_high"]


def test_ranks_have_the_ranges_of_the_table_of_ranks(fabricate):
    """Three trainings of each, whose draws decide the ranges, of methods that are close and not in order of score."""
    random = np.random.default_rng(2)
    for place, method in enumerate(METHODS):
        for seed in range(3):
            level = 0.8 + 0.004 * place + random.normal(0, 0.01)
            fabricate.trial(
                method, "glas", seed, sigmas=(0,), steps=(2,), cases=12, samples=False,
                score=lambda sigma, case, name, level=level: level + 0.01 * ((7 * case) % 5),
            )  # fmt: skip
    it = study(fabricate.results(name="accuracy", title="Accuracy", methods=list(METHODS)))
    ranks, *_ = rank_tables.tables(it)
    shown = accuracy_table.table(it, "glas")
    both = [table.data.sort_values("method")[COLUMNS].to_numpy().tolist() for table in (ranks, shown)]
    assert both[0] == both[1]
