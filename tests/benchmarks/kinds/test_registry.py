"""A suite is one YAML file: what it says is checked by its kind before any work, and a new one needs nothing else."""

import shutil

import pytest
import yaml

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds.base import report_name
from benchmarks.kinds.registry import KINDS, checked, kind_named
from benchmarks.plan import configuration
from benchmarks.plan.configuration import CONF, names

MINE = {
    "name": "mine", "title": "Mine", "question": "What of mine?", "version": 1, "kind": "trials",
    "methods": ["resunet"], "datasets": ["phantom_glands"], "seeds": [0], "sigmas": [0], "steps": None,
    "sampler": None, "eta": None, "ensemble": None,
}  # fmt: skip
FAST = ["suite=mine", "profile=tiny", "tracking=none", "device=cpu", "training.steps=2",
        "profile.limit={train: 4, val: 2, test: 3}"]  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes conf/suite/mine.yaml into a copy of the configuration, and returns its path."""
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    monkeypatch.setattr(configuration, "CONF", conf)

    def write(without=(), **keys):
        content = {key: value for key, value in (MINE | keys).items() if key not in without}
        (conf / "suite" / "mine.yaml").write_text(yaml.safe_dump(content))
        return conf / "suite" / "mine.yaml"

    return write


@pytest.mark.parametrize("suite", names("suite"))
def test_every_suite_that_is_there_passes_the_checks_of_its_kind(suite):
    config, kind = checked([f"suite={suite}"])
    assert isinstance(kind, kind_named(config.suite.kind))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_known_by_its_own_name(name):
    kind = kind_named(name)
    assert kind.name == name and kind.report


@pytest.mark.parametrize(
    "suite, keys, message",
    [
        ({}, {"kind": "trails"}, r"kind: 'trails' is not known\. Did you mean 'trials'\?"),
        ({"without": ["kind"]}, {}, "kind: None is not known"),
        ({"without": ["seeds"]}, {}, "lacks seeds, which a suite of kind trials has to say"),
        ({"without": ["sampler", "eta"]}, {}, "lacks sampler, eta"),
        ({}, {"kind": "uncertainty"}, "lacks runs, pictures"),
        ({}, {"ensembel": 2}, r"suite: 'ensembel' is not known\. Did you mean 'ensemble'\?"),
        ({}, {"runs": 4}, "suite: 'runs' is not known"),
    ],
)
def test_what_a_suite_says_wrong_is_named_with_its_file(written, suite, keys, message):
    written(**suite, **keys)
    with pytest.raises(BadInput, match=rf"^conf/suite/mine\.yaml: {message}"):
        checked(["suite=mine"])


@pytest.mark.parametrize(
    "keys, report",
    [
        ({}, "accuracy"),
        ({"sigmas": [0, 0.1]}, "noise_robustness"),
        ({"steps": [2, 10]}, "sampling_steps"),
        ({"steps": [2, 10], "sigmas": [0, 0.1]}, "noise_robustness"),
        ({"report": "ablation"}, "ablation"),
        ({"kind": "overview", "methods": [], "pictures": 1}, "data_overview"),
        ({"kind": "uncertainty", "runs": 2, "pictures": 1}, "uncertainty"),
        ({"kind": "trajectories", "cases": 1}, "diffusion_process"),
        ({"kind": "timing", "sizes": None, "longest_call": 1, "least_calls": 1, "seconds": 1}, "runtime"),
        ({"kind": "timing", "sizes": [8, 16], "longest_call": 1, "least_calls": 1, "seconds": 1}, "image_size"),
    ],
)
def test_a_suite_that_names_no_report_gets_that_of_its_kind(written, keys, report):
    written(**keys)
    config, kind = checked(["suite=mine"])
    assert report_name(config.suite, kind) == report


def test_a_new_suite_is_one_file(written, tmp_path):
    written()
    runs = tmp_path / "runs"
    assert run_bench.main([*FAST, f"paths.runs={runs}"]) == 0
    text = (runs / "reports" / "mine" / "report.md").read_text()
    assert "Mine" in text and "What of mine?" in text and "Res-UNet" in text
    assert (runs / "reports" / "mine" / "records.csv").exists()
    assert run_bench.main([*FAST, f"paths.runs={runs}", "action=report"]) == 0


def test_a_report_that_is_none_is_refused_before_any_work(written, tmp_path, capsys):
    written(report="acuracy")
    assert run_bench.main([*FAST, f"paths.runs={tmp_path / 'runs'}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "suite=mine: 'acuracy' is no report. Did you mean 'accuracy'?" in said
    assert not (tmp_path / "runs").exists()
