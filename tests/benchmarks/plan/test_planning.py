"""A trial's name follows from what decides its weights, and from nothing else."""

import subprocess
import sys
import textwrap

import pytest

from benchmarks.errors import BadInput
from benchmarks.plan import building, choices, identity
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import conditions, make_plan
from benchmarks.store import sums

TINY = ["profile=tiny", "datasets=[phantom_glands]", "methods=[resunet]"]


@pytest.fixture
def planned(tmp_path):
    return lambda *overrides: make_plan(configure([*TINY, f"paths.runs={tmp_path}", *overrides]))


@pytest.mark.parametrize(
    "override, same",
    [
        ("suite.sigmas=[0,0.3]", True),
        ("suite.steps=[5]", True),
        ("noise.rescale=none", True),
        ("method.resunet.title=Another", True),
        ("seeds=[1]", False),
        ("training.steps=25", False),
        ("training.learning_rate=2e-3", False),
        ("method.resunet.size=small", False),
        ("dataset.phantom_glands.image_size.tiny=[64,64]", False),
        ("dataset.phantom_glands.limit={train: 4, val: 2, test: 6}", False),
    ],
)
def test_the_name_changes_with_what_decides_the_weights_only(planned, override, same):
    assert (planned()[0].key == planned(override)[0].key) is same


def test_the_tolerance_of_surfaces_names_the_tests_and_not_the_weights(planned):
    (before,), (after,) = planned(), planned("dataset.phantom_glands.nsd_tolerance=3")
    assert before.key == after.key
    assert {c.tolerance for c in before.conditions} == {2.0} and {c.tolerance for c in after.conditions} == {3.0}
    assert not {c.key for c in before.conditions} & {c.key for c in after.conditions}
    assert {c.former_key for c in before.conditions} == {c.former_key for c in after.conditions}


@pytest.mark.parametrize("value", ["0", "-1", "wide", "true", ".inf"])
def test_a_tolerance_that_is_no_distance_is_refused(planned, value):
    with pytest.raises(BadInput, match=r"dataset\.phantom_glands\.nsd_tolerance=.*expected a distance above 0"):
        planned(f"dataset.phantom_glands.nsd_tolerance={value}")


def test_without_a_tolerance_surface_dice_is_not_measured(planned):
    assert {c.tolerance for c in planned("dataset.phantom_glands.nsd_tolerance=null")[0].conditions} == {None}


def test_a_split_by_patient_is_another_request_and_a_split_file_is_none():
    def key(*overrides):
        return identity.request_key(choices.request(configure(["profile=tiny", *overrides]), "resunet", "glas", 0))

    assert key() == key("dataset.glas.split=official") == key("dataset.glas.split=elsewhere.csv")
    assert key() != key("dataset.glas.split=patients")


def asked(method, *overrides):
    """Conditions that a suite tests a method under."""
    config = configure(["profile=tiny", *overrides])
    trial = choices.request(config, method, "phantom_glands", 0)
    return conditions(config, trial, building.method_class(trial.method).generative)


def test_conditions_are_told_apart_by_noise_sampling_and_rescaling():
    keys = set()
    for override in (
        "noise.rescale=image",
        "noise.rescale=none",
        "suite.eta=0.5",
        "suite.sampler=ddpm",
        "suite.ensemble=2",
    ):
        keys |= {condition.key for condition in asked("ldseg", override)}
    assert len(keys) == 5 * 12 * 2


def test_deterministic_methods_are_tested_once_per_sigma():
    assert len(asked("resunet")) == 12
    assert len(asked("ldseg")) == 24


def test_a_number_of_steps_that_is_asked_for_twice_is_tested_once():
    assert len(asked("ldseg", "suite.steps=[2,2]")) == 12


def test_a_trial_is_found_without_its_data_by_what_was_asked_for(planned):
    config = configure(TINY)
    asked = identity.request_key(choices.request(config, "resunet", "phantom_glands", 0))
    assert planned()[0].config.request == asked
    other = choices.request(configure([*TINY, "training.steps=5"]), "resunet", "phantom_glands", 0)
    assert identity.request_key(other) != asked


def test_an_image_size_that_a_method_cannot_take_is_refused_before_any_work(planned):
    with pytest.raises(BadInput, match=r"method\.resunet on phantom_glands: image_size is \(30, 30\)"):
        planned("dataset.phantom_glands.image_size.tiny=[30,30]")


def test_a_method_is_built_for_a_plan_once_and_again_when_it_is_another(planned, monkeypatch):
    planned("methods=[resunet]")
    built = []
    monkeypatch.setattr(building, "build", lambda method, dataset: built.append(method.arguments["size"]))
    planned("methods=[resunet]")
    assert built == []
    planned("methods=[resunet]", "method.resunet.size=small")
    assert built == ["small"]


@pytest.mark.parametrize(
    "target, message",
    [("no_such_package.Method", "cannot be imported"), ("torch.nn.Linear", "expected a subclass")],
)
def test_a_class_that_is_no_method_is_refused(planned, target, message):
    with pytest.raises(BadInput, match=message):
        planned(f"method.resunet._target_={target}")


def test_an_unknown_sampler_is_refused():
    with pytest.raises(BadInput, match="sampling.sampler is 'dddim', expected one of ddpm, ddim"):
        asked("ldseg", "suite.sampler=dddim")


OPEN = ["suite=accuracy", "suite.steps=null"]
ACCURACY = [*OPEN, "profile=tiny"]


def test_a_suite_that_leaves_sampling_open_takes_the_methods_own_within_the_limits_of_the_profile():
    (own,) = choices.samplings(configure([*OPEN, "profile=paper"]), "lsegdiff")
    assert (own.steps, own.sampler, own.ensemble) == (10, "ddim", 1)
    (limited,) = choices.samplings(configure(ACCURACY), "lsegdiff")
    assert limited.steps == configure(ACCURACY).profile.sampling.most_steps == 3
    (asked,) = choices.samplings(configure([*ACCURACY, "suite.steps=[7]", "suite.sampler=dpm_solver++"]), "lsegdiff")
    assert (asked.steps, asked.sampler) == (7, "dpm_solver++")


def test_validation_chooses_from_the_numbers_of_the_profile_and_the_methods_own():
    ways = choices.samplings(configure(["suite=accuracy", "profile=quick"]), "ldseg")
    assert [way.steps for way in ways] == [2, 3, 5, 10, 20] and len({way.ensemble for way in ways}) == 1
    ways = choices.samplings(
        configure(["suite=accuracy", "profile=quick", "method.flowsdf.sampling.steps=4"]), "flowsdf"
    )
    assert [way.steps for way in ways] == [2, 3, 4, 5, 10, 20]


def test_a_method_that_says_nothing_of_sampling_takes_two_steps():
    (own,) = choices.samplings(configure(ACCURACY), "resunet")
    assert (own.steps, own.sampler, own.ensemble) == (2, "ddim", 1)


def test_how_a_method_is_sampled_does_not_decide_its_weights(planned):
    config = configure(ACCURACY)
    asked = identity.request_key(choices.request(config, "lsegdiff", "phantom_glands", 0))
    config.method.lsegdiff.sampling.steps = 4
    assert identity.request_key(choices.request(config, "lsegdiff", "phantom_glands", 0)) == asked


def test_a_word_that_means_nothing_for_sampling_is_refused():
    with pytest.raises(BadInput, match=r"method\.lsegdiff\.sampling: \['step'\] mean nothing"):
        choices.samplings(configure([*ACCURACY, "+method.lsegdiff.sampling.step=3"]), "lsegdiff")


FRESH = """
import os, sys
import methods.base
from benchmarks.plan.identity import code_version

for _ in sys.stdin:
    if os.fork() == 0:
        import own.net

        print(code_version(own.net.Net), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture
def code_hash(tmp_path):
    """Takes the code version of the method in a folder, each time in a process that has imported PyTorch alone."""
    process = subprocess.Popen(
        [sys.executable, "-c", FRESH], env={"PYTHONPATH": f"{tmp_path}:."}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    def asked() -> str:
        process.stdin.write("again\n")
        process.stdin.flush()
        return process.stdout.readline()

    yield asked
    process.communicate()
    assert process.returncode == 0


def test_the_code_version_follows_imports_and_ignores_comments_and_docstrings(tmp_path, code_hash):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/__init__.py").touch()
    net = (
        "import beside\nfrom methods.base import Segmenter\nfrom . import parts\n\nclass Net(Segmenter):\n"
        "    width = parts.WIDTH + beside.MORE\n"
    )
    (tmp_path / "beside.py").write_text("MORE = 1\n")
    (tmp_path / "own/net.py").write_text(net)
    (tmp_path / "own/parts.py").write_text("WIDTH = 8\n")
    first = code_hash()
    assert len(first) > 9
    (tmp_path / "own/parts.py").write_text(textwrap.dedent('"""Parts."""\n\n# eight\nWIDTH = 8\n'))
    assert code_hash() == first
    (tmp_path / "own/parts.py").write_text("WIDTH = 16\n")
    assert code_hash() != first
    (tmp_path / "own/parts.py").write_text("WIDTH = 8\n")
    assert code_hash() == first
    (tmp_path / "beside.py").write_text("def more(n: int) -> int:\n    return n\n\nMORE = more(1)\n")
    second = code_hash()
    assert second != first  # a module beside the package counts as well
    (tmp_path / "beside.py").write_text("def more(n):\n    return n\n\nMORE = more(1)\n")
    assert code_hash() == second  # annotations do not


@pytest.mark.parametrize("name", ["SHA256SUMS", "*.json"])
def test_what_is_kept_of_methods_is_made_again_where_it_is_damaged(planned, tmp_path, name):
    (before,) = planned()
    for path in (tmp_path / "cache" / "methods").glob(name):
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    (after,) = planned()
    assert after == before
    assert {sums.state(path) for path in (tmp_path / "cache" / "methods").glob("*.json")} == {sums.SOUND}


UNION = "+dataset.phantom_echo.unions={heart: [LV, LA]}"


def test_unions_of_classes_name_the_tests_and_not_the_weights(planned):
    data = "datasets=[phantom_echo]"
    (before,), (after,) = planned(data), planned(data, UNION)
    assert before.key == after.key and before.config == after.config
    assert {c.unions for c in after.conditions} == {(("heart", ("LV", "LA")),)}
    assert {c.key for c in before.conditions} == {c.apart.key for c in after.conditions}
    assert not {c.key for c in before.conditions} & {c.key for c in after.conditions}


def test_a_union_of_which_a_class_is_not_kept_is_left_out(planned):
    found = planned("datasets=[phantom_echo]", "+dataset.phantom_echo.unions={epi: [LV, wall]}")
    assert {c.unions for c in found[0].conditions} == {()}


@pytest.mark.parametrize("value", ["{LV: [LV, LA]}", "{all: [LV, LA]}", "{one: [LV]}", "{one: LV}", "epi"])
def test_what_is_no_union_is_refused(planned, value):
    with pytest.raises(BadInput, match=r"dataset\.phantom_echo\.unions.*expected"):
        planned("datasets=[phantom_echo]", f"+dataset.phantom_echo.unions={value}")
