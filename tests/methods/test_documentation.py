"""The tables of docs/methods.md that the code decides, read as they stand there."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from benchmarks.machine import arithmetic, measure
from benchmarks.plan import building, choices
from benchmarks.plan.configuration import configure
from benchmarks.store.config import DatasetConfig, MethodConfig
from methods.ldseg import SWITCHES

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods.md"
NOT_WITHOUT_WEIGHTS = ("swinunet", "swinunetr")
"""Computed while they are built, so that they cannot be counted without memory for them; their own tests count them."""
ABLATIONS = {"ldseg_ld": 1_578_500, "ldseg_id": 1_470_056, "ldseg_ld_id": 1_284_439}


def table(header: str) -> list[list[str]]:
    """Cells of the rows below the line that begins so."""
    (start,) = re.findall(rf"^\| {re.escape(header)} .*\n\|[-:|]+\n((?:\|.*\n)+)", DOCUMENT.read_text(), re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in start.splitlines()]


@cache
def methods() -> dict[str, MethodConfig]:
    return arithmetic.networks()


def parameters(name: str, size: str, data: DatasetConfig) -> int:
    method = methods()[name]
    sized = MethodConfig(name, method.target, arguments={**method.arguments, "size": size})
    with torch.device("meta"):
        return measure.parameters(building.build(sized, data))


def test_the_switches_of_ldseg_are_those_whose_default_is_not_the_codes():
    told = {cells[0]: tuple(cells[1:3]) for cells in table("switch | code |")}
    differing = {name: switch for name, switch in SWITCHES.items() if switch.default != switch.official}
    assert told == {f"`{name}`": (f"`{s.official}`", f"`{s.default}`") for name, s in differing.items()}


@pytest.mark.parametrize(("profile", "columns"), [("paper", slice(4, 7)), ("quick", slice(7, 10))])
def test_methods_are_sampled_as_the_table_says(profile, columns):
    config = configure(["suite=accuracy", "suite.steps=null", f"profile={profile}"])
    names = {method.label.partition(" (")[0]: name for name, method in methods().items()}
    for cells in table("method | space |"):
        (sampling,) = choices.samplings(config, names[cells[0]])
        with torch.device("meta"):
            model = building.build(methods()[names[cells[0]]], arithmetic.DATA[2])
        evaluations = model.network_evaluations(sampling)
        assert [str(n) for n in (sampling.steps, sampling.ensemble, evaluations)] == cells[columns], cells[0]


def counted(header: str) -> dict[str, list[int]]:
    """Parameters in each row of a table of sizes, by the title of the method."""
    return {cells[0]: [int(cell.replace(",", "")) for cell in cells[1::2]] for cells in table(header)}


@pytest.mark.parametrize(
    ("header", "rank", "sizes"),
    [("method | tiny: parameters |", 2, arithmetic.SIZES), ("method, volumes |", 3, ("small",))],
    ids=["images", "volumes"],
)
def test_sizes_have_the_parameters_of_the_table(header, rank, sizes):
    data, told = arithmetic.DATA[rank], counted(header)
    fit = {name: method for name, method in methods().items() if not building.reason_against(method, data)}
    assert {method.label for method in fit.values()} == set(told)
    for name in set(fit) - set(NOT_WITHOUT_WEIGHTS):
        assert [parameters(name, size, data) for size in sizes] == told[fit[name].label], name


def test_the_ablations_of_ldseg_and_medsegdiff_have_the_parameters_of_the_text():
    data = DatasetConfig("glas", (512, 512), channels=3, class_names=("gland",))
    assert {name: parameters(name, "paper", data) for name in ABLATIONS} == ABLATIONS
    assert "; ".join(f"{count:,}" for count in ABLATIONS.values()) in DOCUMENT.read_text()
    assert f"{parameters('medsegdiff', 'paper', data):,} at 512x512" in DOCUMENT.read_text()
