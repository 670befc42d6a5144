"""Ranks of methods, how stable they are, and what becomes of them under other metrics and other ways to sum up."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.numbers import collapse, statistics
from reports.numbers.curves import Curve
from reports.numbers.ranks import Rank, agreement, orders, ranks
from reports.numbers.study import CLEAN, Study
from reports.paper import words
from reports.paper.document import Block, Table
from reports.sections.score_tables import INTERVAL, keys

NAMES = {"dsc": "DSC", "iou": "IoU", "hd95": "HD95", "assd": "ASSD", "nsd": "NSD",
         "hd95_penalised": "HD95, penalised", "assd_penalised": "ASSD, penalised", "object_f1": "object F1",
         "object_dice": "object Dice", "object_hausdorff": "object Hausdorff"}  # fmt: skip


def ranking(found: list[Curve], sigma: float, clean: float = CLEAN) -> list[Rank | None]:
    """Rank and its stability for every variant, over the cases they share; None for one not tested at sigma, and for
    one of which a training collapsed, beginning with its scores at `clean`."""
    sound = collapse.sound(found, clean)
    tested = [curve for curve in sound if curve.at(sigma) is not None]
    shared = sorted(set.intersection(*(set(curve.cases) for curve in tested))) if tested else []
    if not shared:
        return [None] * len(found)
    index = [np.searchsorted(curve.cases, shared) for curve in tested]
    values = [curve.by_seed("dsc")[:, curve.at(sigma)][:, where] for curve, where in zip(tested, index)]
    ranked = iter(ranks(values, tested[0].groups[index[0]]))
    places = {id(curve): next(ranked) for curve in tested}
    return [places.get(id(curve)) for curve in found]


def unranked(it: Study, datasets: Sequence[str]) -> str:
    """Which methods have no rank because a training collapsed, as the end of a caption; else nothing."""
    fallen = {d: [it.names[c.variant] for c in it.curves[d] if collapse.collapses(c, it.clean)] for d in datasets}
    named = [f"{words.listing(names)} on {dataset}" for dataset, names in fallen.items() if names]
    return f" Left out, as a training collapsed: {'; '.join(named)}." if named else ""


def tables(it: Study) -> list[Block]:
    """Ranks by mean DSC and, where methods have every case in common, by everything else."""
    elsewhere = _elsewhere(it)
    return [_ranks(it), *([elsewhere] if elsewhere else [])]


def _ranks(it: Study) -> Table:
    """Rank of every variant by mean DSC, its range, and how often bootstrap samples agree."""
    rows, data = [], []
    for dataset in it.datasets:
        for sigma in it.compared:
            placed = [
                (rank, curve) for rank, curve in zip(ranking(it.curves[dataset], sigma, it.clean), it.curves[dataset])
            ]
            for rank, curve in sorted(((r, c) for r, c in placed if r is not None), key=lambda pair: pair[0].place):
                span = words.NOTHING if rank.kept is None else f"{rank.low}\u2013{rank.high}"
                rows.append(
                    [dataset, f"{sigma:g}", str(rank.place), span, it.names[curve.variant],
                     words.with_interval(curve.mean(sigma)), words.share(rank.kept), words.share(rank.first)]
                )  # fmt: skip
                data.append(
                    keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma, "rank": rank.place,
                                   "rank_low": rank.low, "rank_high": rank.high, "kept": rank.kept,
                                   "first": rank.first, "dsc": curve.mean(sigma).value}
                )  # fmt: skip
    columns = ["data set", "σ", "rank", "95 % range", "method", f"DSC [{INTERVAL}]", "keeps its rank", "is first"]
    caption = (
        "Ranks by mean DSC over the cases that all methods share, and how stable they are: the 95 % range of the rank, "
        f"and the share of {statistics.RESAMPLES} bootstrap samples in which a method keeps its rank or is first "
        f"(methods with equal means share a rank). A sample draws {it.units()} and, where a method has "
        f"{statistics.MIN_SEEDS} or more, trainings. Not given below {statistics.MIN_GROUPS} {it.units()}."
        f"{unranked(it, it.datasets)}"
    )
    return Table("ranks", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _elsewhere(it: Study) -> Table | None:
    """The places of every variant by mean DSC and by other ways; None where no data set has two methods on the same
    cases."""
    rows, data, ways = [], [], {}
    for dataset in it.datasets:
        for sigma in it.compared:
            found = [curve for curve in collapse.sound(it.curves[dataset], it.clean) if curve.at(sigma) is not None]
            if len(found) < 2 or len({tuple(curve.cases) for curve in found}) > 1:
                continue
            own = [rank and rank.place for rank in ranking(found, sigma, it.clean)]
            others = orders(found, sigma)
            ways |= dict.fromkeys(others)
            for k, curve in enumerate(found):
                rows.append(
                    [dataset, f"{sigma:g}", it.names[curve.variant], own[k], {w: p[k] for w, p in others.items()}]
                )
                data.append(keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma, "mean_dsc": own[k]}
                            | {_column(way): places[k] for way, places in others.items()})  # fmt: skip
            taus = {way: words.number(agreement(own, places), 2) for way, places in others.items()}
            rows.append([dataset, f"{sigma:g}", "Kendall's τ with mean DSC", None, taus])
    if not rows:
        return None
    columns = ["data set", "σ", "method", "mean DSC", *(NAMES.get(way, f"DSC, {way}") for way in ways)]
    shown = [
        [*head, _place(own), *(_place(others.get(way)) for way in ways)]
        for *head, own, others in rows
    ]  # fmt: skip
    caption = (
        f"The same methods ranked in other ways: places by mean DSC over {it.units()}; by DSC summed up otherwise, as "
        f"its median over {it.units()}, its mean over all cases, or the mean rank within {it.units()}; and by the mean "
        f"over {it.units()} of other metrics; trainings are averaged first and taken as given. Kendall's τ: 1 the same "
        "order as by mean DSC, −1 the reverse. A winner "
        f"that changes with the way is no winner.{unranked(it, it.datasets)}"
    )
    return Table("ranks_elsewhere", caption, pd.DataFrame(shown, columns=columns), pd.DataFrame(data))


def _place(value: int | str | None) -> str:
    return words.NOTHING if value is None else str(value)


def _column(way: str) -> str:
    return way.replace(" ", "_")
