"""How a method is trained: layers of settings, the papers' recipes at profile=paper, and what is refused."""

from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan import choices
from benchmarks.plan.configuration import CONF, configure, names
from benchmarks.plan.recipes import layers

SHORT = {"ldseg": 2e-3, "lsegdiff": 2e-3, "medsegdiff": 1e-3, "nnunet": 1e-1, "resunet": 1e-3}
SEARCHED = {"ldseg": (2e-3, "poly", 0.1), "unet": (1.4e-3, "poly", 0.0), "vnet": (4.4e-3, "poly", 0.1)}
"""Rate, schedule and warm-up of `profile=quick` as docs/training.md has them; LDSeg's warm-up came after the search."""


def recipe(method, *overrides, dataset="glas"):
    return choices.training_config(configure(["suite=accuracy", *overrides]), method, dataset)


PAPER = {
    "ldseg": dict(optimizer="adam", learning_rate=1e-3, lr_schedule="constant", batch_size=4, ema_warmup=False),
    "medsegdiff": dict(optimizer="adamw", learning_rate=1e-4, lr_schedule="constant", batch_size=8, weight_decay=0.0),
    "sdf_ddpm": dict(optimizer="adam", learning_rate=1e-4, lr_schedule="constant", batch_size=32),
    "flowsdf": dict(
        optimizer="adam", learning_rate=1e-4, lr_schedule="constant", batch_size=4, clip=1.0, clip_by="max"
    ),
    "sdseg": dict(optimizer="adamw", learning_rate=4e-5, lr_schedule="constant", batch_size=4, weight_decay=0.01),
    "nnunet": dict(optimizer="nesterov", momentum=0.99, learning_rate=1e-2, lr_schedule="poly", weight_decay=3e-5),
    "swinunet": dict(optimizer="sgd", momentum=0.9, learning_rate=0.05, lr_schedule="poly", batch_size=24),
    "vnet": dict(optimizer="sgd", momentum=0.99, learning_rate=1e-4, lr_schedule="step", batch_size=2),
}


@pytest.mark.parametrize("method", PAPER)
def test_the_paper_profile_has_the_papers_recipe(method):
    found = recipe(method, "profile=paper")
    assert {name: getattr(found, name) for name in PAPER[method]} == PAPER[method]
    assert found.steps == 53_000  # the budget is everybody's


@pytest.mark.parametrize("method, rate", SHORT.items())
def test_the_tiny_profile_has_a_rate_for_its_few_steps(method, rate):
    assert recipe(method, "profile=tiny").learning_rate == rate


@pytest.mark.parametrize("method, found", SEARCHED.items())
def test_the_quick_profile_has_what_the_search_found(method, found):
    quick, tiny = (recipe(method, f"profile={profile}") for profile in ("quick", "tiny"))
    assert (quick.learning_rate, quick.lr_schedule, quick.warmup) == found
    assert quick.optimizer == tiny.optimizer


def test_a_res_unet_on_noisy_images_is_trained_as_res_unet():
    clean, noisy = recipe("resunet"), recipe("resunet_noise")
    assert noisy.noise > 0 and replace(noisy, noise=clean.noise) == clean


@pytest.mark.parametrize("method", sorted(set(names("method")) - {"nnunetv2", "class_stats", "replay"}))
def test_every_method_names_its_optimiser_and_loss_and_has_a_recipe_for_every_profile(method):
    given = OmegaConf.to_container(OmegaConf.load(CONF / "method" / f"{method}.yaml"), resolve=False)
    assert given["loss"]
    for profile in names("profile"):
        assert {"optimizer", "learning_rate", "lr_schedule"} <= set(given["training"][profile])


@pytest.mark.parametrize("profile", ["tiny", "quick", "paper"])
@pytest.mark.parametrize("twin", ["ldseg", "lsegdiff", "medsegdiff", "sdf_ddpm"])
def test_a_twin_without_diffusion_is_trained_as_its_method(twin, profile):
    own, twins = (
        OmegaConf.load(CONF / "method" / f"{name}.yaml").training[profile] for name in (twin, f"{twin}_direct")
    )
    assert own == twins


def test_what_is_said_later_wins():
    """Profile, data set, method for the profile, method for all profiles, command."""
    assert recipe("unet", "profile=quick", dataset="phantom_glands").steps == 700
    assert recipe("unet", "profile=quick").steps == 1200  # conf/dataset/glas.yaml
    by_profile = "+method.unet.training.quick.steps=30"
    assert recipe("unet", "profile=quick", by_profile).steps == 30
    assert recipe("unet", "profile=paper", by_profile).steps == 53_000
    always = "+method.unet.training.steps=20"
    assert recipe("unet", "profile=quick", by_profile, always).steps == 20
    assert recipe("unet", "profile=quick", by_profile, always, "training.steps=10").steps == 10


def test_a_rate_beside_the_profiles_holds_in_all_of_them():
    for profile in names("profile"):
        assert recipe("nnunet", f"profile={profile}", "method.nnunet.training.learning_rate=0.5").learning_rate == 0.5


def test_of_two_batch_sizes_the_smaller_holds_and_the_commands_wins():
    assert recipe("sdf_ddpm", "profile=paper").batch_size == 32
    assert recipe("sdf_ddpm", "profile=paper", dataset="phantom_knee").batch_size == 2  # volumes
    assert recipe("unet", "profile=paper", dataset="phantom_knee").batch_size == 1
    assert recipe("sdf_ddpm", "profile=paper", "training.batch_size=6", dataset="phantom_knee").batch_size == 6


def test_a_training_by_time_has_no_number_of_steps():
    found = recipe("unet", "training.seconds=60")
    assert (found.seconds, found.steps) == (60, None)


@pytest.mark.parametrize(
    "override, message",
    [
        (
            "+method.unet.training.quik={steps: 5}",
            r"unet\.training\.quik: is no profile \(paper, quick, tiny\)",
        ),
        ("+dataset.glas.training.fast={steps: 5}", r"dataset\.glas\.training\.fast: is no profile"),
        ("+method.unet.training.paper.step=5", r"method\.unet\.training\.paper: \['step'\] mean nothing"),
        (
            "method.unet.training.paper.learning_rate=-1",
            r"paper\.learning_rate=-1: expected a number above 0",
        ),
        ("+method.unet.training.quick=3", r"training\.quick=3: expected settings, such as"),
        ("method.unet.training.quick.optimizer=lion", r"optimizer=lion: expected adam, adamw, sgd or nesterov"),
        ("training.lr_schedule=linear", r"training\.lr_schedule=linear: expected exp, poly, cosine, step or constant"),
        ("training.momentum=1", r"training\.momentum=1: expected a number from 0 to below 1"),
        ("training.clip=0", r"training\.clip=0: expected a number above 0"),
        ("training.clip_by=value", r"training\.clip_by=value: expected norm or max"),
        ("training.lr_drops=[0.8,0.4]", r"training\.lr_drops=\[0\.8, 0\.4\]: expected a list of shares"),
        ("training.momentum=0.9", r"unet on glas: momentum=0\.9 with optimizer=adam"),
        ("training.optimizer=nesterov", "optimizer=nesterov needs a momentum"),
        ("training.lr_schedule=step", "the schedule step, and no other, needs the shares"),
        ("training.first_stage=1.5", r"training\.first_stage=1\.5: expected a number between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name_in_every_profile(override, message):
    override = override.replace("+method.unet.training.quick=", "method.unet.training.quick=")
    with pytest.raises(BadInput, match=message):
        recipe("unet", override)


def test_a_method_of_ones_own_may_say_nothing():
    assert layers("method.own.training", None, "quick", ["quick"]) == {
        "method.own.training.quick": {}, "method.own.training": {},
    }  # fmt: skip
