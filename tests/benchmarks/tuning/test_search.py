"""action=tune: as many trials for every method, stopped early where they are behind, gone on with where it stopped."""

import pandas as pd
import pytest

from benchmarks.errors import BadInput
from benchmarks.plan import choices
from benchmarks.plan.configuration import configure
from benchmarks.store import sums, verifying
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.results import Store
from benchmarks.tuning import search, space

SMALL = ["suite=accuracy", "profile=tiny", "methods=[unet,resunet]", "datasets=[phantom_glands]", "training.steps=4"]


@pytest.fixture
def tuned(tmp_path):
    def run(*overrides):
        config = configure([*SMALL, f"paths.runs={tmp_path}", *overrides])
        return search.tune(config, Store(tmp_path))

    return run


def test_every_method_gets_the_same_number_of_trials_and_the_best_is_named(tuned, tmp_path):
    found = tuned("tune.trials=3")
    assert [one.trial.config.method.name for one in found] == ["unet", "resunet"]
    for one in found:
        assert len(one.rows) == 3 and one.best == one.rows.loc[one.rows["state"] == "complete", "dsc"].max()
        assert one.rows["training.learning_rate"].between(3e-4, 1e-2).all()
        name = one.trial.config.method.name
        assert {word.partition("=")[0] for word in one.words if "lr_final_factor" not in word} == {
            f"++method.{name}.training.{key}" for key in ("learning_rate", "lr_schedule", "warmup")
        }
        configure([*SMALL, *one.words])  # the words are a command's
    written = sorted(tmp_path.glob("tuning/*/trials.csv"))
    assert [len(pd.read_csv(path)) for path in written] == [3, 3]
    assert not list(tmp_path.glob("tuning/*/*.pt"))


def test_a_search_goes_on_where_it_stopped(tuned):
    first = tuned("tune.trials=2", "methods=[unet]")[0]
    second = tuned("tune.trials=4", "methods=[unet]")[0]
    pd.testing.assert_frame_equal(first.rows, second.rows.iloc[:2])
    assert len(second.rows) == 4
    assert second.rows["training.learning_rate"].is_unique  # nothing is drawn a second time


def test_an_interrupted_trial_takes_no_place_and_the_recipe_there_is_comes_again(tuned, monkeypatch):
    class Cut(BaseException):
        pass

    def cut(*_):
        raise Cut

    monkeypatch.setattr(search, "train", cut)
    with pytest.raises(Cut):
        tuned("tune.trials=2", "methods=[unet]")
    monkeypatch.undo()
    found = tuned("tune.trials=2", "methods=[unet]")[0]
    assert found.rows["state"].tolist() == ["fail", "complete", "complete"]
    assert found.rows["training.learning_rate"].iloc[0] == found.rows["training.learning_rate"].iloc[1]
    pd.testing.assert_frame_equal(tuned("tune.trials=2", "methods=[unet]")[0].rows, found.rows)


def test_the_method_s_own_space_is_searched_as_well():
    config = configure(["suite=accuracy"])
    assert {"t_sampling", "dropout", "training.learning_rate"} <= set(space.space_of(config, "ldseg"))
    assert set(space.space_of(config, "unet")) == set(config.tune.space)


@pytest.mark.parametrize(
    "method", ["unet", "nnunet", "ldseg", "lsegdiff", "medsegdiff", "sdf_ddpm", "swinunet", "medt"]
)
def test_the_recipe_there_is_lies_in_the_space(method):
    config = configure(["suite=accuracy", "profile=quick"])
    trial = choices.request(config, method, "phantom_glands", 0)
    searched = space.space_of(config, method)
    assert set(space.own(trial, searched)) == set(searched)


def test_the_first_trial_is_the_recipe_there_is(tuned):
    (found,) = tuned("tune.trials=1", "methods=[nnunet]")
    assert found.rows["training.learning_rate"].tolist() == [0.1] and found.rows["training.lr_schedule"].tolist() == [
        "poly"
    ]


def test_values_go_to_the_training_or_to_the_class():
    trial = TrialConfig(MethodConfig("unet", arguments={"size": "tiny"}), DatasetConfig("glas"), TrainingConfig(), 0)
    found = space.applied(trial, {"training.learning_rate": 0.5, "width": 3})
    assert found.training.learning_rate == 0.5 and found.method.arguments == {"size": "tiny", "width": 3}


def test_an_exponential_schedule_has_an_end():
    """Towards the first rate itself it would be the constant one."""
    trial = TrialConfig(MethodConfig("ldseg"), DatasetConfig("glas"), TrainingConfig(lr_schedule="poly"), 0)
    assert trial.training.lr_final_factor == 1
    drawn = {"training.lr_schedule": "exp"}
    assert space.applied(trial, drawn).training.lr_final_factor == 0.1
    assert "++method.ldseg.training.lr_final_factor=0.1" in space.overrides("ldseg", drawn)
    assert space.applied(trial, {"training.lr_schedule": "constant"}).training.lr_final_factor == 1


@pytest.mark.parametrize(
    "override, words",
    [
        ("+tune.space.depth=3", "depth=3; expected a list of values"),
        ("++tune.space={width: {low: 1}}", "expected a list of values"),
        ("++tune.space={training.speed: [1]}", "training.speed is no training setting"),
    ],
)
def test_a_space_that_is_none_is_refused_by_name(override, words):
    with pytest.raises(BadInput, match=words):
        space.space_of(configure(["suite=accuracy", override]), "unet")


def test_a_search_whose_journal_was_damaged_is_refused_and_its_table_made_again(tuned, tmp_path):
    tuned("methods=[unet]", "tune.trials=1")
    (journal,) = tmp_path.glob("tuning/*/journal.log")
    table = journal.with_name("trials.csv")
    assert not [found for _, found in verifying.verify(tmp_path, tmp_path / "cache") if found]
    whole, rows = journal.read_bytes(), table.read_bytes()
    table.write_bytes(rows[:-9])
    journal.write_bytes(whole.replace(b"exp", b"exq") if b"exp" in whole else whole[:-9])
    findings = [one for _, found in verifying.verify(tmp_path, tmp_path / "cache") for one in found]
    assert [(one.path, one.state) for one in findings] == [(journal, "damaged"), (table, "damaged")]
    with pytest.raises(BadInput, match=r"journal\.log: was damaged since .*delete its folder to search again"):
        tuned("methods=[unet]", "tune.trials=1")
    # Of a search that was killed there is no sum: what cannot be read is named all the same.
    (journal.parent / sums.NAME).unlink()
    journal.write_bytes(whole[: len(whole) // 2].replace(b"{", b"<", 1) + whole[len(whole) // 2 :])
    with pytest.raises(BadInput, match=r"journal\.log: cannot be read .*search again"):
        tuned("methods=[unet]", "tune.trials=1")
    journal.write_bytes(whole)
    tuned("methods=[unet]", "tune.trials=1")
    assert len(pd.read_csv(table)) == 1
