"""The Dockerfile: what stands in it, and by hand its steps in a clean root."""

import json

import pytest

from tests.clusters import dockerfile
from tests.clusters.dockerfile import ROOT, Step, done, steps


def test_it_installs_from_the_one_list_of_dependencies_and_runs_a_suite_at_the_size_of_tests():
    found = steps((ROOT / "Dockerfile").read_text())
    assert [step.name for step in found] == ["FROM", "WORKDIR", "COPY", "RUN", "COPY", "ENTRYPOINT", "CMD"]
    assert found[3].words.endswith("pip install --no-cache-dir --editable .")
    for name in found[2].words.split()[:-1]:
        assert (ROOT / name).is_file()
    assert "profile=tiny" in json.loads(found[-1].words)


def test_what_cannot_be_done_without_a_builder_is_refused():
    assert steps("# a comment\nFROM a\nRUN b \\\n  c\n") == [Step("FROM", "a"), Step("RUN", "b    c")]
    with pytest.raises(ValueError, match="ADD"):
        steps("ADD x y")


def test_its_command_is_one_that_this_checkout_understands(tmp_path, capsys):
    from run_bench import main

    words = json.loads(steps((ROOT / "Dockerfile").read_text())[-1].words)
    words = [word for word in words if not word.startswith("paths.runs")]
    assert main([*words, f"paths.runs={tmp_path}", "action=plan"]) == 0
    assert "ldseg on phantom_glands" in capsys.readouterr().out


@pytest.mark.long
def test_its_steps_lead_from_an_empty_folder_to_a_report(tmp_path):
    assert "Report: " in done(tmp_path)
    assert (tmp_path / "bench" / "runs" / "reports" / "accuracy" / "report.html").exists()
    assert dockerfile.ROOT not in tmp_path.parents
