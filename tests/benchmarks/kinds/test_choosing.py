"""The number of sampling steps is chosen on validation cases, once, and tested at that and at equal evaluations."""

import pandas as pd
import pytest

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.kinds import choosing
from benchmarks.kinds.registry import checked
from benchmarks.store.files import write_frame
from benchmarks.store.results import Store
from benchmarks.store.selection import fewest_enough
from benchmarks.testing import evaluate
from methods.ldseg import LDSeg

TINY = [
    "suite=accuracy", "profile=tiny", "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "training.steps=2",
    "device=cpu", "tracking=none", "profile.limit={train: 4, val: 3, test: 3}", "suite.steps=validated",
    "seeds=[0]",
]  # fmt: skip


def ran(tmp_path, *more):
    config, kind = checked([*TINY, *more, f"paths.runs={tmp_path}"])
    return kind.run(config, "")


def stored(tmp_path, *more):
    config, kind = checked([*TINY, *more, f"paths.runs={tmp_path}"])
    return kind.stored(config, "")


def steps_tested(results) -> dict[str, list[int]]:
    return results.records.groupby("method")["steps"].unique().map(sorted).to_dict()


def favour(tmp_path, steps: int) -> None:
    """Rewrites the validation records so that this number of steps is by far the best."""
    for path in tmp_path.glob("trials/*ldseg*/validation/*.parquet"):
        frame = pd.read_parquet(path)
        frame["dsc"] = 0.9 if frame["steps"].iloc[0] == steps else 0.1
        write_frame(path, frame)


def forget_tests(tmp_path) -> None:
    for path in tmp_path.glob("trials/*/records/*.parquet"):
        path.unlink()


def test_the_choice_is_that_of_the_validation_records_and_no_test_case_enters_it(tmp_path):
    results = ran(tmp_path)
    (chosen,) = results.selection.values()
    frames = [pd.read_parquet(path) for path in tmp_path.glob("trials/*ldseg*/validation/*.parquet")]
    means = {int(f["steps"].iloc[0]): f.loc[f["class"] == "all", "dsc"].mean() for f in frames}
    assert chosen.candidates == (2, 3) and chosen.cases == 3 and chosen.seeds == (0,)
    assert chosen.scores[0].tolist() == pytest.approx([means[2], means[3]])
    assert chosen.steps == (2 if means[2] >= max(means.values()) - 0.005 else 3)
    assert steps_tested(results) == {"ldseg": [chosen.steps], "resunet": [0]}
    validated, tested = set(pd.concat(frames)["case"]), set(results.records["case"])
    assert validated and tested and not validated & tested


def test_the_training_key_does_not_know_of_the_choice_and_a_suite_with_numbers_takes_the_trial_up(tmp_path):
    ran(tmp_path)
    before = {path.name for path in (tmp_path / "trials").iterdir() if path.is_dir()}
    results = ran(tmp_path, "suite.steps=[2]")
    assert {path.name for path in (tmp_path / "trials").iterdir() if path.is_dir()} == before
    assert results.selection == {} and steps_tested(results)["ldseg"] == [2]


def test_an_interrupted_choice_goes_on_where_it_stopped(tmp_path, monkeypatch):
    ran(tmp_path)
    kept, lost = sorted(tmp_path.glob("trials/*ldseg*/validation/*.parquet"))
    when = kept.stat().st_mtime_ns
    lost.unlink()
    with pytest.raises(StopIteration):  # nothing is chosen from half of the candidates
        next(iter(stored(tmp_path).selection.values()))
    ran(tmp_path)
    assert lost.exists() and kept.stat().st_mtime_ns == when
    monkeypatch.setattr(LDSeg, "segment", lambda *_: pytest.fail("sampled again"))
    assert len(ran(tmp_path).selection) == 1


def test_another_choice_is_tested_anew_and_only_that_is_reported(tmp_path):
    first = ran(tmp_path)
    (before,) = first.selection.values()
    other = 5 - before.steps
    favour(tmp_path, other)
    assert steps_tested(ran(tmp_path))["ldseg"] == [other]
    assert steps_tested(stored(tmp_path))["ldseg"] == [other]


def test_what_is_stored_is_found_without_data_and_says_where_no_choice_was_made(tmp_path):
    results = ran(tmp_path)
    again = stored(tmp_path)
    pd.testing.assert_frame_equal(again.records, results.records)
    for path in tmp_path.glob("trials/*ldseg*/validation/*.parquet"):
        path.unlink()
    open_ = stored(tmp_path)
    said = {trial.config.method.name: (trial.status, trial.reason) for trial in open_.trials}
    assert said["ldseg"] == ("unfinished", choosing.NOT_CHOSEN) and said["resunet"][0] == "ok"
    assert steps_tested(open_) == {"resunet": [0]}


def test_every_method_is_also_tested_at_the_evaluations_of_the_one_that_chose_the_most(tmp_path):
    both = ["methods=[ldseg,sdf_ddpm]", "profile.candidates=null"][:1]
    ran(tmp_path, *both)
    for path in tmp_path.glob("trials/*/validation/*.parquet"):
        frame, hungry = pd.read_parquet(path), "sdf_ddpm" in str(path)
        frame["dsc"] = float(frame["steps"].iloc[0] == (3 if hungry else 2))
        write_frame(path, frame)
    results = ran(tmp_path, *both)
    found = {method: chosen for (_, method), chosen in results.selection.items()}
    # SDF-DDPM makes as many evaluations as steps, LDSeg one fewer; samples averaged count each.
    hungry, frugal = found["sdf_ddpm"], found["ldseg"]
    assert (hungry.steps, hungry.equal_steps, hungry.equal_nfe) == (3, 3, hungry.nfe) and frugal.steps == 2
    assert frugal.equal_nfe == hungry.nfe and frugal.equal_steps == hungry.nfe + 1
    assert steps_tested(results) == {"ldseg": [2, frugal.equal_steps], "sdf_ddpm": [3]}
    nfe = results.records.groupby(["method", "steps"])["nfe"].first()
    assert nfe["ldseg", frugal.equal_steps] == nfe["sdf_ddpm", 3] == hungry.nfe
    timed = {row["steps"] for trial in results.trials for row in trial.cost["inference"]}
    assert {2, 3, frugal.equal_steps} <= timed


def test_a_failed_choice_ends_its_trial_with_the_reason_and_is_tried_again(tmp_path, monkeypatch):
    real = evaluate.outcomes
    monkeypatch.setattr(evaluate, "outcomes", lambda *asked: 1 / 0 if "val" in asked else real(*asked))
    results = ran(tmp_path)
    said = {trial.config.method.name: (trial.status, trial.reason) for trial in results.trials}
    assert (
        said["ldseg"][0] == "failed"
        and "choosing the number of sampling steps failed: ZeroDivision" in said["ldseg"][1]
    )
    assert said["resunet"][0] == "ok" and steps_tested(results) == {"resunet": [0]}
    monkeypatch.setattr(evaluate, "outcomes", real)
    assert set(steps_tested(ran(tmp_path))) == {"ldseg", "resunet"}


def test_the_plan_names_what_is_left_to_choose_and_then_what_is_left_to_test(tmp_path):
    config, kind = checked([*TINY, f"paths.runs={tmp_path}"])
    store = Store(tmp_path)
    store.open()
    rows = {row[0].split()[0].lower(): row for row in kind.left(config, store).rows}
    assert any("0 of 2 numbers of steps on validation, then 1 noise level" in row[2] for row in rows.values())
    assert kind.left(config, store).seconds > 0
    ran(tmp_path)
    left = kind.left(config, store)
    assert [row[2] for row in left.rows] == ["1 of 1 there"] * 2 and left.seconds == 0


def test_the_jobs_are_settled_once_they_are_done(tmp_path):
    ran(tmp_path)
    config, kind = checked([*TINY, f"paths.runs={tmp_path}"])
    for work, jobs in kind.batches(config, Store(tmp_path)):
        assert all(work.settled(job) for job in jobs)
        runner.run(work, jobs)


def test_the_fewest_steps_within_the_tolerance_are_enough():
    steps = [2, 3, 5, 10]
    assert fewest_enough(steps, [0.5, 0.5, 0.5, 0.5]) == 2
    assert fewest_enough(steps, [0.80, 0.895, 0.90, 0.90]) == 3  # exactly the tolerance is enough
    assert fewest_enough(steps, [0.80, 0.894, 0.90, 0.89]) == 5
    assert fewest_enough(steps, [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]).tolist() == [10, 2]


@pytest.mark.parametrize("suite", ["uncertainty", "diffusion_process", "runtime"])
def test_a_suite_that_chooses_nothing_refuses_to(suite):
    with pytest.raises(BadInput, match="steps=validated: suites of kind .* choose nothing"):
        checked([f"suite={suite}", "suite.steps=validated"])


def test_another_word_is_no_number_of_steps():
    with pytest.raises(BadInput, match="suite.steps='chosen'.*validated"):
        checked(["suite=accuracy", "suite.steps=chosen"])
