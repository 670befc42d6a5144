"""Bad input is refused before any work, in words that name the key, what was found and what to do."""

import pytest

from benchmarks.errors import BadInput
from benchmarks.kinds.registry import checked
from benchmarks.plan.configuration import CONF, configure, names


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["suite=noise_robustnes"], r"suite: 'noise_robustnes' is not known\. Did you mean 'noise_robustness'\?"),
        (["profile=quik"], r"profile: 'quik' is not known\. Did you mean 'quick'\?"),
        (["methods=[ldsegg]"], r"methods: 'ldsegg' is not known\. Did you mean 'ldseg'\?"),
        (["datasets=[glass]"], r"datasets: 'glass' is not known\. Did you mean 'glas'\?"),
        (["datasets=[]"], "datasets=.*at least one name"),
        (["methods=ldseg"], r"methods=ldseg: expected a list"),
        (["seeds=[-1]"], "seeds=.*whole numbers from 0"),
        (
            ["method.ldseg.latent_nrom=plain"],
            r"method\.ldseg\.latent_nrom: there is no such key.*'method\.ldseg\.latent_norm'",
        ),
        (["trainning.steps=5"], r"trainning\.steps: there is no such key.*'training\.steps'"),
        (["suite.sigmas=[0,-0.1]"], r"suite\.sigmas: -0\.1 is not a noise standard deviation"),
        (["suite.steps=[0]"], r"suite\.steps: 0 cannot be sampled; expected whole numbers from 2"),
        (["suite.steps=[1]"], r"suite\.steps: 1 cannot be sampled"),
        (["suite.steps=[1.5]"], r"suite\.steps: 1\.5 cannot be sampled"),
        (["training.steps=0"], r"training\.steps=0: expected a whole number above 0"),
        (["training.accumulate=0"], r"training\.accumulate=0: expected a whole number from 1"),
        (["training.checkpointing=2"], r"training\.checkpointing=2: expected true or false"),
        (["suite=data_overview", "methods=[ldseg]"], "suite=data_overview compares no methods"),
        (["noise.rescale=images"], r"noise\.rescale: 'images' is not known\. Did you mean 'image'\?"),
        (["action=rum"], r"action: 'rum' is not known\. Did you mean 'run'\?"),
        (["track=noise"], "track: 'noise' is not known"),
        (["tiny"], "'tiny' is not an override. Write key=value"),
        (["suite.sigmas=[0,"], r"suite\.sigmas=\[0,: .*Check the spelling and the value"),
    ],
)
def test_a_wrong_override_is_refused_by_name(overrides, message):
    with pytest.raises(BadInput, match=message):
        checked(overrides)


@pytest.mark.parametrize("suite", names("suite"))
@pytest.mark.parametrize("profile", names("profile"))
def test_every_suite_composes_with_every_profile(suite, profile):
    config = configure([f"suite={suite}", f"profile={profile}"])
    assert config.suite.name == suite and config.profile.name == profile
    assert set(config.suite.methods) <= set(config.method) and set(config.suite.datasets) <= set(config.dataset)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_configuration_file_begins_with_the_command_that_uses_it(path):
    assert path.read_text().startswith("# python run_bench.py")


def test_an_override_wins_over_the_profile_and_the_method():
    config = configure(["profile=tiny", "method.ldseg.size=paper", "dataset.glas.image_size.tiny=[64,64]"])
    assert config.method.ldseg.size == "paper" and config.method.resunet.size == "tiny"
    assert list(config.dataset.glas.image_size.tiny) == [64, 64]


def test_a_class_of_ones_own_joins_the_methods_of_the_suite():
    config = configure(["method._target_=my_package.MyMethod", "+method.width=8"])
    assert list(config.methods) == ["ldseg", "resunet", "resunet_noise", "ldseg_direct", "mymethod"]
    assert config.method.mymethod == {"_target_": "my_package.MyMethod", "title": "MyMethod", "width": 8}
