"""Overviews of data sets: what is counted is what the cases hold."""

import numpy as np
import pytest

from benchmarks.errors import BadInput
from benchmarks.kinds.overview import DataOverview
from benchmarks.plan.configuration import configure
from benchmarks.plan.sources import source
from reports import write

TINY = ["suite=data_overview", "profile=tiny", "profile.limit={train: 2, val: 1, test: 4}"]


@pytest.mark.parametrize("dataset", ["phantom_glands", "phantom_echo", "phantom_knee"])
def test_the_table_counts_every_voxel_and_the_pictures_are_the_cases(dataset, tmp_path):
    config = configure([*TINY, f"datasets=[{dataset}]", f"paths.runs={tmp_path}"])
    overview = DataOverview().run(config, "").overviews[0]
    origin = source(config, dataset)
    cases = overview.cases.set_index("case")
    assert set(cases.index) == {entry.id for entry in origin.selected()}
    for entry in origin.selected():
        case, row = origin.read(entry), cases.loc[entry.id]
        assert row["split"] == entry.split and row["shape"] == "x".join(map(str, case.label.shape))
        for value, name in enumerate(origin.class_names, 1):
            assert row[f"voxels {name}"] == np.count_nonzero(case.label == value)
    kept = overview.pictures()
    assert kept and all(cases.loc[case.id, "split"] == "test" for case in kept)
    entries = {entry.id: entry for entry in origin.selected()}
    for case in kept:
        whole = origin.read(entries[case.id])
        assert np.array_equal(case.label, whole.label) and np.abs(case.image - whole.image).max() <= 1 / 255
        assert case.spacing == whole.spacing


def test_a_second_run_reads_nothing_and_the_report_is_found_without_data(tmp_path, monkeypatch):
    config = configure([*TINY, "datasets=[phantom_glands]", f"paths.runs={tmp_path}"])
    kind = DataOverview()
    with pytest.raises(BadInput, match="holds no overview of phantom_glands"):
        kind.stored(config, "")
    first = kind.run(config, "").overviews[0]
    monkeypatch.setattr("datasets.phantom_glands.PhantomGlands.read", lambda *_: pytest.fail("read again"))
    assert kind.run(config, "").overviews[0].path == kind.stored(config, "").overviews[0].path == first.path


def test_the_report_shows_videos_as_rows_of_frames_and_volumes_as_slices_and_surfaces(tmp_path):
    config = configure([*TINY, "datasets=[phantom_echo,phantom_knee]", f"paths.runs={tmp_path}", "suite.pictures=1"])
    folder = write(DataOverview().run(config, ""), tmp_path / "report").parent
    text = (folder / "report.md").read_text()
    for dataset in ("phantom_echo", "phantom_knee"):
        assert f"figures/overview_{dataset}.png" in text
        assert (folder / "tables" / f"structures_{dataset}.csv").exists()
    assert "femur" in text and "ml" in text
