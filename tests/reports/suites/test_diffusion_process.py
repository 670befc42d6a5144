"""The report of suite=diffusion_process says what its records say, and has a picture of every case and process."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.store.kept import Watched
from reports import write
from reports.suites.diffusion_process import trajectory_figure
from tests.reports.conftest import picture

TIMES = {"ldseg": [999.0, 666.0, 333.0, 0.0], "sdf_ddpm": [999.0, 499.0, -1.0]}


@pytest.fixture
def watch(fabricate, tmp_path, monkeypatch):
    """Adds a watched trial; `watch.report()` writes the report and returns (text, folder)."""
    monkeypatch.setattr("reports.paper.animation.DPI", 30)
    watched, rows = [], []

    def add(
        method="ldseg", dataset="phantom_glands", cases=1, steps=(4, 2), size=(32, 32), dsc=None, seed=0, empty=False
    ):
        view = fabricate.trial(method, dataset, seed=seed, size=size, records=False, samples=False)
        classes = view.config.dataset.class_names
        random = np.random.default_rng(len(rows))
        for number in range(cases):
            image, label, prediction = picture(dataset, number, 0.0, size, len(classes), method)
            label = np.zeros_like(label) if empty else label
            states, decoded = {}, {}
            for direction, count in [("forward", 0), *(("reverse", count) for count in steps)]:
                times = TIMES[method] if count in (0, max(steps)) else [TIMES[method][0], TIMES[method][-1]]
                times = times[::-1] if direction == "forward" else times
                shape = (4, 4) if method == "ldseg" else size
                states[direction, count] = random.normal(size=(len(times), *shape)).astype(np.float32)
                decoded[direction, count] = np.stack([prediction] * len(times)).astype(np.uint8)
                for index, t in enumerate(times):
                    value = random.random() if dsc is None else dsc(direction, index, len(times))
                    for name in (*classes, "all"):
                        rows.append(
                            {"trial": view.key, "method": method, "dataset": dataset, "seed": seed,
                             "case": f"case{number}", "group": f"case{number}", "class": name, "steps": count,
                             "sampler": "ddim" if count else "", "eta": 0.0, "ensemble": 1, "sigma": 0.0,
                             "image_size": "x".join(map(str, size)), "nfe": max(0, count - 1), "empty": "",
                             "dsc": value if name == "all" else value / 2, "direction": direction, "index": index,
                             "t": t, "alpha_bar": 1 - (t + 1) / 1001}
                        )  # fmt: skip
            grey = (np.clip(image, 0, 1) * 255).astype(np.uint8)
            watched.append(Watched(view.key, f"case{number}", method == "ldseg", grey, label, states, decoded))

    def report():
        results = fabricate.results(name="diffusion_process", title="The diffusion process")
        if rows:
            results.records = pd.DataFrame(rows)
        results.trajectories = watched
        folder = write(results, tmp_path / "report").parent
        return (folder / "report.md").read_text(), folder

    add.report = report
    return add


def test_every_number_follows_from_the_records(watch):
    watch("ldseg", cases=2)
    watch("ldseg", seed=1)
    watch("sdf_ddpm", steps=(3, 2))
    text, folder = watch.report()
    records = pd.read_csv(folder / "records.csv")
    pooled = records[records["class"] == "all"]
    ends, drawn = pd.read_csv(folder / "tables" / "ends.csv"), pd.read_csv(folder / "figures" / "dsc_by_time.csv")
    assert len(ends) == 6
    for row in ends.itertuples():
        same = pooled[(pooled.method == row.method) & (pooled.direction == row.direction) & (pooled.steps == row.steps)]
        means = np.array([same.dsc[same["index"] == index].mean() for index in range(same["index"].max() + 1)])
        times = [same.t[same["index"] == index].iloc[0] for index in range(len(means))]
        np.testing.assert_allclose([row.dsc_first, row.dsc_second, row.dsc_last], [means[0], means[1], means[-1]])
        far = [index for index in range(len(means)) if abs(means[index] - means[-1]) > 0.01]
        assert row.t_arrived == times[max(far) + 1 if far else 0]
        line = drawn[(drawn.method == row.method) & (drawn.direction == row.direction) & (drawn.steps == row.steps)]
        np.testing.assert_allclose(line.dsc, means)
        np.testing.assert_allclose(line.share, np.array(times) / 999)
    first = ends.query("method == 'ldseg' and direction == 'reverse' and steps == 4").iloc[0]
    assert f"sampled in 4 steps, it goes from {first.dsc_first:.3f} to {first.dsc_last:.3f}" in text


def test_pictures_show_every_case_of_the_first_seed_and_animations_the_first_case(watch):
    watch("ldseg", cases=2)
    watch("ldseg", seed=1)
    watch("ldseg", "phantom_echo")
    text, folder = watch.report()
    names = {path.stem for path in (folder / "figures").glob("strip_*.png")}
    assert names == {"strip_phantom_glands_ldseg_1", "strip_phantom_glands_ldseg_2", "strip_phantom_echo_ldseg_1"}
    for name in ("forward_phantom_glands_ldseg", "reverse_phantom_echo_ldseg"):
        with Image.open(folder / "figures" / f"{name}.gif") as moving:
            assert moving.n_frames == 4 and moving.info["loop"] == 0
    assert set(re.findall(r"\((figures/[^)]+)\)", text)) <= {
        f"figures/{path.name}" for path in (folder / "figures").iterdir()
    }


def test_a_method_that_arrives_at_once_and_one_that_never_moves_are_told_apart(watch):
    watch("ldseg", dsc=lambda direction, index, n: 0.8 if index else 0.3)
    watch("sdf_ddpm", steps=(3, 2), dsc=lambda *_: 0.5)
    text, folder = watch.report()
    assert "it goes from 0.300 to 0.800, 0.800 after the first step, within 0.01 of its end from t = 666 on" in text
    assert "it goes from 0.500 to 0.500, 0.500 after the first step; sampled" in text
    rows = pd.read_csv(folder / "tables" / "ends.csv").set_index(["method", "direction", "steps"])
    assert rows.t_arrived["ldseg", "reverse", 4] == 666 and rows.t_arrived["sdf_ddpm", "reverse", 3] == 999


def test_declined_and_failed_trials_are_named_and_the_rest_is_shown(watch, fabricate):
    watch("ldseg")
    fabricate.trial("resunet", status="declined", reason="deterministic: no diffusion to watch")
    fabricate.trial("lsegdiff", status="failed", reason="the loss became nan", records=False)
    text, folder = watch.report()
    summary = text.split("## Summary")[1].split("\n## ")[0]
    assert "**Res-UNet** is not shown here (declined: deterministic: no diffusion to watch.)" in summary
    assert "**LSegDiff** is not shown here (failed: the loss became nan.)" in summary
    assert "**LDSeg** (1 case)" in summary
    assert (folder / "figures" / "strip_phantom_glands_ldseg_1.png").exists()


def test_with_nothing_recorded_the_report_says_so(watch, fabricate):
    fabricate.trial("ldseg", status="failed", reason="out of memory", records=False)
    text, folder = watch.report()
    assert "failed: out of memory" in text and "## Accuracy by time" not in text
    assert not list((folder / "figures").glob("strip_*"))


def test_an_empty_label_and_a_single_number_of_steps_are_drawn(watch):
    watch("ldseg", steps=(4,), empty=True, dsc=lambda *_: 0.0)
    text, folder = watch.report()
    assert "DSC of 0.000" in text
    assert (folder / "figures" / "strip_phantom_glands_ldseg_1.png").exists()


def test_equal_states_do_not_divide_by_zero():
    case = Watched("t", "c", True, np.zeros((1, 4, 4), np.uint8), np.zeros((4, 4), np.uint8),
                   {("forward", 0): np.zeros((2, 2, 2), np.float32)}, {})  # fmt: skip
    assert trajectory_figure.limit(case) == 1
    np.testing.assert_allclose(trajectory_figure.grey(np.array([[-1.0, 0.0, 1.0]]), 1.0)[0, :, 0], [0, 0.5, 1])
