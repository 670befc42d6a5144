"""From the records of a timing suite to what is compared: the calls of one method at one image size and sampling."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from reports.numbers import rounds, statistics
from reports.numbers.curves import Variant
from reports.numbers.statistics import Estimate
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Table

IDENTITY = ["dataset", "method", "title", "image_size", "steps", "sampler", "ensemble"]
MACHINE = ("device", "cpu", "threads", "torch")


@dataclass(frozen=True)
class Calls:
    """first: seconds of the first call, NaN where there was none; repeated: seconds of the calls after it, which may be
    none, and rounds: the round of each, empty where rounds were not stored; memory in MiB beyond the weights; nfe as
    counted; reason: why calls are missing, or None."""

    dataset: str
    size: str
    variant: Variant
    first: float
    repeated: np.ndarray
    rounds: np.ndarray
    nfe: float
    memory: float
    reason: str | None

    @property
    def side(self) -> float:
        """Geometric mean of the sides in pixels."""
        return float(np.prod([int(n) for n in self.size.split("x")]) ** (1 / self.dimensions))

    @property
    def dimensions(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.size.split("x"))

    @property
    def median(self) -> float:
        """Of the repeated calls, in seconds; NaN where there are none."""
        return float(np.median(self.repeated)) if len(self.repeated) else float("nan")

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the repeated calls, in seconds; NaN where there are none."""
        if not len(self.repeated):
            return float("nan"), float("nan")
        low, high = np.percentile(self.repeated, [25, 75])
        return float(low), float(high)


def of(results: Results) -> list[Calls]:
    """By data set, method, size and steps, in the order in which they were timed."""
    found = []
    for (dataset, method, title, size, steps, sampler, ensemble), rows in results.records.groupby(IDENTITY, sort=False):
        variant = Variant(method, title, int(steps), sampler, ensemble=int(ensemble))
        ok, reasons = rows[rows["status"] == "ok"], [words.one_line(text) for text in rows["reason"].dropna()]
        first, repeated = ok[ok["first"].astype(bool)], ok[~ok["first"].astype(bool)]
        turns = repeated["call"].dropna().to_numpy(dtype=int) if "call" in repeated else np.empty(0, dtype=int)
        found.append(
            Calls(
                dataset, size, variant, _only(first["seconds"]), repeated["seconds"].to_numpy(), turns,
                _only(ok["nfe"]), _only(first["peak_memory_mib"]), reasons[0] if reasons else None,
            )
        )  # fmt: skip
    return found


def _only(values: pd.Series) -> float:
    """The first value; NaN where there is none."""
    return float(values.iloc[0]) if len(values) else float("nan")


def in_turn(contestants: list[Calls]) -> np.ndarray:
    """(rounds, contestants) seconds of the rounds in which all of them were called; no rows where rounds are not
    known."""
    shared = set.intersection(*(set(calls.rounds.tolist()) for calls in contestants))
    columns = [dict(zip(calls.rounds.tolist(), calls.repeated)) for calls in contestants]
    return np.array([[seconds[number] for seconds in columns] for number in sorted(shared)]).reshape(-1, len(columns))


def estimate(function: Callable[[np.ndarray], np.ndarray], contestants: list[Calls]) -> Estimate:
    """A function of the contestants' medians over the rounds that they share, with its interval over bootstrap samples
    of these rounds. function: (..., contestants) -> (...,).

    There is no interval below statistics.MIN_GROUPS rounds; where no round is shared, or rounds were not stored, the
    medians are those of all calls.
    """
    shared = in_turn(contestants)
    if len(shared):
        return rounds.estimate(function, shared)
    value = float(function(np.array([calls.median for calls in contestants])))
    return Estimate(value, None, None, len(contestants), 0)


def table(name: str, caption: str, found: list[Calls]) -> Table:
    """A row per contestant; those without a time say why."""
    rows, data = [], []
    for calls in found:
        low, high = calls.quartiles
        count = words.plural(len(calls.repeated), "call")
        time = f"{words.duration(calls.median)} (IQR {words.duration(high - low)}, {count})"
        note = calls.reason or ""
        rows.append(
            [
                calls.dataset, calls.variant.title, calls.size, calls.variant.steps or words.NOTHING,
                words.NOTHING if np.isnan(calls.nfe) else f"{calls.nfe:g}", words.duration(calls.first),
                time if len(calls.repeated) else note or words.NOTHING,
                words.duration(calls.median / calls.nfe), words.memory(calls.memory),
            ]
        )  # fmt: skip
        data.append(numbers(calls) | {"note": note})
    columns = ["data set", "method", "image size", "steps", "NFE", "first call", "repeated calls", "per evaluation",
               "peak memory"]  # fmt: skip
    return Table(name, caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def numbers(calls: Calls) -> dict:
    """A contestant as a row for CSV files."""
    low, high = calls.quartiles
    return {
        "dataset": calls.dataset, "method": calls.variant.method, "image_size": calls.size,
        "steps": calls.variant.steps, "sampler": calls.variant.sampler, "nfe": calls.nfe, "first_seconds": calls.first,
        "seconds_median": calls.median, "seconds_q1": low, "seconds_q3": high, "calls": len(calls.repeated),
        "peak_memory_mib": calls.memory,
    }  # fmt: skip


def place(results: Results) -> str:
    """The machine in one sentence."""
    rows = results.records[list(MACHINE)].drop_duplicates().itertuples(index=False)
    named = [", ".join([*dict.fromkeys([r.device, r.cpu]), words.plural(int(r.threads), "thread")]) for r in rows]
    return f"Measured on {'; '.join(named)}."


def notes(results: Results, *more: str) -> list[Block]:
    """How it was measured."""
    suite = results.suite
    engine = f"`{suite['inference']}`" if suite.get("inference") else "32-bit floating point"
    items = [
        f"{place(results)} PyTorch {words.listing(sorted(results.records['torch'].unique()))}; batch size 1, "
        f"{engine}; the device is idle before and after each call that is timed. Building the network and making "
        "the image are outside.",
        "The networks are untrained and the images random: how long a network takes depends on its size, not on what "
        "it has learnt. What follows the network can depend on it: the morphology after LSegDiff has another mask to "
        "clean than that of a trained network.",
        "First call: of a newly built network, in a process in which PyTorch has worked before. Contestants that "
        "differ in the number of steps alone share a network; the one with fewer steps comes first and finds it cold.",
        "Repeated calls: after the first one and one more of "
        "at most 3 steps, in which peak memory is measured (what tensors take beyond the weights; every step takes the "
        "same). All contestants take turns, round by round, so that a slow spell of the machine hits all alike: `call` "
        "in `records.csv` is the number of the round. Each is called "
        f"until there are {suite['least_calls']} calls that took {suite['seconds']:g} s together, or as many as the "
        "profile admits (`profile.timing_repeats`).",
        f"A first call is stopped after {suite['longest_call']:g} s (`suite.longest_call`), and larger images are then "
        "not tried. An image that by the memory of the next smaller one would not fit is not tried either.",
        "Ratios and exponents are of the medians over the rounds in which all that is compared was called. Intervals: "
        f"95 % bootstrap ({statistics.RESAMPLES} resamples) that draws whole rounds, so that neighbours in time stay "
        "together, with percentiles that lie the further out the fewer rounds there are; none below "
        f"{statistics.MIN_GROUPS} rounds. They say how well the figure on this machine is known, not how others "
        "differ. What slows the machine for several rounds on end cancels in ratios and exponents; the interval of a "
        "single time is of the spell in which it was taken.",
        "NFE: evaluations of the main network for one image.",
        *more,
    ]
    return [Heading("How it was measured"), Bullets(tuple(items))]


def failures(found: list[Calls]) -> list[str]:
    """A sentence for each method that has no time at some size."""
    without: dict[tuple[str, Variant], dict[str, list[str]]] = {}
    for calls in found:
        if not len(calls.repeated):
            reasons = without.setdefault((calls.dataset, calls.variant), {})
            reasons.setdefault(calls.reason or "it was not called", []).append(calls.size)
    sentences = []
    for (dataset, variant), reasons in without.items():
        steps = f" with {variant.steps} steps" if variant.steps else ""
        parts = [f"at {words.listing(sizes)}: {reason}" for reason, sizes in reasons.items()]
        sentences.append(f"**{variant.title}**{steps} on {dataset} has no time {words.sentence('; '.join(parts))}")
    return sentences
