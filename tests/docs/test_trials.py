"""The trials in docs/results/trials draw the reports of docs/results again, by the commands their README gives."""

import pandas as pd
import pytest

from tests.commands import bench
from tests.docs.examples import ROOT, commands

FOLDER = ROOT / "docs" / "results" / "trials"
README = "docs/results/trials/README.md"
FILES = sorted(FOLDER.glob("*.zip"))


def test_its_files_are_those_it_names():
    assert [path.stem for path in FILES] == ["camus", "camus_diffusion", "glas", "glas_diffusion"]
    assert all(f"]({path.name})" in (FOLDER / "README.md").read_text() for path in FILES)


def test_its_commands_are_an_import_reports_and_a_training():
    words = [command.words for command in commands(README)]
    assert [any("action=" in word for word in one) for one in words] == [True, True, True, False, True]


@pytest.mark.parametrize("dataset", ["camus", "glas"])
def test_they_draw_the_same_table_of_scores(dataset, tmp_path):
    committed = ROOT / "docs" / "results" / dataset / "accuracy" / "tables"
    methods = list(dict.fromkeys(pd.read_csv(committed / "trials.csv")["method"]))
    for path in FILES:
        if path.stem.startswith(dataset):
            done = bench(tmp_path, "action=import", f"input={path}")
            assert done.returncode == 0, done.stderr
    words = [f"datasets=[{dataset}]", f"methods=[{','.join(methods)}]", "tracking=none"]
    done = bench(tmp_path, "suite=accuracy", *words, "action=report")
    assert done.returncode == 0, done.stderr
    for name in (f"accuracy_{dataset}", "differences", "trials"):
        drawn = pd.read_csv(tmp_path / "reports" / "accuracy" / "tables" / f"{name}.csv")
        pd.testing.assert_frame_equal(drawn, pd.read_csv(committed / f"{name}.csv"))
