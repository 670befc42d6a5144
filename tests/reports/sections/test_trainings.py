"""What the report says of trainings that collapsed, and of those that were tested in part."""

import numpy as np
import pytest

from reports.numbers.study import comparisons, study
from reports.sections import accuracy_table, posteriors, rank_tables, significance
from tests.reports.sections.conftest import CASES, SUITE, bumpy


@pytest.mark.parametrize("ends, collapsed", [((0.8, 0.81, 0.1), 1), ((0.8, 0.81, 0.72), 0), ((0.8, 0.12, 0.1), 2)])
def test_trainings_that_collapsed_are_counted_and_named(measured, said, ends, collapsed):
    own = bumpy(0.0)
    for seed, level in enumerate(ends):
        measured("ldseg", own + level, seed=seed)
        measured("resunet", own + 0.8 + 0.001 * seed, seed=seed)
    sentence, *rest = said()
    told = [text for text in rest if "below the best" in text]
    assert len(told) == (collapsed > 0) == sentence.startswith("Nothing is decided between the mean of 3 trainings of")
    if collapsed:
        assert told[0].startswith(f"{collapsed} training") and "of **LDSeg (2 steps)** ended more than 0.1" in told[0]
        assert all(f"{level:.3f}" in told[0] for level in ends) and "decides nothing about the method" in told[0]


CLAIMS = ("is better", "is worse", "is not worse", "is not better", "are equivalent", "scored higher", "scored lower",
          "scored alike", "did not score")  # fmt: skip


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_nothing_is_claimed_of_a_method_whose_training_collapsed(measured, said, fabricate, level):
    """Whether it is far better than the other all the same, far worse or alike: all three have a verdict without it."""
    own = bumpy(0.0)
    for seed, fallen in enumerate((0.0, 0.001, -0.12)):
        measured("ldseg", own + 0.8 + fallen, seed=seed)
        measured("resunet", own + level - 0.04 * (level == 0.8) + 0.001 * seed + 1e-4 * np.cos(range(CASES)), seed=seed)
        measured("unet", own + 0.2 + 0.001 * seed + 1e-3 * np.sin(range(CASES)), seed=seed)
    for suite in ({"margin": 0.2}, {"unseen_failure": 0}):
        first, second, *_ = said(**suite)
        assert not any(claim in text for claim in CLAIMS for text in (first, second))
    found = comparisons(study(fabricate.results(**SUITE)), "glas")
    assert [one.at[0.0].seeds for one in found] == [1, 1] and all(one.tests[0.0].collapsed for one in found)


def test_a_method_with_a_training_that_collapsed_has_no_rank_and_no_posterior_and_the_captions_say_so(
    measured, fabricate
):
    own = bumpy(0.0)
    for seed, fallen in enumerate((0.0, 0.001, -0.3)):
        measured("ldseg", own + 0.8 + 0.001 * seed, seed=seed)
        measured("resunet", own + 0.9 + fallen, seed=seed)
        for method, level in (("unet", 0.7), ("vnet", 0.6)):
            measured(method, own + level + 0.001 * seed + 1e-3 * np.sin(range(CASES)), seed=seed)
    it = study(fabricate.results(**SUITE))
    ranks, elsewhere = rank_tables.tables(it)
    assert ranks.data["method"].tolist() == ["ldseg", "unet", "vnet"] and ranks.data["rank"].tolist() == [1, 2, 3]
    assert set(elsewhere.data["method"]) == {"ldseg", "unet", "vnet"}
    accuracy = accuracy_table.table(it, "glas")
    assert accuracy.data.set_index("method")["rank"].isna().tolist() == [False, True, False, False]
    (posterior,) = posteriors.posteriors(it)
    assert set(posterior.data["other"]) == {"unet", "vnet"}
    assert all("Left out, as a training collapsed: " in one.caption for one in (ranks, elsewhere, accuracy, posterior))
    said = significance.friedman_sentence(it, "glas", 0.0)
    assert said.startswith("Friedman's test over 3 methods") and "Res-UNet" not in said


def test_a_training_that_no_noise_changes_does_not_look_at_the_image_and_decides_nothing(measured, said, fabricate):
    """It is as good as its fellows without noise, and would look the most robust of all."""
    own = bumpy(0.8)
    for seed in range(3):
        loses = 0.0 if seed == 1 else 0.3
        measured("ldseg", own, seed=seed, sigmas=(0, 0.2),
                 score=lambda sigma, case, name, loses=loses: own[case] - loses * sigma)  # fmt: skip
        measured("resunet", own - 0.1, seed=seed, sigmas=(0, 0.2),
                 score=lambda sigma, case, name: own[case] - 0.1 - 2 * sigma)  # fmt: skip
    said_of = said()
    (told,) = [text for text in said_of if "answered alike" in text]
    assert (
        told.startswith("1 training of **LDSeg (2 steps)**")
        and "seed 1 (0.800) lost nothing in any case up to σ = 0.2" in told
    )
    assert all(one.tests[0.0].collapsed for one in comparisons(study(fabricate.results(**SUITE)), "glas"))
    assert not any("trained once or twice" in text for text in said_of)  # each was three times


@pytest.mark.parametrize("sigmas", [(0, 0.01), (0,), (0.2,), (0.2, 0.5)])
def test_what_does_not_fall_any_further_is_not_blind_unless_it_began_without_noise(measured, said, sigmas):
    own = bumpy(0.8)
    for method in ("ldseg", "resunet"):
        measured(method, own, sigmas=sigmas)
    assert not any("answered alike" in text for text in said())


def test_a_training_tested_with_less_noise_than_its_fellows_is_judged_by_that(measured, said):
    own = bumpy(0.8)
    for seed, sigmas in enumerate([(0, 0.2), (0, 0.2, 0.5), (0, 0.2, 0.5)]):
        measured("ldseg", own, seed=seed, sigmas=sigmas,
                 score=lambda sigma, case, name, seed=seed: own[case] - 0.1 * seed * (sigma == 0.2))  # fmt: skip
    (told,) = [text for text in said() if "answered alike" in text]
    assert told.startswith("1 training of") and "seed 0 (0.800) lost nothing in any case up to σ = 0.2" in told


def test_without_the_collapse_the_same_trainings_have_a_verdict(measured, said):
    own = bumpy(0.0)
    for seed in range(3):
        measured("ldseg", own + 0.8 + 0.001 * seed, seed=seed)
        measured("unet", own + 0.2 + 0.001 * seed + 1e-3 * np.sin(range(CASES)), seed=seed)
    assert "is better than **U-Net**" in said()[0]


def test_a_training_tested_on_few_cases_has_no_part_and_is_named(measured, said, fabricate):
    own = bumpy(0.8)
    for seed in range(4):
        measured("ldseg", (own + 0.001 * seed)[: 4 if seed == 3 else CASES] + 0.1 * (seed == 3), seed=seed)
        measured("resunet", own - 0.1 + 0.001 * seed + 0.002 * np.sin(range(CASES)), seed=seed)
    sentence, *_, partial = said()
    assert sentence.startswith("**LDSeg (2 steps)** is better than **Res-UNet** by 0.09")
    assert partial.startswith("Seed 3 of **LDSeg (2 steps)** was tested on 4 of 12 cases and has no part in")
    curve = study(fabricate.results(**SUITE)).curves["glas"][0]
    assert curve.trainings(0.0) == 3 and curve.mean(0.0).value == pytest.approx(0.801)


def test_a_comparison_on_part_of_the_cases_says_so(measured, said):
    own = bumpy(0.8)
    measured("ldseg", own[:8])
    measured("resunet", own - 0.1 - 0.001 * np.arange(CASES))
    assert "than this training of **Res-UNet** on 8 of 12 cases by" in said()[0]


def folded(fabricate, fallen):
    """Res-UNet's cases are dealt into three folds, each with a training of its own; those of `fallen` lose 0.4."""
    for frame in fabricate.frames:
        if (frame["method"] == "resunet").all():
            fold = frame["case"].str[-2:].astype(int) % 3
            frame["trial"] += "-f" + (fold + 1).astype(str) + "of3"
            frame.loc[(fold == 1) & (frame["seed"] == fallen), "dsc"] -= 0.4
    return fabricate.results(**SUITE)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_fold_that_collapsed_is_named_and_decides_nothing(measured, fabricate, seeds):
    for seed in range(seeds):
        measured("ldseg", bumpy(0.8) + 0.001 * seed, seed=seed)
        measured("resunet", bumpy(0.8) + 0.001 * seed, seed=seed)
    sound = significance.sentences(study(folded(fabricate, None)), "glas")
    assert not any("below the best" in text for text in sound)
    fallen = significance.sentences(study(folded(fabricate, 0)), "glas")
    (told,) = [text for text in fallen if "below the best" in text]
    assert told.startswith("1 training of **Res-UNet** ended more") and "seed 0, glas-resunet-s0-" in told
    assert "f2of3" in told and fallen[0].startswith("Nothing is decided between")
