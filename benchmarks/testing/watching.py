"""A few test cases while a method noises their labels and samples their segmentations, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import console
from benchmarks.errors import TrialFailed
from benchmarks.plan.trials import Condition
from benchmarks.seeding import generator_for
from benchmarks.testing.evaluate import Candidate, common_columns
from benchmarks.testing.metrics import POOLED, class_dsc
from benchmarks.testing.pictures import cut, plane
from methods.base import Sampling
from methods.diffusion.process import Process

NOT_MEASURED = (
    "hd95", "assd", "hd95_penalised", "assd_penalised", "nsd", "object_f1", "object_dice", "object_hausdorff",
    "temporal_dsc", "temporal_dsc_label",
)  # fmt: skip


@dataclass(frozen=True)
class Watched(Candidate):
    """A trained method whose diffusion is watched, and the data it segments."""

    process: Process


class Run(NamedTuple):
    """One process on one case: its direction ("forward" or "reverse"), how it was sampled (None for the forward one)
    and its states as (t, x_t), in its own order."""

    direction: str
    sampling: Sampling | None
    states: list[tuple[float, Tensor]]

    @property
    def steps(self) -> int:
        """Sampling steps, 0 for the forward process."""
        return self.sampling.steps if self.sampling else 0


@torch.inference_mode()
def watch(it: Watched, samplings: list[Sampling], cases: int) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Rows of records (`store.records.WATCHED_COLUMNS`) and arrays (`store.kept.Watched`) of a few test cases, on the
    grid the method works on.

    The forward process is seen at the times of the reverse process with the most steps, with the same noise at all of
    them. The reverse process starts from the same noise as in any other test of the case.
    Raises TrialFailed where a state is not finite.
    """
    chosen = evenly_spread(it.data.split["test"], cases)
    rows: list[dict] = []
    arrays = {"latent": np.array(it.process.latent), "ids": np.array([it.data.ids[index] for index in chosen])}
    with console.task(f"{it.trial.name}: watching its diffusion") as report:
        for n, index in enumerate(chosen):
            report(n, len(chosen), "cases")
            images, labels = it.data.batch([index])
            where = plane(labels[0])
            grey = (np.clip(cut(images[0], where), 0, 1) * 255).round().astype(np.uint8)
            arrays |= {f"image_{n}": grey, f"label_{n}": cut(labels[0], where)}
            for run in _runs(it, index, images, labels, samplings):
                found, shown, decoded = _read(it, run, index, labels[0])
                rows += found
                arrays[f"states_{n}_{run.direction}_{run.steps}"] = np.stack(shown)
                arrays[f"decoded_{n}_{run.direction}_{run.steps}"] = np.stack(decoded)
        report(len(chosen), len(chosen), "cases")
    return [dict.fromkeys(NOT_MEASURED, float("nan")) | row for row in rows], arrays


def evenly_spread(cases: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the cases: those in the middles of as many equal parts."""
    count = min(count, len(cases))
    return cases[((np.arange(count) + 0.5) * len(cases) / count).astype(int)]


def _runs(it: Watched, index: int, images: np.ndarray, labels: np.ndarray, samplings: list[Sampling]) -> Iterator[Run]:
    """The processes on one case (a batch of one): reverse ones first."""
    image, label = torch.from_numpy(images).to(it.device), torch.from_numpy(labels).long().to(it.device)
    case, seed = it.data.ids[index], it.trial.config.seed
    times: list[float] = []
    for sampling in samplings:
        states: list[tuple[float, Tensor]] = []
        generator = generator_for("sampling", it.data.name, case, seed, sampling.seed)
        it.model.segment(
            image, sampling, [generator], callback=lambda _, t, x, to=states: to.append((float(t), x.cpu().clone()))
        )
        times = max(times, [t for t, _ in states], key=len)
        yield Run("reverse", sampling, states)
    x0 = it.process.encode(label).cpu()
    noise = torch.randn(x0.shape, generator=generator_for("forward", it.data.name, case, seed), dtype=torch.float64)
    yield Run("forward", None, [(t, it.process.noised(x0.double(), t, noise)) for t in sorted(times)])


def _read(
    it: Watched, run: Run, index: int, label: np.ndarray
) -> tuple[list[dict], list[np.ndarray], list[np.ndarray]]:
    """Of one process: rows of records for each of its states, pictures of the states, and what they decode to."""
    rows: list[dict] = []
    shown, decoded, where = [], [], plane(label)
    condition = Condition(0.0, run.sampling, it.data.image_size, "none")
    common = common_columns(it, condition, index, float("nan")) | {"empty": ""}
    common |= {"nfe": common["nfe"] if run.sampling else 0, "direction": run.direction}
    for place, (t, x) in enumerate(run.states):
        if not bool(torch.isfinite(x).all()):
            raise TrialFailed(f"the state at t = {t:g} of the {run.direction} process is not finite")
        prediction = it.process.decode(x.to(it.device))[0].argmax(0).to("cpu", torch.uint8).numpy()
        here = common | {"index": place, "t": t, "alpha_bar": _alpha_bar(it.process, t)}
        scores = class_dsc(prediction, label, len(it.data.class_names))
        rows += [
            here | {"class": name, "dsc": dsc, "iou": dsc / (2 - dsc)}
            for name, dsc in zip([*it.data.class_names, POOLED], scores, strict=True)
        ]
        shown.append(_slice(x[0], where, label.shape, len(it.data.class_names)))
        decoded.append(cut(prediction, where))
    return rows, shown, decoded


def _alpha_bar(process: Process, t: float) -> float:
    return float("nan") if process.alpha_bar is None else float(process.alpha_bar(torch.tensor(t, dtype=torch.float64)))


def _slice(x: Tensor, where: tuple[int, int] | None, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """The picture float32 (h, w) of a state (M, *spatial): of several channels that of the first foreground class, of a
    volume the slice that lies where `where` lies in the label."""
    channel = x[max(0, len(x) - classes)].float().numpy()
    if where is None:
        return channel
    axis, position = where
    return cut(channel, (axis, position * channel.shape[axis] // shape[axis]))
