import pandas as pd
import pytest

from reports.numbers.training import convergence, offsets, series


def scores(values, stage="train", every=10, metric="dsc"):
    return pd.DataFrame(
        {
            "stage": stage,
            "step": [every * (k + 1) for k in range(len(values))],
            "split": "val",
            "metric": metric,
            "value": values,
        }
    )


@pytest.mark.parametrize(
    "values, rise",
    [
        ([0.1, 0.3, 0.5, 0.6, 0.7, 0.75, 0.78, 0.80, 0.82, 0.85], 0.05),
        ([0.1, 0.3, 0.5, 0.6, 0.7, 0.75, 0.78, 0.80, 0.80, 0.808], 0.008),
        ([0.1, 0.3, 0.5, 0.9, 0.7, 0.75, 0.78, 0.80, 0.82, 0.85], -0.05),
    ],
)
def test_the_last_fifth_is_compared_with_the_best_before(values, rise):
    found = convergence(scores(values))
    assert found.rise == pytest.approx(rise)
    assert found.reached == (rise <= 0.01)
    assert found.best_dsc == max(values) and found.steps == 100


def test_words_say_by_how_much_it_still_rose():
    found = convergence(scores([0.5, 0.6, 0.7, 0.72, 0.76]))
    assert found.words == "had not converged (validation DSC still rose by 0.040 in the last fifth of training)"


def test_the_ceiling_is_that_of_the_selected_weights():
    history = pd.concat([scores([0.5, 0.8, 0.7]), scores([0.90, 0.92, 0.95], metric="dsc_ceiling")])
    assert convergence(history).ceiling == 0.92
    assert convergence(scores([0.5, 0.8, 0.7])).ceiling is None


def test_only_the_last_stage_counts():
    history = pd.concat(
        [scores([0.99] * 5, "autoencoder", metric="dsc_ceiling"), scores([0.1, 0.2, 0.3, 0.4, 0.5], "denoiser")]
    )
    assert convergence(history).rise == pytest.approx(0.1)


def test_the_end_of_training_is_that_of_the_losses():
    losses = pd.DataFrame({"stage": "train", "step": [100], "split": "train", "metric": "total", "value": [1.0]})
    found = convergence(pd.concat([scores([0.1, 0.5]), losses]))
    assert found.rise is None and found.reached is None and "too few validations" in found.words


def test_without_validation_nothing_is_said():
    assert convergence(scores([], metric="dsc")) is None


def test_steps_of_later_stages_follow_on():
    history = pd.concat([scores([0.1, 0.2], "first"), scores([0.3], "second")])
    assert offsets(history) == {"first": 0, "second": 20}
    assert [steps.tolist() for steps, _ in series(history, "val", "dsc")] == [[10, 20], [30]]
