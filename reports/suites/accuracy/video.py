"""Results by video: how well whole videos are segmented, and how steadily."""

import numpy as np
import pandas as pd

from reports.numbers import statistics
from reports.numbers.curves import Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections.score_tables import INTERVAL, by_score, keys, numbers


def by_video(it: Study, dataset: str) -> Table | None:
    """A row per method; None for a data set that has no videos."""
    found = [curve for curve in by_score(it, it.curves[dataset]) if curve.videos is not None]
    if not found:
        return None
    rows, data = [], []
    for curve in found:
        by_seed, groups, names = video_means(curve, it.clean)
        average, steady = statistics.mean(by_seed, groups, bounds=(0.0, 1.0)), steadiness(curve, it.clean)
        means = np.nanmean(by_seed, axis=0)
        worst = int(np.nanargmin(means))
        frames, real, relative = steady
        rows.append(
            [
                it.names[curve.variant], str(len(means)), words.with_interval(average),
                f"{words.number(means[worst])} (`{names[worst]}`)", words.with_interval(frames),
                words.with_interval(real), words.with_interval(relative),
            ]
        )  # fmt: skip
        data.append(
            keys(curve) | {"videos": len(means), "worst_video": names[worst], "worst_dsc": means[worst]}
            | numbers("dsc_by_video", average) | numbers("temporal_dsc", frames)
            | numbers("temporal_dsc_label", real) | numbers("temporal_relative", relative)
        )  # fmt: skip
    columns = [
        "method", "videos", f"DSC, mean over videos [{INTERVAL}]", "worst video", "frame to frame", "labels' own",
        "relative to labels",
    ]  # fmt: skip
    caption = (
        f"{dataset}: results by video. A video's DSC is the mean over its frames. Frame to frame: DSC between the "
        "predictions of neighbouring frames, classes pooled; labels' own: the same of the labels, what really moved; "
        "their ratio is below 1 where segmentations flicker and above 1 where they move too little."
    )
    return Table(f"videos_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def video_means(curve: Curve, sigma: float) -> tuple[np.ndarray, list, list[str]]:
    """DSC (seeds, videos) of every video (the mean over its frames), the groups the videos belong to, their names."""
    scores = pd.DataFrame(curve.by_seed("dsc")[:, curve.at(sigma)].T)
    videos = scores.groupby(curve.videos).mean()
    groups = pd.Series(curve.groups).groupby(curve.videos).first()
    return videos.to_numpy().T, groups.tolist(), videos.index.tolist()


def steadiness(curve: Curve, sigma: float) -> tuple[Estimate, Estimate, Estimate]:
    """Frame-to-frame DSC of the predictions and of the labels, and the ratio of the two means."""
    values = [curve.by_seed(name)[:, curve.at(sigma)] for name in ("temporal_dsc", "temporal_dsc_label")]
    ratio = statistics.statistic(lambda means: means[..., 0] / means[..., 1], np.stack(values, axis=1), curve.groups)
    frames, real = (statistics.mean(value, curve.groups, bounds=(0.0, 1.0)) for value in values)
    return frames, real, ratio
