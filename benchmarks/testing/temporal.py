"""How steady segmentations are along a video: each frame against the one before it."""

import numpy as np

from benchmarks.testing.metrics import class_dsc
from datasets.prepare import Prepared

COLUMNS = ("temporal_dsc", "temporal_dsc_label")


class Before:
    """The last frame of each video that was seen. Frames must come in the order of time."""

    def __init__(self) -> None:
        self.frames: dict[str, tuple[float, np.ndarray, np.ndarray]] = {}

    def rows(self, data: Prepared, index: int, prediction: np.ndarray, label: np.ndarray) -> list[dict]:
        """For each foreground class and for all of them pooled: the DSC between this frame's prediction and that of the
        frame before (temporal_dsc), and the same of the labels (temporal_dsc_label), which says how much really moved.

        NaN for what is no frame of a video and for the first frame. Frames before and after a gap are compared, too.
        """
        video, time, names = data.videos[index], data.times[index], list(data.class_names)
        none = [dict.fromkeys(COLUMNS, float("nan"))] * (len(names) + 1)
        if video is None:
            return none
        last = self.frames.get(video)
        self.frames[video] = (time, prediction, label)
        if last is None:
            return none
        frames = zip(class_dsc(prediction, last[1], len(names)), class_dsc(label, last[2], len(names)), strict=True)
        return [dict(zip(COLUMNS, pair, strict=True)) for pair in frames]
