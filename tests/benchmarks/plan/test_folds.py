"""Cross-validation in plans: a trial for each fold, and nothing else than before without folds."""

import pytest

from benchmarks.errors import BadInput
from benchmarks.kinds import registry
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan
from benchmarks.plan.sources import prepared
from benchmarks.store.config import DatasetConfig, TrialConfig

WORDS = ["suite=accuracy", "methods=[resunet,unet]", "datasets=[phantom_glands]", "profile=tiny", "seeds=[0]"]


def planned(tmp_path, *words):
    config = configure([*WORDS, f"paths.runs={tmp_path}", *words])
    return config, make_plan(config)


def test_every_fold_is_a_trial_with_a_key_and_a_name_of_its_own(tmp_path):
    config, trials = planned(tmp_path, "folds=3")
    _, plain = planned(tmp_path)
    assert len(trials) == 6 and len(plain) == 2
    assert len({trial.key for trial in [*trials, *plain]}) == 8
    assert [trial.name.split(", ", 1)[1] for trial in trials[:3]] == [f"seed 0, fold {k} of 3" for k in (1, 2, 3)]
    assert trials[1].key.startswith("phantom_glands-resunet-s0-f2of3-")
    assert len({trial.config.dataset.fingerprint for trial in [*trials, *plain]}) == 1
    tested = []
    for trial in trials[:3]:
        assert TrialConfig.from_json(trial.config.to_json()) == trial.config
        data = prepared(config, trial.config.dataset)
        assert {name: len(found) for name, found in data.split.items()} == trial.config.dataset.cases
        tested += [data.ids[k] for k in data.split["test"]]
    assert sorted(tested) == sorted(data.ids)


def test_without_folds_nothing_is_said_of_them(tmp_path):
    """Keys, requests and stored configurations are those from before there were folds."""
    _, (trial, _) = planned(tmp_path)
    data = trial.config.dataset
    assert set(data.identity()) == {"name", "image_size", "fingerprint", "augmentation"}
    assert set(data.asked()) == {"name", "image_size", "settings"}
    assert "fold" not in data.to_json() and DatasetConfig.from_json(data.to_json()).fold == ()
    assert trial.name == "resunet on phantom_glands, seed 0" and "-s0-f" not in trial.key


@pytest.mark.parametrize("value", ["1", "0", "2.5", "true", "many"])
def test_what_is_no_number_of_folds_is_refused(value):
    with pytest.raises(BadInput, match=f"folds={value}".replace("true", "True")):
        registry.checked([*WORDS, f"folds={value}"])


def test_more_folds_than_patients_are_refused_before_any_work(tmp_path):
    with pytest.raises(BadInput, match=r"dataset.phantom_glands: folds=99: the data set has \d+ patient"):
        planned(tmp_path, "folds=99")


@pytest.mark.parametrize("suite", ["uncertainty", "shift", "corruptions", "data_overview"])
def test_suites_of_one_split_refuse_folds(suite):
    with pytest.raises(BadInput, match=f"suite={suite} is of kind .* which tests one split"):
        registry.checked([f"suite={suite}", "folds=5"])
