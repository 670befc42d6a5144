"""One table per data set: how accurate each method is, and what that cost."""

import pandas as pd

from reports.numbers.curves import POOLED, Curve
from reports.numbers.ranks import Rank
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections import cost, distances
from reports.sections.rank_tables import ranking, unranked
from reports.sections.score_tables import INTERVAL, by_score, counted, keys, numbers, under
from reports.sections.trials import absences


def table(it: Study, dataset: str) -> Table:
    """Methods by falling DSC with rank, overlap, distances and cost; those without a result say why."""
    found = by_score(it, it.curves[dataset])
    several = len(found[0].classes) > 1 if found else False
    classes = found[0].classes if several else ()
    # In the suite's order, by which trainings are drawn: as in the table of ranks.
    ranked = zip(it.curves[dataset], ranking(it.curves[dataset], it.clean, it.clean))
    ranks = {id(curve): rank for curve, rank in ranked}
    seeded = any(curve.trainings(it.clean) > 1 for curve in found)
    rows, data = [], []
    for curve in found:
        rank = ranks[id(curve)]
        row, values = _row(it, curve, found, seeded)
        rows.append([_rank(rank), it.names[curve.variant], *row])
        place = {"rank": rank.place, "rank_low": rank.low, "rank_high": rank.high} if rank else {}
        data.append(keys(curve) | {"ensemble": curve.variant.ensemble} | place | values | {"note": ""})
    over_seeds = ["SD over seeds"] if seeded else []
    columns = [
        f"rank [{INTERVAL}]", "method", *(f"DSC {name}" for name in classes), "DSC pooled" if several else "DSC",
        "IoU pooled" if several else "IoU", *distances.columns(it, dataset, found), *over_seeds, *cost.COLUMNS,
    ]  # fmt: skip
    for absence in absences(it.results, dataset):
        rows.append([words.NOTHING, f"{absence.title}: {absence.words}", *[words.NOTHING] * (len(columns) - 2)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    caption = (
        f"{dataset}: mean over {counted(it, found)}{under(it)} [{INTERVAL}], by falling DSC. Rank: by mean DSC, with "
        f"its range over bootstrap samples of {it.units(dataset)}.{unranked(it, [dataset])} "
        f"{distances.caption(it, dataset, found)} {cost.EXPLAINED}"
    )
    return Table(f"accuracy_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _row(it: Study, curve: Curve, found: list[Curve], seeded: bool) -> tuple[list[str], dict]:
    classes = found[0].classes if len(found[0].classes) > 1 else ()
    scores = {f"dsc_{name}": curve.mean(it.clean, "dsc", name) for name in classes}
    scores |= {metric: curve.mean(it.clean, metric) for metric in ("dsc", "iou")}
    values = {}
    for name, estimate in (scores | distances.means(curve, it.clean, POOLED)).items():
        values |= numbers(name, estimate)
    undefined = curve.undefined(it.clean, "hd95", POOLED)
    total = curve.by_seed("dsc")[:, curve.at(it.clean)].size
    spent = cost.cost(it.results, curve)
    spread = curve.seed_sd(it.clean)
    row = [
        *(words.with_interval(estimate) for estimate in scores.values()),
        *distances.cells(curve, it.clean, POOLED, found),
        *([words.number(spread)] if seeded else []),
        *cost.cells(spent),
    ]  # fmt: skip
    values |= {
        "undefined_distances": undefined, "scores": total, "seeds": curve.trainings(it.clean), "seed_sd": spread,
        **cost.values(spent),
    }  # fmt: skip
    return row, values


def _rank(rank: Rank | None) -> str:
    if rank is None:
        return words.NOTHING
    return str(rank.place) if rank.low == rank.high else f"{rank.place} [{rank.low}\u2013{rank.high}]"
