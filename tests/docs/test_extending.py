"""docs/extending.md: its files are put into a copy of the checkout, and its commands are run there in their order."""

import ast
import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from tests.docs import checkout
from tests.docs.checkout import Answer
from tests.docs.examples import ROOT, Command, commands, files, put

DOCUMENT, README = "docs/extending.md", "README.md"
TIMED = ["seconds"]
COMMANDS = commands(DOCUMENT)
EXECUTORS = [command for command in COMMANDS if any(word.startswith("executor=") for word in command.words)]
"""Run once more by the executor that is the default, into a store of their own."""


def locally(command: Command) -> Command:
    """The same without its executor."""
    return command._replace(words=[word for word in command.words if not word.startswith("executor=")])


class Tried(NamedTuple):
    """The copy of the checkout, and what came of each command of the document."""

    folder: Path
    answers: list[tuple[Command, Answer]]

    def records(self, suite: str, runs: str = "runs") -> pd.DataFrame:
        """What the report of a suite used."""
        return pd.read_csv(self.folder / runs / "reports" / suite / "records.csv")

    def report(self, suite: str) -> str:
        """The report of a suite."""
        return (self.folder / "runs/reports" / suite / "report.md").read_text()


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> Tried:
    folder = checkout.copy(tmp_path_factory.mktemp("checkout"))
    put(README, folder)
    put(DOCUMENT, folder)
    again = [checkout.small(locally(command), "local") for command in EXECUTORS]
    answers = checkout.run(folder, [*(checkout.small(command) for command in COMMANDS), *again])
    return Tried(folder, list(zip([*COMMANDS, *again], answers, strict=True)))


def test_every_file_it_names_is_there_and_every_section_is_linked():
    text = (ROOT / DOCUMENT).read_text()
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)} - {""}
    assert all((ROOT / "docs" / link).exists() for link in links)
    headings = [re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^## (.+)$", text, re.M)]
    assert re.findall(r"^- \[.+\]\(#(.+)\)$", text, re.M) == headings


def test_every_command_ends_well(tried):
    wrong = {
        " ".join([command.program, *command.words]): answer.text for command, answer in tried.answers if answer.code
    }
    assert not wrong, "\n\n".join(f"{command}\n{text[-3000:]}" for command, text in wrong.items())
    assert not any("failed" in answer.text for _, answer in tried.answers)


def test_the_examples_pass_the_contract_tests(tried):
    passed = [answer.text for command, answer in tried.answers if command.program == "pytest"]
    assert len(passed) == 3
    assert all(int(re.search(r"(\d+) passed", text)[1]) > 10 and " failed" not in text for text in passed)
    # The data are there: nothing was skipped for want of them.
    assert "skipped" not in passed[2]


def test_the_method_of_the_readme_is_shown_beside_another(tried):
    assert set(tried.records("case_by_case").method) == {"resunet", "mymethod"}


def test_a_method_with_other_settings_is_planned_beside_itself(tried):
    asked = {"methods=[ldseg,ldseg_official]", "action=plan"}
    plan = next(answer.text for command, answer in tried.answers if asked <= set(command.words))
    assert "ldseg on phantom_glands" in plan and "ldseg_official on phantom_glands" in plan


def test_the_diffusion_method_is_short():
    tree = ast.parse(files(DOCUMENT)["my_diffusion.py"])
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    assert kind.end_lineno - kind.lineno < 65


@pytest.mark.parametrize("suite", ["accuracy", "sampling_steps", "noise_robustness", "uncertainty", "diffusion_process",
                                   "runtime", "image_size", "robustness_gallery"])  # fmt: skip
def test_the_diffusion_method_is_shown_in_every_suite_it_has_a_part_in(tried, suite):
    index = tried.report("diffusion_tour")
    assert re.search(rf"\.\./{suite}(-[^/ ]+)?/report", index)
    if suite == "accuracy":  # redrawn by later commands, of other methods
        done = next((tried.folder / "runs/trials").glob("phantom_glands-mydiffusion-*/done.json"))
        assert json.loads(done.read_text())["status"] == "ok"
        return
    records, text = tried.records(suite), tried.report(suite)
    assert "MyDiffusion" in text and "declined" not in text and "failed" not in text
    assert "mydiffusion" in set(records.method)
    scores = records[records.method == "mydiffusion"]["seconds" if suite in ("runtime", "image_size") else "dsc"]
    assert scores.notna().all()


def test_the_diffusion_is_watched_from_noise_to_the_segmentation(tried):
    found = tried.records("diffusion_process")
    assert set(found.direction) == {"forward", "reverse"}
    clean = found[(found.direction == "forward") & (found.t == 0)]
    assert len(clean) and (clean.dsc == 1).all()


def test_the_diffusion_method_learns(tried):
    found = tried.records("strong_noise")
    assert set(found.steps) == {2, 20} and set(found.sigma) == {0, 0.5, 1}
    trained = next((tried.folder / "runs/trials").glob("phantom_glands-mydiffusion-s0-*"))
    history = pd.read_parquet(trained / "history.parquet")
    loss = history[(history.split == "train") & (history.metric == "total")].value.to_numpy()
    assert loss[-10:].mean() < 0.8 * loss[:10].mean()


def test_a_suite_takes_up_what_another_has_trained(tried):
    assert len(list((tried.folder / "runs/trials").glob("phantom_glands-mydiffusion-*"))) == 1
    asked = {"suite=strong_noise", "action=plan"}
    plan = next(answer.text for command, answer in tried.answers if asked <= set(command.words))
    assert "Strong noise" in plan and "150 steps" in plan


def test_the_data_set_is_shown_and_segmented(tried):
    text = tried.report("data_overview")
    assert "slices" in text and "ring" in text and "disc" in text
    assert len(list((tried.folder / "data/slices").glob("*.png"))) == 72
    trial = next((tried.folder / "runs/trials").glob("slices-resunet-*"))
    records = pd.concat([pd.read_parquet(path) for path in (trial / "records").glob("*.parquet")])
    assert set(records["class"]) == {"ring", "disc", "all"}


def test_a_data_set_class_outside_of_the_project_takes_part_by_its_name(tried):
    (trial,) = (tried.folder / "runs/trials").glob("fewerslices-resunet-*")
    records = pd.concat([pd.read_parquet(path) for path in (trial / "records").glob("*.parquet")])
    assert set(records["class"]) == {"ring", "disc", "all"} and not set(records.group) & {"P03", "P07"}
    assert (
        "Slices with a ring and a disc, of ten patients"
        in json.loads((trial / "config.json").read_text())["dataset"]["title"]
    )


def test_the_figure_stands_in_the_report_with_its_numbers(tried):
    text = tried.report("case_by_case")
    assert "figures/cases_phantom_glands.png" in text and "Which test cases are hard" in text
    folder = tried.folder / "runs/reports/case_by_case/figures"
    shown = pd.read_csv(folder / "cases_phantom_glands.csv", index_col="case")
    assert (folder / "cases_phantom_glands.svg").exists()
    found = tried.records("case_by_case")
    pooled = found[(found["class"] == "all") & (found.method == "mymethod")].set_index("case").dsc
    pd.testing.assert_series_equal(shown.MyMethod.sort_index(), pooled.sort_index(), check_names=False)
    assert shown.mean(axis=1).is_monotonic_increasing


def test_the_records_of_the_executor_are_those_of_the_default(tried):
    assert len(EXECUTORS) == 1
    both = [tried.records("accuracy", runs).drop(columns=TIMED) for runs in ("runs", "local")]
    assert set(both[0].seed) == {1}
    pd.testing.assert_frame_equal(*both)


def test_the_executor_runs_a_job_in_a_process_of_its_own(tried):
    script = "import os\nfrom benchmarks.executors.fresh import Fresh\n"
    script += "if __name__ == '__main__':\n    with Fresh() as executor:\n"
    script += "        assert executor.submit(os.getpid).result() != os.getpid()\n"
    (tried.folder / "apart.py").write_text(script)
    assert checkout.run(tried.folder, [Command({}, "python apart.py", [])])[0].code == 0
