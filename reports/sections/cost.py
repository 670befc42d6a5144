"""What a method cost: parameters, training, network evaluations, time and memory per image."""

from dataclasses import dataclass

import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.curves import Curve, Variant
from reports.paper import words
from reports.paper.document import Table
from reports.sections.trials import absences, of_dataset


@dataclass(frozen=True)
class Cost:
    """Means over seeds; None where it was not measured."""

    parameters: float | None
    training_seconds: float | None
    training_steps: float | None
    nfe: float | None
    seconds: float | None
    spread: float | None
    memory: float | None
    repeats: int | None


def cost(results: Results, curve: Curve) -> Cost:
    """What a variant cost on a data set."""
    variant = curve.variant
    trials = [t for t in of_dataset(results, curve.dataset) if t.config.method.name == variant.method]
    costs = [found for found in (trial.cost for trial in trials) if found]
    together = _comparison(results, curve.dataset)
    calls = [
        call
        for found in costs
        for call in found.get("inference") or []
        if _same(call, variant) and call.get("comparison") in (together, None)  # None: counted by a package outside
    ]

    def mean(rows: list[dict], key: str) -> float | None:
        values = [row[key] for row in rows if row.get(key) is not None]
        return sum(values) / len(values) if values else None

    repeats = mean(calls, "repeats")
    return Cost(
        mean(costs, "parameters"), mean(costs, "training_seconds"), mean(costs, "training_steps"), mean(calls, "nfe"),
        mean(calls, "seconds_median"), mean(calls, "seconds_iqr"), mean(calls, "peak_memory_mib"),
        None if repeats is None else int(repeats),
    )  # fmt: skip


COLUMNS = ("parameters", "training", "NFE", "time per image", "peak memory")
"""What accuracy stands beside, in every table that compares methods by it."""
EXPLAINED = (
    "NFE: evaluations of the main network for one image; time (median of repeated calls) and peak memory (beyond the "
    "weights): for one image."
)


def cells(it: Cost) -> list[str]:
    """COLUMNS as text."""
    return [
        words.quantity(it.parameters), words.duration(it.training_seconds),
        words.NOTHING if it.nfe is None else f"{it.nfe:g}", words.duration(it.seconds), words.memory(it.memory),
    ]  # fmt: skip


def values(it: Cost) -> dict[str, float | None]:
    """The same for CSV files, in seconds and MiB."""
    return {
        "parameters": it.parameters, "training_seconds": it.training_seconds, "nfe": it.nfe,
        "seconds_median": it.seconds, "peak_memory_mib": it.memory,
    }  # fmt: skip


def _same(call: dict, variant: Variant) -> bool:
    """Whether a timed call was sampled as a variant is."""
    own = (variant.steps, variant.sampler, variant.ensemble if variant.steps else 1)
    return own == (call.get("steps") or 0, call.get("sampler") or "", call.get("ensemble") or own[2])


def _comparison(results: Results, dataset: str) -> str | None:
    """The comparison in which most of what these results hold was timed side by side; of equals the latest.

    Times of different comparisons were taken at different moments and never stand beside each other.
    """
    records = results.records[results.records["dataset"] == dataset]
    columns = ["method", "steps", "sampler", "ensemble"]
    variants = [
        Variant(method, method, int(steps), sampler or "", ensemble=int(ensemble))
        for method, steps, sampler, ensemble in records[columns].drop_duplicates().itertuples(index=False)
    ]
    matched: dict[str | None, set] = {}
    engine = results.suite.get("inference") or ""
    for trial in of_dataset(results, dataset):
        for call in (trial.cost or {}).get("inference") or []:
            if (call.get("inference") or "") != engine:
                continue
            own = [v for v in variants if v.method == trial.config.method.name and _same(call, v)]
            # Put last again, so that the order is that of the latest measurement.
            matched[call.get("comparison")] = matched.pop(call.get("comparison"), set()) | set(own)
    return max(reversed(matched), key=lambda name: len(matched[name]), default=None)


def cost_table(results: Results, curves: dict[str, list[Curve]], names: dict[Variant, str]) -> Table:
    """What the accuracy cost: a row per data set and variant, and one with the reason for each trial without result."""
    rows, data = [], []
    for dataset, found in curves.items():
        for curve in found:
            it = cost(results, curve)
            training = words.duration(it.training_seconds)
            if it.training_steps:
                training += f" ({it.training_steps:,.0f} steps)"
            image = words.duration(it.seconds)
            if it.spread is not None:
                image += f" (IQR {words.duration(it.spread)})"
            nfe = words.NOTHING if it.nfe is None else f"{it.nfe:g}"
            rows.append(
                [
                    dataset,
                    names[curve.variant],
                    words.quantity(it.parameters),
                    training,
                    nfe,
                    image,
                    words.memory(it.memory),
                ]
            )
            data.append(
                {"dataset": dataset, "method": curve.variant.method, "steps": curve.variant.steps,
                 "sampler": curve.variant.sampler, "parameters": it.parameters, "training_seconds": it.training_seconds,
                 "training_steps": it.training_steps, "nfe": it.nfe, "seconds_median": it.seconds,
                 "seconds_iqr": it.spread, "repeats": it.repeats, "peak_memory_mib": it.memory, "note": ""}
            )  # fmt: skip
        for absence in absences(results, dataset):
            rows.append([dataset, f"{absence.title}: {absence.words}", *[words.NOTHING] * 5])
            data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["data set", "method", "parameters", "training", "NFE", "time per image", "peak memory"]
    caption = (
        "What the accuracy cost. NFE: evaluations of the main network for one image. Time per image: median (IQR: "
        "interquartile range) of repeated calls with batch size 1 after warm-up; loading of model and data is outside. "
        f"Peak memory: beyond the weights, for one image. {_machine(results)}"
    )
    return Table("cost", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _machine(results: Results) -> str:
    """Where the times were taken, in a sentence."""
    places = []
    for trial in results.trials:
        env = trial.environment
        if env:
            names = dict.fromkeys(env[key] for key in ("device", "cpu") if env.get(key))
            threads = [words.plural(int(env["threads"]), "thread")] if env.get("threads") else []
            places.append(", ".join([*names, *threads]) or "an unknown device")
    return f"Measured on {'; '.join(dict.fromkeys(places))}." if places else ""
