"""Methods that make images from label maps stand beside the segmenters and are not taken for them."""

import pytest

from benchmarks.errors import BadInput
from benchmarks.kinds import registry
from benchmarks.kinds.base import check_methods
from benchmarks.machine import arithmetic
from benchmarks.plan import building, choices
from benchmarks.plan.catalogue import catalogue
from benchmarks.plan.configuration import configure, names
from methods.synthesis.base import Synthesizer

MAKERS = {"class_stats", "replay", "echo_from_noise", "med_lsdm"}


def test_they_are_listed_apart_from_the_segmenters(tmp_path):
    found = catalogue(configure(["suite=accuracy", f"paths.runs={tmp_path}"]))
    listed = {group: {name for name, _ in rows} for group, rows in found.items()}
    assert MAKERS <= listed["synthesizer"]
    assert not listed["synthesizer"] & listed["method"]
    assert listed["synthesizer"] | listed["method"] == set(names("method"))
    assert all(line for _, line in found["synthesizer"])
    config = configure(["suite=accuracy"])
    kinds = {name: building.method_class(choices.method_config(config, name)) for name in names("method")}
    assert listed["synthesizer"] == {name for name, kind in kinds.items() if issubclass(kind, Synthesizer)}


@pytest.mark.parametrize("suite", ["accuracy", "uncertainty", "runtime", "shift"])
def test_a_suite_of_segmenters_refuses_them_by_name(suite, tmp_path):
    words = f"methods: replay makes images from label maps, .*suite={suite} compares segments.*action=list"
    with pytest.raises(BadInput, match=words):
        registry.checked([f"suite={suite}", "methods=[resunet,replay]", f"paths.runs={tmp_path}"])


def test_a_suite_of_synthesizers_refuses_segmenters_by_name(tmp_path):
    config = configure(["suite=accuracy", "methods=[replay,resunet]", f"paths.runs={tmp_path}"])
    with pytest.raises(BadInput, match="methods: resunet segments images, .*action=list"):
        check_methods(config, synthesizes=True)
    check_methods(configure(["suite=accuracy", "methods=[replay]", f"paths.runs={tmp_path}"]), synthesizes=True)


def test_a_class_that_is_neither_is_refused(tmp_path):
    overrides = ["suite=accuracy", "method._target_=collections.OrderedDict", "methods=[]", f"paths.runs={tmp_path}"]
    with pytest.raises(BadInput, match="Segmenter or methods.synthesis.base.Synthesizer"):
        registry.checked(overrides)


def test_their_arithmetic_is_not_compared_with_that_of_segmenters():
    assert not MAKERS & set(arithmetic.networks())
