"""All suites, and all methods in one of them, from nothing to their reports."""

import re

import pandas as pd
from omegaconf import OmegaConf

from tests.commands import ROOT, bench


def accuracy_tables(runs, *overrides):
    """The tables of a short run of suite=accuracy by name."""
    tiny = ["suite=accuracy", "profile=tiny", "tracking=none", "device=cpu", "training.steps=4"]
    result = bench(runs, *tiny, *overrides)
    assert result.returncode == 0, result.stdout + result.stderr
    return {path.stem: pd.read_csv(path) for path in (runs / "reports/accuracy/tables").glob("*.csv")}


def check_rows(table, declined: dict[str, str]):
    """Every row is filled but those of methods that do not apply, whose reason holds a word."""
    notes = table[table.note.notna()].set_index("method").note
    assert set(notes.index) == set(declined)
    assert all(word in notes[method] for method, word in declined.items()), notes
    done = table[table.note.isna()]
    assert done.dsc.notna().all()
    for column in ("parameters", "training_seconds", "nfe", "seconds_median", "peak_memory_mib"):
        assert (done[column] > 0).all(), column


def test_every_suite_leaves_its_report_and_the_index_links_them(tmp_path):
    runs = tmp_path / "runs"
    chosen = ["datasets=[phantom_glands]", "methods=[ldseg,resunet]", "training.steps=6"]
    result = bench(runs, "suite=all", "profile=tiny", "tracking=none", "device=cpu", *chosen)
    assert result.returncode == 0, result.stderr
    suites = {path.stem for path in (ROOT / "conf/suite").glob("*.yaml")}
    folders = {path.name: path.resolve().name for path in (runs / "reports").iterdir() if path.is_symlink()}
    assert set(folders) == suites
    index = (runs / "reports/all/report.md").read_text()
    for suite in suites - {"all"}:
        assert f"(../{folders[suite]}/report.md)" in index, suite
    for suite in suites:
        folder = runs / "reports" / suite
        assert {"report.md", "report.html", "records.csv"} <= {path.name for path in folder.iterdir()}, suite
        text = (folder / "report.md").read_text()
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
        assert links and all((folder / link).exists() for link in links), suite


def test_every_method_has_its_row_in_the_accuracy_report(tmp_path):
    glands = accuracy_tables(tmp_path / "runs", "datasets=[phantom_glands]")["accuracy_phantom_glands"]
    assert len(glands) == len(OmegaConf.load(ROOT / "conf/suite/accuracy.yaml").methods)
    check_rows(glands, {"Swin UNETR": "swinunet"})


def test_videos_have_a_table_and_what_takes_one_class_alone_says_so(tmp_path):
    whole_videos = ["dataset.phantom_echo.cases={train: 1, val: 1, test: 2}", "dataset.phantom_echo.limit=null"]
    methods = "methods=[ldseg,resunet,sdf_ddpm,sdf_ddpm_direct,flowsdf]"
    tables = accuracy_tables(tmp_path / "runs", "datasets=[phantom_echo]", methods, *whole_videos)
    check_rows(
        tables["accuracy_phantom_echo"], dict.fromkeys(("SDF-DDPM", "SDF-DDPM direct", "FlowSDF"), "per_class_sdf")
    )
    videos = tables["videos_phantom_echo"]
    assert (videos.videos == 2).all() and videos.temporal_relative.notna().all()


def test_volumes_are_segmented_on_their_own_grid_and_methods_of_pictures_say_so(tmp_path):
    methods = "methods=[ldseg,resunet,sdf_ddpm,unetpp,swinunet,medt]"
    size = ["dataset.phantom_knee.size=40", "profile.limit={train: 4, val: 2, test: 3}"]
    tables = accuracy_tables(tmp_path / "runs", "datasets=[phantom_knee]", methods, *size)
    declined = {"SDF-DDPM": "per_class_sdf", "U-Net++": "2D", "Swin-UNet": "swinunetr", "MedT": "2D"}
    check_rows(tables["accuracy_phantom_knee"], declined)
    assert tables["data_sets"]["distances in"].tolist() == ["mm"]
