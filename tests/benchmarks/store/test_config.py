"""What config.json says of a trial: nothing is lost on the way to it and back, and trials keep their names."""

import json
from dataclasses import replace

import pytest

from benchmarks.errors import BadInput
from benchmarks.plan.identity import digest, request_key
from benchmarks.plan.trials import Condition, Trial
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.trial import TrialView
from methods.base import Sampling

FOLDER = "phantom_echo-ldseg-s0-c06e5422acac"
"""Of a trial that was stored before its configuration was a class, with this config.json:"""
STORED = {
    "method": {
        "name": "ldseg", "_target_": "methods.ldseg.LDSeg", "title": "LDSeg",
        "summary": "Latent diffusion with label encoder, decoder, image encoder and denoiser trained together; "
        "2 steps suffice.",
        "size": "tiny", "preset": None, "lr_factors": None, "decoder_input": None, "latent_norm": None,
        "sampler_norm": None, "noise_sharing": None, "t_sampling": None, "time_grid": None, "dice_mode": None,
        "l2_reduction": None, "image_attention": None, "ema_scope": None, "decoder_bias": None, "label_input": None,
        "tf_padding": None, "attn_residual": None,
    },
    "dataset": {
        "distance_unit": "mm",
        "title": "Generated echocardiograms, 2D frames of videos, left ventricle and atrium (no files needed)",
        "spatial_dims": 2, "channels": 1, "class_names": ["LV", "LA"],
        "fingerprint": "6215743e3660df47c7078daede3c26a062f91dc40f5611aaeaa04bc136d95652",
        "augmentation": {"flips": [], "rotations": False, "intensity": 0.05},
        "fit": "resize", "cases": {"train": 8, "val": 2, "test": 6}, "name": "phantom_echo", "image_size": [32, 32],
        "settings": {
            "cases": {"train": 40, "val": 6, "test": 14}, "frames": 4, "size": 128, "seed": 0,
            "limit": {"train": 8, "val": 2, "test": 6},
            "augmentation": {"flips": [], "rotations": False, "intensity": 0.05},
        },
    },
    "training": {
        "steps": 24, "seconds": None, "batch_size": 4, "validations": 3, "val_cases": 2, "validation_steps": 2,
        "learning_rate": 0.002, "lr_schedule": "poly", "lr_final_factor": 1.0, "ema_warmup": True,
        "deterministic": True, "shuffle": True, "precision": "32-true",
    },
    "seed": 0, "profile": "tiny", "request": "b80a661c0be7", "code": "fb9498653c34",
}  # fmt: skip
CONDITIONS = {"sigma0-ddim2-60916dd0": 2, "sigma0-ddim3-1bd71c31": 3, "sigma0-ddim10-ee64c055": 10}
"""Names of its records, and their numbers of sampling steps."""

EVERYTHING = TrialConfig(
    MethodConfig("own", "my_package.Own", "Own", "It is mine.", {"width": 8, "levels": [1, 2]}),
    DatasetConfig(
        "lungs", (32, 48), {"limit": {"train": 3}}, "Lungs", 2, 1, ("left", "right"), "f", {"flips": [0]}, "pad", "mm",
        {"train": 3, "val": 1, "test": 2},
    ),
    TrainingConfig(None, 60.0, 4, accumulate=2, checkpointing=True, precision="bf16-mixed"),
    3, "quick", "asked", "code",
)  # fmt: skip


def through_json(config: TrialConfig) -> TrialConfig:
    return TrialConfig.from_json(json.loads(json.dumps(config.to_json())))


def test_a_stored_trial_is_read_and_written_as_it_was():
    config = TrialConfig.from_json(STORED)
    assert config.to_json() == STORED
    assert (config.method.label, config.dataset.size, config.dataset.classes) == ("LDSeg", "32x32", 3)


def test_a_stored_trial_keeps_its_name_and_is_found_by_the_same_request():
    config = TrialConfig.from_json(STORED)
    assert Trial(config, ()).key == FOLDER
    assert request_key(config) == STORED["request"]
    for name, steps in CONDITIONS.items():
        # Where there is none by the name of now, reports look for it by this one.
        assert Condition(0.0, Sampling(steps), (32, 32), "image", tolerance=2.0).former_key == name


@pytest.mark.parametrize("config", [EVERYTHING, TrialConfig.from_json(STORED)], ids=["everything", "stored"])
def test_nothing_is_lost_on_the_way_through_json(config):
    assert through_json(config) == config


def test_a_command_without_data_says_what_it_knows():
    asked = TrialConfig(MethodConfig("own"), DatasetConfig("lungs", (8, 8), {"size": 8}), TrainingConfig(5), 0)
    assert through_json(asked) == asked
    assert set(asked.to_json()["dataset"]) == {"name", "image_size", "settings"}
    assert "code" not in asked.to_json() and "request" not in asked.to_json()


def test_equal_content_has_one_name_whether_it_stands_in_lists_or_tuples():
    listed = replace(EVERYTHING, dataset=replace(EVERYTHING.dataset, augmentation={"flips": [0, 1]}))
    tupled = replace(EVERYTHING, dataset=replace(EVERYTHING.dataset, augmentation={"flips": (0, 1)}))
    assert Trial(listed, ()).key == Trial(tupled, ()).key == Trial(through_json(tupled), ()).key
    assert digest(listed.to_json()) == digest(tupled.to_json())


@pytest.mark.parametrize(
    "changed, same",
    [
        ({"seed": 4}, False),
        ({"code": "other"}, False),
        ({"training": replace(EVERYTHING.training, accumulate=4)}, False),
        ({"method": replace(EVERYTHING.method, arguments={"width": 9})}, False),
        ({"dataset": replace(EVERYTHING.dataset, fingerprint="g")}, False),
        ({"profile": "paper", "request": "others"}, True),
        ({"method": replace(EVERYTHING.method, title="Ours", summary="It is ours.")}, True),
        ({"dataset": replace(EVERYTHING.dataset, cases={"test": 1}, title="Lobes", settings={})}, True),
    ],
)
def test_the_name_follows_from_what_decides_the_weights(changed, same):
    assert (Trial(replace(EVERYTHING, **changed), ()).key == Trial(EVERYTHING, ()).key) is same


def test_what_is_off_is_as_if_it_had_never_been_there():
    off = replace(TrialConfig.from_json(STORED).training, accumulate=1, checkpointing=False)
    assert off.to_json() == STORED["training"]
    assert {"accumulate": 2, "checkpointing": True}.items() <= EVERYTHING.training.to_json().items()


def test_keys_of_other_versions_are_passed_over():
    newer = STORED | {
        "invented": 1,
        "dataset": STORED["dataset"] | {"invented": 1},
        "training": STORED["training"] | {"invented": 1},
    }
    assert TrialConfig.from_json(newer) == TrialConfig.from_json(STORED)
    older = {"method": {"name": "unet"}, "dataset": {"name": "lungs"}, "seed": 0}
    assert TrialConfig.from_json(older).method.label == "unet"


@pytest.mark.parametrize("content", ["{}", "[]", '{"method": 3, "dataset": {}}'])
def test_a_config_that_is_none_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadInput, match=r"config\.json: is not what a trial was stored with"):
        TrialView.load(tmp_path)
