"""What a method uses for arguments that are null."""

from dataclasses import replace

import pytest

from benchmarks.plan import in_use
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan


def planned(method, *words, dataset="phantom_glands", profile="tiny"):
    command = ["suite=accuracy", f"methods=[{method}]", f"datasets=[{dataset}]", f"profile={profile}", *words]
    return make_plan(configure(command))[0].config


@pytest.mark.parametrize(
    "profile, dataset, expected",
    [
        ("tiny", "phantom_glands", {"prediction": "x0", "truncation": 8.0, "threshold": 0.5}),
        ("paper", "phantom_glands", {"prediction": "eps", "truncation": 15.0, "threshold": 0.0}),
    ],
)
def test_the_values_are_those_of_the_size(profile, dataset, expected):
    trial = planned("sdf_ddpm", dataset=dataset, profile=profile)
    assert in_use.chosen(trial.method, trial.dataset) == expected


def test_a_switch_is_that_of_the_preset_unless_it_is_given():
    plain, official = planned("ldseg"), planned("ldseg", "method.ldseg.preset=official")
    own, preset = (in_use.chosen(trial.method, trial.dataset) for trial in (plain, official))
    assert own["latent_norm"] == "affine" and own["tf_padding"] is True
    assert own != preset and set(own) == set(preset)
    given = planned("ldseg", "method.ldseg.latent_norm=plain")
    assert "latent_norm" not in in_use.chosen(given.method, given.dataset)


def test_given_explicitly_they_leave_nothing_to_the_method():
    trial = planned("flowsdf")
    found = in_use.chosen(trial.method, trial.dataset)
    assert set(found) == {"truncation", "threshold"}
    explicit = replace(trial.method, arguments={**trial.method.arguments, **found})
    assert in_use.chosen(explicit, trial.dataset) == {}


def test_an_argument_that_is_kept_nowhere_is_left_out():
    trial = planned("lsegdiff")
    assert trial.method.arguments["dropout"] is None
    assert in_use.chosen(trial.method, trial.dataset) == {}
